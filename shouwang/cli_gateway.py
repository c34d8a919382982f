"""`shouwang gateway`: who is there, and each one's credential and standing."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy import Connection

from core.clock import SystemClock, local
from core.database import reading, writing
from devices.credentials import Pbkdf2Hash, issue_password
from devices.device_types import load_device_types
from devices.gateways import (
    Standing,
    UnknownGateway,
    disable_gateway,
    enable_gateway,
    list_gateways,
    revoke_password,
)
from devices.registry import load_registry
from ingest.gateway_figures import GatewayReport, list_gateway_reports
from shouwang.announcing import announce_registry
from shouwang.broker_control import DynamicSecurity, PluginRefused
from shouwang.cli_broker import broker_address
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, errors, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="Gateways: their credentials, and who is shut out.")
_FILE = Annotated[Path | None, typer.Option(help="Write gateway,password lines here.")]
_CODE = Annotated[str, typer.Argument(help="A gateway's code.")]


@app.command("list")
@telling_errors
def list_(config: ConfigOption = None) -> None:
    """All gateways that are not retired, and whether each may connect."""
    engine = open_database(settings_from(config))
    with reading(engine) as connection:
        found = list_gateways(connection)
        reports = {report.gateway: report for report in list_gateway_reports(connection)}
    engine.dispose()
    table = Table("gateway", "format", "site", "standing", "last received", "clock off")
    for row in found:
        table.add_row(row.code, row.format, row.site, _standing(row), *_heard(reports.get(row.code)))
    out.print(table if found else "no gateways yet: `shouwang town import FOLDER`")


def _heard(report: GatewayReport | None) -> tuple[str, str]:
    if report is None or report.last_received_at is None:
        return "never", ""
    off = "" if report.clock_off_s is None else f"{-report.clock_off_s:+.0f} s"  # ahead is +
    return f"{local(report.last_received_at):%Y-%m-%d %H:%M:%S}", off


def _standing(row: Standing) -> str:
    if row.disabled_at:
        return f"disabled {local(row.disabled_at):%Y-%m-%d %H:%M}: {row.disabled_why}"
    if not row.password_hash:
        return "no password"
    return "may connect" if Pbkdf2Hash.parse(row.password_hash) else "needs a new password for an outside broker"


@app.command("password")
@telling_errors
def password(code: _CODE, config: ConfigOption = None, file: _FILE = None) -> None:
    """Give a gateway a new password: shown once, stored only as a hash; the old one ends."""
    give_passwords(settings_from(config), [code], file)


def give_passwords(settings: Settings, codes: Sequence[str], file: Path | None) -> None:
    """Give gateways new passwords, here and at a broker with live accounts; print them, or write them to a new file."""
    engine = open_database(settings)
    try:
        with writing(engine) as connection:
            issued = {code: issue_password(connection, code) for code in codes}
            lines = "".join(f"{code},{plain}\n" for code, plain in issued.items())
            if file:  # before the commit: the old passwords end only when the new ones can be read
                _write_for_owner(file, lines)
    except FileExistsError as error:
        raise fail(f"{file} is there already: nothing was changed, choose another file") from error
    except UnknownGateway as unknown:
        raise fail(f"there is no gateway {unknown} in service: nothing was changed") from unknown
    finally:
        engine.dispose()
    announce_registry(settings)
    if file:
        out.print(f"{len(issued)} passwords written to {file}", soft_wrap=True)
    else:
        out.print(lines, end="", highlight=False, markup=False)
    _at_broker(settings, issued)


def _write_for_owner(file: Path, text: str) -> None:
    """Write a new file that only its owner may read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


@app.command("revoke")
@telling_errors
def revoke(code: _CODE, config: ConfigOption = None) -> None:
    """End a gateway's password without a new one."""
    settings = settings_from(config)
    with _changing(settings, code) as connection:
        changed = revoke_password(connection, code)
    _follow(settings, code, f"{code} has no password any more" if changed else f"{code} has none")


@app.command("disable")
@telling_errors
def disable(
    code: _CODE, why: Annotated[str, typer.Option(help="Shown wherever the gateway is.")], config: ConfigOption = None
) -> None:
    """Shut a gateway out: no connection, and nothing of it taken, until it is enabled."""
    settings = settings_from(config)
    with _changing(settings, code) as connection:
        changed = disable_gateway(connection, code, why, SystemClock().now())
    _follow(settings, code, f"{code} is disabled" if changed else f"{code} is disabled already")


@app.command("enable")
@telling_errors
def enable(code: _CODE, config: ConfigOption = None) -> None:
    """Let a gateway in again, with the password it has."""
    settings = settings_from(config)
    with _changing(settings, code) as connection:
        changed = enable_gateway(connection, code)
    _follow(settings, code, f"{code} may connect again" if changed else f"{code} is not disabled")


@contextmanager
def _changing(settings: Settings, code: str) -> Iterator[Connection]:
    """A transaction on the database. A gateway that is not there ends the command."""
    engine = open_database(settings)
    try:
        with writing(engine) as connection:
            yield connection
    except UnknownGateway as unknown:
        raise fail(f"there is no gateway {code} in service: nothing was changed") from unknown
    finally:
        engine.dispose()


def _follow(settings: Settings, code: str, told: str) -> None:
    """Let a running platform and its broker follow; also when nothing changed, for the broker may not have heard."""
    announce_registry(settings)
    out.print(told, highlight=False, markup=False)
    _at_broker(settings, {code: None})


def _at_broker(settings: Settings, passwords: Mapping[str, str | None]) -> None:
    """Bring gateways' standing, and the new passwords among them, to a broker whose accounts can be changed live."""
    address = broker_address(settings)
    if address is None:
        return  # the embedded broker follows the registry
    engine = open_database(settings)
    registry = load_registry(engine, load_device_types(settings.device_types))
    engine.dispose()
    try:
        with DynamicSecurity(address, timeout=3) as plugin:
            for code, plain in passwords.items():
                plugin.bring(registry, code, plain)
    except PluginRefused as refused:
        errors.print(str(refused), style="yellow", markup=False, highlight=False, soft_wrap=True)
    except OSError as error:
        text = f"the broker was not told ({error}): `shouwang broker export` and reload it, or `shouwang broker sync`"
        errors.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
    else:
        out.print("the broker knows", highlight=False)
