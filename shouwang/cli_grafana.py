"""`shouwang grafana`: its role in PostgreSQL, its dashboards as files, and all of it into a Grafana that is there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import make_url

from core.database import open_engine, writing
from devices.device_types import load_device_types
from grafana.kit import Places
from grafana.role import RoleRefused, make_role
from grafana.sources import (
    Desk,
    Readings,
    Source,
    desk_source,
    folder_of,
    metrics_source,
    providers_text,
    readings_source,
    sources_text,
)
from grafana.views import READER, ensure_views
from grafana.words import LANGUAGES, Words
from shouwang.migrate import ensure_schema
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors

app = typer.Typer(no_args_is_help=True, help="Grafana: dashboards, data sources and the role that reads the desk.")
_DONE = {"made": "新建 made", "changed": "更新 changed", "same": "未变 the same", "kept": "保留 kept"}
_WHY = {
    "edited": "有人在 Grafana 里改过：用 --force 覆盖 · edited by hand: --force writes over it",
    "provisioned": "来自 Grafana 的配置文件 · from Grafana's own files",
}


@app.callback()
def grafana() -> None:
    """Grafana."""


@app.command()
@telling_errors
def role(
    config: ConfigOption = None,
    password_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Its password. Default: grafana.reader_password.")
    ] = None,
) -> None:
    """Make the PostgreSQL role that may read Grafana's views of the desk and nothing else; again sets it right.

    The platform's own account must be able to make roles (CREATEROLE, or the owner of the server).
    """
    settings = settings_from(config)
    if make_url(settings.database_url).get_backend_name() != "postgresql":
        raise fail(
            "数据库是 SQLite，Grafana 读不到它：指挥台的图要用 PostgreSQL。\n"
            "The database is SQLite, which Grafana can't read: the desk's panels need PostgreSQL."
        )
    password = _password(settings, password_file)
    engine = open_engine(settings.database_url)
    try:
        ensure_schema(engine)
        with writing(engine) as connection:
            if not ensure_views(connection):
                raise RoleRefused(
                    "本账号不能新建模式 grafana：请让数据库的所有者授予 CREATE。\n"
                    "This account can't make the schema grafana: let the database's owner grant it CREATE."
                )
            faults = make_role(connection, password)
    except RoleRefused as refused:
        raise fail(str(refused)) from refused
    finally:
        engine.dispose()
    for fault in faults:
        out.print(f"[yellow]![/] {READER}: {fault.zh} · {fault.en}", highlight=False, soft_wrap=True)
    if faults:
        raise typer.Exit(1)
    out.print(f"{READER}: 只读视图 grafana.* · reads the views grafana.* and nothing else", highlight=False)


@app.command()
@telling_errors
def dashboards(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where to write zh/ and en/.")],
    config: ConfigOption = None,
    console: Annotated[str, typer.Option(help="What links begin with. Default: the console's base_url.")] = "",
) -> None:
    """Write the dashboards as files for Grafana's provisioning, with this town's addresses in them."""
    from grafana.generation import write_dashboards  # noqa: PLC0415 - what only this command needs

    folder.mkdir(parents=True, exist_ok=True)
    for path in write_dashboards(folder, _places(settings_from(config), console)):
        out.print(str(path), highlight=False, soft_wrap=True)


@app.command()
@telling_errors
def provision(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where to write dashboards/ and provisioning/.")],
    config: ConfigOption = None,
) -> None:
    """Write all that a Grafana starts from by files: this town's dashboards, where they are, and the data sources.

    A Prometheus is among them where `grafana.metrics_url` names one.
    """
    from grafana.generation import write_dashboards  # noqa: PLC0415

    settings = settings_from(config)
    folder.mkdir(parents=True, exist_ok=True)
    written = write_dashboards(folder / "dashboards", _places(settings))
    for kind, text in (
        ("dashboards", providers_text()),
        ("datasources", sources_text(bool(settings.grafana.metrics_url))),
    ):
        file = folder / "provisioning" / kind / "shouwang.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    for kind in ("alerting", "plugins"):  # a Grafana complains of each folder that it looks for and that is not there
        (folder / "provisioning" / kind).mkdir(exist_ok=True)
    for file in written:
        out.print(str(file), highlight=False, soft_wrap=True)


@app.command()
@telling_errors
def push(
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option(help="Write over dashboards that somebody edited in Grafana.")] = False,
    secrets: Annotated[bool, typer.Option(help="Write the data sources' passwords again.")] = False,
    language: Annotated[list[str] | None, typer.Option(help="zh or en; both by default.")] = None,
) -> None:
    """Put data sources, folders and dashboards into the Grafana at `grafana.url`; again changes nothing.

    Ends with status 1 when something was kept that is not as it would be pushed.
    """
    from grafana.pushing import GrafanaRefused  # noqa: PLC0415

    settings = settings_from(config)
    if not settings.grafana.url:
        raise fail("设置里没有 grafana.url 和 grafana.token · the settings have no grafana.url and grafana.token")
    chosen = [each for each in LANGUAGES if each in (language or LANGUAGES)]
    try:
        edited = _push(settings, chosen, force, secrets)
    except GrafanaRefused as refused:
        raise fail(str(refused)) from refused
    if edited:
        raise typer.Exit(1)


def _push(settings: Settings, languages: Sequence[str], force: bool, secrets: bool) -> bool:
    """Push all; whether something stays that somebody edited."""
    from grafana.generation import dashboard_text  # noqa: PLC0415
    from grafana.generation import dashboards as made_dashboards  # noqa: PLC0415
    from grafana.pushing import Grafana, Put  # noqa: PLC0415

    there = Grafana(settings.grafana.url, settings.grafana.token.get_secret_value())
    kept: list[Put] = []

    def tell(put: Put) -> None:
        why = f"  ({_WHY[put.why]})" if put.why else ""
        out.print(f"{put.name:<28} {_DONE[put.done]}{why}", markup=False, highlight=False, soft_wrap=True)
        if put.why == "edited":
            kept.append(put)

    try:
        out.print(f"Grafana {there.version()} {settings.grafana.url}", highlight=False, soft_wrap=True)
        for source in sources_of(settings):
            tell(there.put_source(source, secrets))
        for language in LANGUAGES:
            if language not in languages:
                continue
            uid, title = folder_of(Words(language))
            tell(there.put_folder(uid, title))
            for board in made_dashboards(_places(settings), language).values():
                tell(there.put_dashboard(json.loads(dashboard_text(board)), uid, force))
    finally:
        there.close()
    return bool(kept)


def sources_of(settings: Settings) -> list[Source]:
    """The data sources of this town, those that it has."""
    asked, found = settings.grafana, []
    if address := settings.influx:
        token = asked.readings_token.get_secret_value() or address.token
        found.append(readings_source(Readings(asked.readings_url or address.base, address.bucket, token)))
    database = make_url(settings.database_url)
    if database.get_backend_name() == "postgresql":
        own = f"{database.host or 'localhost'}:{database.port or 5432}"
        password = asked.reader_password.get_secret_value()
        found.append(desk_source(Desk(asked.desk or own, database.database or "", password, asked.desk_sslmode)))
    if asked.metrics_url:
        found.append(metrics_source(asked.metrics_url))
    return found


def _places(settings: Settings, console: str = "") -> Places:
    told = settings.grafana
    types = load_device_types(settings.device_types)
    return Places(console.rstrip("/") or settings.console.address, told.tiles, told.attribution, types)


def _password(settings: Settings, file: Path | None) -> str:
    password = file.read_text(encoding="utf-8").strip() if file else settings.grafana.reader_password.get_secret_value()
    if not password:
        raise fail(
            "没有口令：用 --password-file，或设置 grafana.reader_password。\n"
            "There is no password: use --password-file, or the setting grafana.reader_password."
        )
    return password
