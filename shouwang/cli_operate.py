"""`shouwang init`, `status`, `doctor`, `config show` and `simulate`: what an operator does."""

import json
import secrets
import ssl
import threading
from pathlib import Path
from typing import Annotated, Literal

import typer
from sqlalchemy import Engine, select

from console.accounts import create_account
from console.tables import account
from core.clock import SystemClock
from core.database import writing
from devices.device_types import load_device_types
from devices.registry import load_registry
from ingest.mqtt import BrokerAddress
from shouwang.cli_status import status
from shouwang.demo_town import DemoError, simulated_gateways
from shouwang.diagnosis import diagnose
from shouwang.findings import Standing
from shouwang.incidents import Script
from shouwang.production_findings import production_findings
from shouwang.reaching import reach_findings
from shouwang.settings import Settings, masked
from shouwang.settings_template import settings_template
from shouwang.simulation import Fleet, Published
from shouwang.terminal import (
    DEFAULT_FILE,
    ConfigOption,
    LanguageOption,
    fail,
    out,
    settings_file,
    settings_from,
    telling_errors,
)
from shouwang.wiring import open_database

ADMIN = "admin"


def add_to(app: typer.Typer) -> None:
    """Hang these commands under the main one."""
    for command in (init, status, doctor, simulate):
        app.command()(telling_errors(command))
    shown = typer.Typer(no_args_is_help=True, help="Settings.")
    shown.command("show")(telling_errors(config_show))
    app.add_typer(shown, name="config")


def init(
    config: ConfigOption = None,
    language: Annotated[
        Literal["zh", "en"] | None, typer.Option(help="zh or en. Default: that of the settings.")
    ] = None,
) -> None:
    """Make the settings file, the state folder, the database and an administrator with a one-time password.

    What is there already stays as it is.
    """
    file = config or DEFAULT_FILE
    made = not file.exists()
    if made:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # it may come to hold the broker's password
        file.write_text(settings_template(language or "zh"), encoding="utf-8")
    settings = settings_from(file)
    english = (language or settings.language) == "en"

    def say(zh: str, en: str) -> None:
        out.print(en if english else zh, highlight=False, markup=False, soft_wrap=True)

    if made:
        say(f"设置     {file}", f"settings   {file}")
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    say(f"状态     {settings.state}", f"state      {settings.state}")
    engine = open_database(settings)
    try:
        known, password = _administrator(engine)
    finally:
        engine.dispose()
    if known:
        say(f"管理员 {known} 已经有了，未作改动", f"administrator {known} is there already")
        return
    say(
        f"登录     {ADMIN} / {password}   （一次性口令，登录后须更改）",
        f"sign in    {ADMIN} / {password}   (once: it must be changed)",
    )
    todo = "shouwang town import {}, shouwang account add {} --role dispatcher, shouwang run"
    say(f"下一步   {todo.format('目录', '姓名')}", f"next       {todo.format('FOLDER', 'NAME')}")


def _administrator(engine: Engine) -> tuple[str, str]:
    """The name of one who is there already, or "" and the one-time password of the one that was made."""
    with writing(engine) as connection:
        known = connection.execute(select(account.c.username).where(account.c.role == ADMIN)).first()
        if known:
            return known.username, ""
        password = secrets.token_urlsafe(12)
        create_account(connection, ADMIN, ADMIN, password, must_change=True, now=SystemClock().now())
    return "", password


def config_show(config: ConfigOption = None) -> None:
    """The settings in effect, secrets masked."""
    out.print_json(json.dumps(masked(settings_from(config)), ensure_ascii=False))


def doctor(
    config: ConfigOption = None,
    language: LanguageOption = "",
) -> None:
    """Check what the platform needs, and say what to do about each fault. Status 1 when something is broken."""
    settings = settings_from(config)
    clock = SystemClock()
    findings = diagnose(settings, clock) + production_findings(settings, settings_file(config), clock)
    findings += reach_findings(settings, clock.now())
    styles = {Standing.GOOD: "green", Standing.DOUBTFUL: "yellow", Standing.BROKEN: "red"}
    english = (language or settings.language) == "en"
    for finding in findings:
        standing, what, text = finding.said("en" if english else "zh")
        out.print(f"{standing:9}" if english else f"{standing}  ", style=styles[finding.standing], end="")
        out.print(f"{what}: {text}" if english else f"{what}：{text}", markup=False, highlight=False, soft_wrap=True)
    if any(finding.standing is Standing.BROKEN for finding in findings):
        raise typer.Exit(1)


def simulate(
    config: ConfigOption = None,
    broker: Annotated[str, typer.Option(help="Where to publish.")] = "mqtt://127.0.0.1:1883",
    passwords: Annotated[Path | None, typer.Option(help="gateway,password lines; see `town password --file`.")] = None,
    seconds: Annotated[float | None, typer.Option("--for", min=1, help="Stop after so many seconds.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Messages a second; 0: the devices' own pace.")] = 0,
) -> None:
    """Publish for every registered device in service, as its gateway would."""
    settings = settings_from(config)
    try:
        address = BrokerAddress.parse(broker)
        known = _read_passwords(passwords) if passwords else {}
        fleet, published = _fleet(settings, address, known, rate)
    except (ValueError, OSError, DemoError) as error:
        raise fail(str(error)) from error
    fleet.start()
    try:
        threading.Event().wait(seconds)
    except KeyboardInterrupt:
        out.print()
    fleet.stop(15)
    if not published.messages:
        place = f"{address.host}:{address.port}"
        raise fail(
            f"{place} 什么也没有收下：它在运行吗？网关口令对吗（--passwords）？要不要 TLS（mqtts://…?ca=文件）？\n"
            f"{place} took nothing: does it run, are the passwords the gateways' own, does it want TLS (mqtts://…?ca=FILE)?"
        )
    zh = f"消息代理已确认 {published.messages} 条消息，{published.readings} 个读数"
    en = f"{published.messages} messages, {published.readings} readings acknowledged by the broker"
    out.print(zh if settings.language == "zh" else en)


def _fleet(
    settings: Settings, address: BrokerAddress, passwords: dict[str, str], rate: float
) -> tuple[Fleet, Published]:
    registry = load_registry(open_database(settings), load_device_types(settings.device_types))
    gateways = simulated_gateways(registry, Script({}, {}, {}), rate)
    for gateway in gateways:
        gateway.password = passwords.get(gateway.code, "")
    published = Published()
    trust = ssl.create_default_context(cafile=address.ca or None) if address.tls else None
    return Fleet(address.host, address.port, gateways, {}, SystemClock(), published, trust=trust), published


def _read_passwords(file: Path) -> dict[str, str]:
    lines = [line.split(",", 1) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    wrong = [number for number, parts in enumerate(lines, 1) if len(parts) != 2]
    if wrong:
        raise ValueError(f"{file}, line {wrong[0]}: expected gateway,password")
    return {code: password for code, password in lines}  # noqa: C416 - lists are no pairs to dict()
