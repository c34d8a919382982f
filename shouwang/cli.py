"""The command line: `shouwang --help`."""

import json
import sys
import tempfile
from datetime import time as TimeOfDay
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel

from core.clock import SystemClock
from core.supervisor import notify
from shouwang import (
    cli_account,
    cli_backtest,
    cli_backup,
    cli_broker,
    cli_drill,
    cli_formats,
    cli_gateway,
    cli_grafana,
    cli_operate,
    cli_rejects,
    cli_rules,
    cli_store,
    cli_ticket,
    cli_town,
)
from shouwang.demo import Demo, DemoOptions, prepare
from shouwang.demo import run as run_demo
from shouwang.demo_town import DISPATCHER, DemoError
from shouwang.settings import ROLES, Role
from shouwang.terminal import ConfigOption, fail, log_to_stderr, out, settings_from, telling_errors
from shouwang.wiring import build

_SWITCH = 0.001
"""s that a busy thread keeps the interpreter while others wait: an alarm passes four threads on its way."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="守望 Shouwang: readings in, alerts and dispatch tickets out, for a town.",
)
app.add_typer(cli_town.app, name="town")
app.add_typer(cli_gateway.app, name="gateway")
app.add_typer(cli_broker.app, name="broker")
app.add_typer(cli_rejects.app, name="rejects")
app.add_typer(cli_rules.app, name="rules")
app.add_typer(cli_store.app, name="store")
app.add_typer(cli_account.app, name="account")
app.add_typer(cli_ticket.app, name="ticket")
app.add_typer(cli_drill.app, name="drill")
app.add_typer(cli_formats.app, name="formats")
app.add_typer(cli_grafana.app, name="grafana")
cli_operate.add_to(app)
cli_backtest.add_to(app)
cli_backup.add_to(app)


@app.command()
@telling_errors
def run(
    config: ConfigOption = None,
    roles: Annotated[str, typer.Option(help=f"Comma-separated: {','.join(ROLES)}.")] = ",".join(ROLES),
) -> None:
    """Run the platform, or some of its roles, until SIGTERM or Ctrl-C."""
    log_to_stderr()
    wanted = [role.strip() for role in roles.split(",") if role.strip()]
    unknown = [role for role in wanted if role not in ROLES]
    if unknown or not wanted:
        named, known = ", ".join(unknown), ", ".join(ROLES)
        raise fail(f"没有角色 {named or '(空)'}：可选 {known}\nunknown role {named or '(none)'}: choose from {known}")
    sys.setswitchinterval(_SWITCH)
    platform = build(settings_from(config), SystemClock(), _roles(wanted))
    platform.lifecycle.run(lambda: notify("READY=1"))


def _roles(wanted: list[str]) -> tuple[Role, ...]:
    return tuple(role for role in ROLES if role in wanted)


def _time_of_day(text: str) -> TimeOfDay:
    try:
        hour, minute = text.split(":")
        return TimeOfDay(int(hour), int(minute))
    except ValueError as error:
        raise fail(f"--at {text!r} is no time of day, such as 10:00 or 22:30") from error


@app.command()
@telling_errors
def demo(
    seconds: Annotated[float | None, typer.Option("--for", min=1, help="Seconds to run, without a browser.")] = None,
    report: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Where to write one JSON object.")
    ] = None,
    at: Annotated[str, typer.Option(help="The scripted local time, such as 22:30.")] = "10:00",
    rate: Annotated[float, typer.Option(min=0, help="Messages a second; 0: the devices' own pace.")] = 0,
    devices: Annotated[int, typer.Option(min=0, help="Devices in service; 0: the whole town.")] = 0,
    state: Annotated[Path | None, typer.Option(file_okay=False, help="An empty folder; else a temporary one.")] = None,
    port: Annotated[int, typer.Option(help="The console's port, if it is free.")] = 8000,
) -> None:
    """Show everything in one process: a synthetic town, simulated gateways, scripted incidents."""
    log_to_stderr("warning")
    if report and not report.absolute().parent.is_dir():
        raise fail(f"{report} can't be written: its folder is missing")
    with tempfile.TemporaryDirectory(prefix="shouwang-demo-", ignore_cleanup_errors=True) as temporary:
        options = DemoOptions(state or Path(temporary), _time_of_day(at), seconds, rate, devices, port)
        try:
            found = run_demo(prepare(options), options, lambda made: _welcome(made, options))
        except DemoError as error:
            raise fail(str(error)) from error
    if found is None:
        return
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if report:
        report.write_text(text + "\n", encoding="utf-8")
    else:
        out.print_json(text)
    if found["readings_lost"] or found["duplicate_alerts"]:
        raise fail(f"{found['readings_lost']} readings lost, {found['duplicate_alerts']} alerts doubled")


def _welcome(demo: Demo, options: DemoOptions) -> None:
    """One address to open and how to sign in."""
    if options.seconds is not None:
        out.print(f"Running for {options.seconds:g} s at {options.at:%H:%M} local time …")
        return
    text = (
        f"打开 Open        [bold]{demo.address}[/bold]\n"
        f"登录 Sign in     [bold]{DISPATCHER}[/bold] / [bold]{demo.password}[/bold]\n"
        f"手机 The phones  {demo.address}/phone\n\n"
        f"场景时间 {options.at:%H:%M}。一分钟内：企业燃气泄漏、道路积水、井盖开启、网关离线、传感器卡死。\n"
        "Within a minute: a gas leak, a flooded road, an open manhole, a dead gateway, a stuck sensor.\n"
        "Ctrl-C 结束 ends it."
    )
    out.print(Panel(text, title="守望 Shouwang", expand=False))
