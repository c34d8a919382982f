"""`shouwang backup`, `restore` and `upgrade`: what keeps a town's data through bad days and new versions."""

from pathlib import Path
from typing import Annotated

import typer

from core.clock import SystemClock, local
from shouwang.backup import BackupRefused, make_backup
from shouwang.backup_file import BackupDamaged, Manifest, read_manifest
from shouwang.backup_words import LEFT_OUT, after_restore
from shouwang.database_copy import CopyRefused
from shouwang.migrate import Standing
from shouwang.restore import RestoreRefused, restore
from shouwang.restore_settings import settings_for_restore
from shouwang.restored import Position
from shouwang.settings import Settings
from shouwang.terminal import (
    DEFAULT_FILE,
    ConfigOption,
    errors,
    fail,
    out,
    settings_file,
    settings_from,
    telling_errors,
)
from shouwang.upgrade import UpgradeFailed, upgrade

_MEGABYTE = 2**20
_EXPECTED = (BackupRefused, BackupDamaged, CopyRefused, RestoreRefused, UpgradeFailed)


def add_to(app: typer.Typer) -> None:
    """Hang these commands under the main one."""
    app.command("backup")(telling_errors(backup_command))
    app.command("restore")(telling_errors(restore_command))
    app.command("upgrade")(telling_errors(upgrade_command))


def backup_command(
    config: ConfigOption = None,
    to: Annotated[Path | None, typer.Option(file_okay=False, help="The folder; else backup.folder.")] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="How many to keep there; else backup.keep.")] = None,
    whole_journal: Annotated[
        bool, typer.Option(help="With the journal's span for replay, not only what waits.")
    ] = False,
) -> None:
    """Write one file with database, rules, photos, keys and what detection knows. The platform may run meanwhile."""
    settings = settings_from(config)
    folder = to or settings.backup.folder_in(settings.state)
    number = keep or settings.backup.keep
    try:
        made = make_backup(
            settings, settings_file(config), folder, SystemClock().now(), keep=number, whole=whole_journal
        )
    except _EXPECTED as error:
        raise fail(str(error)) from error
    size = made.file.stat().st_size / _MEGABYTE
    _say(settings, f"已备份   {made.file}（{size:.1f} MB）", f"written    {made.file} ({size:.1f} MB)")
    _describe(settings, made.manifest)
    for file in made.removed:
        _say(settings, f"已清理   {file}", f"let go     {file}")
    _say(
        settings,
        "请注意   其中有口令和密钥，请把它抄到另一台机器，妥善保管。",
        "beware     it holds passwords and keys: copy it to another machine, and keep it safe.",
    )


def restore_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The backup.")],
    config: ConfigOption = None,
    journal: Annotated[
        Position,
        typer.Option(help="Go on at the journal's end (head), or replay it from the backup on with notices off."),
    ] = "head",
    force: Annotated[bool, typer.Option(help="Also over a platform that is there; its files are moved aside.")] = False,
    look: Annotated[bool, typer.Option(help="Only tell what the backup is.")] = False,
) -> None:
    """Put a backup in place: checked first, never half, of this or an earlier version, into either database."""
    try:
        manifest = read_manifest(file)
        place = config or DEFAULT_FILE
        with settings_for_restore(file, manifest, place) as (settings, brought):
            _describe(settings, manifest)
            if look:
                return
            done = restore(settings, file, SystemClock().now(), journal, force=force)
            if brought:
                brought.replace(place)
    except _EXPECTED as error:
        raise fail(str(error)) from error
    for zh, en in after_restore(done, place if brought else None):
        _say(settings, zh, en)


def upgrade_command(config: ConfigOption = None) -> None:
    """Bring the database to this program's version: backed up, tried on a copy, put back when it could not start."""
    settings = settings_from(config)
    try:
        done = upgrade(settings, settings_file(config), SystemClock().now())
    except _EXPECTED as error:
        raise fail(str(error)) from error
    wanted, revision = done.before.wanted, done.before.revision
    if done.before.standing is Standing.CURRENT:
        _say(settings, f"数据库已是 {wanted}，无需升级。", f"the database has schema {wanted} already: nothing to do.")
    elif done.backup is None:
        _say(settings, f"已建库，结构版本 {wanted}。", f"the database was made, schema {wanted}.")
    else:
        _say(
            settings,
            f"数据库已从 {revision} 升级到 {wanted}。备份：{done.backup}",
            f"the database went from schema {revision} to {wanted}. The backup before: {done.backup}",
        )


def _say(settings: Settings, zh: str, en: str) -> None:
    out.print(zh if settings.language == "zh" else en, markup=False, highlight=False, soft_wrap=True)


def _describe(settings: Settings, manifest: Manifest) -> None:
    made = f"{local(manifest.made_at):%Y-%m-%d %H:%M:%S}"
    files = len(manifest.members)
    kept = manifest.journal
    _say(
        settings,
        f"内容     {made} 的 {manifest.kind} 数据库（结构 {manifest.schema}，程序 {manifest.program}），{files} 个文件",
        f"content    {manifest.kind} as of {made} (schema {manifest.schema}, {manifest.program}), {files} files",
    )
    if kept:
        _say(
            settings,
            f"日志     {kept.records} 条（{kept.after} 之后，到 {kept.head}）",
            f"journal    {kept.records} records (behind {kept.after}, up to {kept.head})",
        )
    if manifest.variables:
        names = ", ".join(manifest.variables)
        _say(settings, f"环境变量 {names}：值不在备份里", f"variables  {names}: their values are not in it")
    for code in manifest.left_out:
        if words := LEFT_OUT.get(code):
            errors.print(
                words[settings.language == "en"], style="yellow", markup=False, highlight=False, soft_wrap=True
            )
