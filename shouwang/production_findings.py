"""What the doctor looks at beside the parts themselves: what a town in service needs on its bad days."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage, which
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DatabaseError

from alerts.tables import contact, person
from console.tables import account
from core.clock import HOUR, SECOND, Clock, local
from core.database import open_engine, reading
from grafana.role import role_faults
from grafana.views import READER
from shouwang.at_work import AtWork, at_work, doubled
from shouwang.backup import backups_in
from shouwang.diagnosis import database_is_missing
from shouwang.findings import Finding, Standing
from shouwang.healthy import last_pulse, pulse_file, why_unwell
from shouwang.migrate import Standing as Schema
from shouwang.migrate import schema_state
from shouwang.pulse_words import words_of_pulse
from shouwang.restored import MARKER, last_restore
from shouwang.settings import ROLES, Settings

_GOOD, _DOUBTFUL, _BROKEN = Standing.GOOD, Standing.DOUBTFUL, Standing.BROKEN
_HERE = ("127.0.0.1", "localhost", "::1")
_OLD = 26 * HOUR
"""A backup a day, and two hours' grace."""


def production_findings(settings: Settings, file: Path | None, clock: Clock) -> list[Finding]:
    """The clock's keeper, the newest backup, who can read the settings, the console's address, people, Grafana."""
    found = [*_clock_keeper(), _backup(settings, clock.now()), *_restore(settings), *_secrets(file)]
    found += [*_console(settings), *_roles(settings, clock.now()), *_grafana(settings)]
    return [*found, *_in_database(settings)]


def _clock_keeper() -> Iterator[Finding]:
    """Whether the system says that its clock follows a time server; systems that can't tell say nothing."""
    program = which("timedatectl")
    if program is None or not Path("/run/systemd/system").is_dir():
        return
    asked = [program, "show", "--property=NTPSynchronized", "--value"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    if told == "yes":
        yield Finding("clock", _GOOD, "follows a time server", "与时间服务器同步")
    elif told == "no":
        text = "follows no time server: readings seem late, codes expire; run `timedatectl set-ntp true` or chrony"
        zh = "没有与时间服务器同步，读数会被判迟到：请运行 timedatectl set-ntp true，或安装 chrony"
        yield Finding("clock", _DOUBTFUL, text, zh)


def _backup(settings: Settings, now: int) -> Finding:
    folder = settings.backup.folder_in(settings.state)
    kept = backups_in(folder)
    if not kept:
        text = f"none in {folder}: run `shouwang backup` each day (cron or a systemd timer)"
        return Finding("backup", _DOUBTFUL, text, f"{folder} 里一份也没有：请用定时任务每天运行 shouwang backup")
    made = int(kept[-1].stat().st_mtime * SECOND)
    when = f"{local(made):%Y-%m-%d %H:%M}"
    if now - made > _OLD:
        text = f"the newest in {folder} is of {when}: does its timer still run?"
        return Finding("backup", _DOUBTFUL, text, f"{folder} 里最新的一份是 {when} 的：定时任务还在运行吗？")
    free, size = disk_usage(folder).free, kept[-1].stat().st_size
    if free < 3 * size:
        text = f"{folder} has no room for the next: free some, or lower backup.keep"
        return Finding("backup", _BROKEN, text, f"{folder} 放不下一份了：请清理，或减小 backup.keep")
    if settings.state.exists() and folder.stat().st_dev == settings.state.stat().st_dev:
        text = f"{len(kept)}, the newest of {when}, on the same disk as the state folder: copy them to another machine"
        zh = f"{len(kept)} 份，最新 {when}，与状态目录同在一块盘上：请另抄到别的机器"
        return Finding("backup", _DOUBTFUL, text, zh)
    return Finding("backup", _GOOD, f"{len(kept)}, the newest of {when}", f"{len(kept)} 份，最新 {when}")


def _restore(settings: Settings) -> Iterator[Finding]:
    if (settings.state / MARKER).exists():
        text = f"one into {settings.state} was cut short: run `shouwang restore --force` again with the same backup"
        yield Finding(
            "restore", _BROKEN, text, f"{settings.state} 的恢复中途断了：请用同一备份再运行 shouwang restore --force"
        )
    elif kept := last_restore(settings.state):
        made = f"{local(kept.made_at):%Y-%m-%d %H:%M}"
        yield Finding(
            "restore", _GOOD, f"the last was of a backup of {made}, {kept.journal}", f"上一次用的是 {made} 的备份"
        )


def _secrets(file: Path | None) -> Iterator[Finding]:
    if file is None:
        return
    mode, mine = stat.S_IMODE(file.stat().st_mode), file.stat().st_uid == os.geteuid()
    fixed = os.statvfs(file).f_flag & os.ST_RDONLY  # mounted for this process alone, who can't change it
    if not fixed and mode & (stat.S_IRWXG | stat.S_IRWXO if mine else stat.S_IRWXO):
        do = "chmod 600" if mine else "sudo chmod o="  # of root's, a group may be ours
        text = f"{file} can be read by others, and may hold passwords: {do} {file}"
        yield Finding("settings", _DOUBTFUL, text, f"{file} 别的用户也能读，里面可能有口令：请 {do} {file}")
    elif not os.access(file, os.W_OK):
        yield Finding("settings", _GOOD, f"{file}, read only", f"{file}，只读")


def _console(settings: Settings) -> Iterator[Finding]:
    base = urlsplit(settings.console.base_url)
    if not settings.console.base_url and not settings.demo:
        text = "console.base_url is not set: links in messages lead to this machine alone"
        yield Finding("console", _DOUBTFUL, text, "没有设置 console.base_url：消息里的链接只在本机打得开")
    elif base.scheme == "http" and base.hostname not in _HERE:
        text = f"{settings.console.base_url}: passwords cross the network in clear; serve it by https behind a proxy"
        zh = f"{settings.console.base_url}：口令在网上明文传输，请用反向代理改为 https"
        yield Finding("console", _DOUBTFUL, text, zh)


def _roles(settings: Settings, now: int) -> Iterator[Finding]:
    """Roles that were started here and are not well."""
    for role in ROLES:
        if pulse_file(settings.state, role).exists() and (why := why_unwell(last_pulse(settings.state, role), now)):
            said = words_of_pulse(role, why)
            standing = _DOUBTFUL if why.startswith("no_pulse") else _BROKEN
            yield Finding(f"role {role}", standing, said.en, said.zh)


def _grafana(settings: Settings) -> Iterator[Finding]:
    url = settings.grafana.url
    if not url:
        return
    try:
        answer = httpx.get(f"{url}/api/health", timeout=5)
    except httpx.HTTPError as error:
        text = f"{url} does not answer: {type(error).__name__}; does it run? Alerts go on without it"
        zh = f"{url} 没有应答（{type(error).__name__}）：它在运行吗？告警不受影响"
        yield Finding("grafana", _DOUBTFUL, text, zh)
        return
    if answer.is_success:
        yield Finding("grafana", _GOOD, url)
    else:
        text = f"{url} is not well: HTTP {answer.status_code}; see its log. Alerts go on without it"
        yield Finding(
            "grafana", _DOUBTFUL, text, f"{url} 不正常（HTTP {answer.status_code}）：请看它的日志，告警不受影响"
        )


def _in_database(settings: Settings) -> Iterator[Finding]:
    """What its rows lack, where the database can be read at all."""
    if database_is_missing(settings):
        return
    engine = open_engine(settings.database_url)
    try:
        if schema_state(engine).standing is not Schema.CURRENT:
            return
        with reading(engine) as connection:
            admins = connection.execute(select(account.c.must_change).where(account.c.role == "admin")).scalars().all()
            people = connection.scalar(select(func.count()).select_from(person).where(person.c.retired == 0)) or 0
            owners = select(contact.c.channel, func.count()).group_by(contact.c.channel)
            channels = {str(row[0]): int(row[1]) for row in connection.execute(owners)}
            reader = list(_reader(connection, bool(settings.grafana.url)))
        twice = doubled(at_work(engine))
    except DatabaseError:
        return
    finally:
        engine.dispose()
    yield from _accounts([bool(each) for each in admins])
    yield from _people(people, channels, set(settings.channels))
    yield from reader
    yield from _doubled(twice)


def _doubled(twice: dict[str, list[AtWork]]) -> Iterator[Finding]:
    """Roles of two platforms on one database: each drops what the other has judged."""
    for role, processes in twice.items():
        some = ", ".join(f"{each.process}@{each.address}" for each in processes)
        text = f"{len(processes)} processes run it on this database ({some}): alarms get lost, stop all but one"
        zh = f"有 {len(processes)} 个进程在同一数据库上运行它（{some}）：会漏报警，请只留一个"
        yield Finding(f"role {role}", _BROKEN, text, zh)


def _reader(connection: Connection, wanted: bool) -> Iterator[Finding]:
    """The role by which a Grafana reads the desk, where one was made or is `wanted`."""
    if connection.dialect.name != "postgresql":
        return
    known = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": READER})
    if not (known or wanted):
        return
    if faults := role_faults(connection):
        en, zh = "; ".join(each.en for each in faults), "；".join(each.zh for each in faults)
        do, zh_do = "run `shouwang grafana role`", "请运行 shouwang grafana role"
        yield Finding("grafana role", _DOUBTFUL, f"{READER}: {en}: {do}", f"{READER}：{zh}：{zh_do}")
    else:
        yield Finding("grafana role", _GOOD, f"{READER} reads its views and nothing else", f"{READER} 只能读它的视图")


def _accounts(admins: list[bool]) -> Iterator[Finding]:
    if not admins:
        text = "there is no administrator: run `shouwang init`"
        yield Finding("accounts", _BROKEN, text, "没有管理员账号：请运行 shouwang init")
    elif all(admins):
        text = "no administrator has signed in and changed the one-time password yet"
        yield Finding("accounts", _DOUBTFUL, text, "管理员还没有登录并改掉一次性口令")


def _people(people: int, channels: dict[str, int], known: set[str]) -> Iterator[Finding]:
    if not channels:
        text = f"{people} people, none with a contact: nobody can be told; import contacts.csv"
        yield Finding("people", _DOUBTFUL, text, f"{people} 人，都没有联系方式，通知不到任何人：请导入 contacts.csv")
        return
    if unknown := sorted(set(channels) - known):
        name = unknown[0]
        text = (
            f"{channels[name]} contacts name the channel {name}, which the settings don't have: add [channels.{name}]"
        )
        zh = f"{channels[name]} 个联系方式用的通道 {name} 不在设置里：请添加 [channels.{name}]"
        yield Finding("people", _DOUBTFUL, text, zh)
    else:
        count = sum(channels.values())
        yield Finding("people", _GOOD, f"{people} people, {count} contacts", f"{people} 人，{count} 个联系方式")
