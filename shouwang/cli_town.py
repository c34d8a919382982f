"""`shouwang town`: import and export the town, and give gateways their credentials."""

import os
from pathlib import Path
from typing import Annotated

import typer

from alerts.responder_sheets import RESPONDER_SHEETS
from core.clock import SystemClock
from core.database import reading, writing
from devices.coordinates import DATUMS
from devices.credentials import issue_password
from devices.device_types import load_device_types
from devices.enrolment import ensure_registry
from devices.gateways import UnknownGateway
from devices.town import ImportRefused, Plan, export_town, import_town
from devices.town_sheets import TOWN_SHEETS
from ingest.words import RegistryChanged
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors
from shouwang.wiring import append_control, open_database, open_journal, registry_version

app = typer.Typer(no_args_is_help=True, help="Import, export, and gateways' credentials.")
_SHOWN, _LONGEST = 20, 60
_KNOWN = ", ".join(DATUMS)
SHEETS = (*TOWN_SHEETS, *RESPONDER_SHEETS)


def announce_registry(settings: Settings) -> None:
    """Journal that the registry changed, so that a running platform follows at once."""
    engine = open_database(settings)
    with reading(engine) as connection:
        version = registry_version(connection)
    with writing(engine) as connection:
        journal = open_journal(settings, ensure_registry(connection))
    append_control(journal, RegistryChanged(version), SystemClock())
    journal.close()
    engine.dispose()


@app.command("import")
@telling_errors
def import_(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="CSV files and grids.geojson.")],
    config: ConfigOption = None,
    preview: Annotated[bool, typer.Option(help="Only tell what would change.")] = False,
    prune: Annotated[bool, typer.Option(help="Retire what the files no longer hold.")] = False,
    crs: Annotated[str, typer.Option(help=f"Datum of positions without a crs column: {_KNOWN}.")] = "wgs84",
) -> None:
    """Bring the town to what the files say: all of it, or nothing with every error at once."""
    if crs not in DATUMS:
        raise fail(f"unknown datum {crs!r}: choose from {_KNOWN}")
    settings = settings_from(config)
    engine = open_database(settings)
    types = load_device_types(settings.device_types)
    try:
        plan = import_town(engine, folder, SHEETS, types, SystemClock().now(), apply=not preview, prune=prune, crs=crs)
    except ImportRefused as refused:
        raise fail(str(refused)) from refused
    engine.dispose()
    _tell(plan)
    if plan.applied and plan.changes:
        announce_registry(settings)


def _tell(plan: Plan) -> None:
    for name, sheet in plan.sheets.items():
        counts = f"{len(sheet.added)} added, {len(sheet.changed)} changed, {len(sheet.retired)} retired"
        out.print(f"{name:12} {counts}, {sheet.unchanged} unchanged", highlight=False)
        for change in sheet.changed[:_SHOWN]:
            columns = change.columns.items()
            told = "; ".join(f"{column}: {_brief(old)} → {_brief(new)}" for column, (old, new) in columns)
            out.print(f"  ~ {change.key}: {told}", markup=False, highlight=False, soft_wrap=True)
        if len(sheet.changed) > _SHOWN:
            out.print(f"  … and {len(sheet.changed) - _SHOWN} more")
        for key in sheet.retired[:_SHOWN]:
            out.print(f"  - {key}", markup=False, highlight=False, soft_wrap=True)
        if len(sheet.retired) > _SHOWN:
            out.print(f"  … and {len(sheet.retired) - _SHOWN} more")
    out.print("applied" if plan.applied else "nothing was written: this was a preview")


def _brief(value: object) -> str:
    """A value as a line can hold it: a grid's polygon has thousands of characters."""
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


@app.command("export")
@telling_errors
def export(folder: Path, config: ConfigOption = None) -> None:
    """Write the town into a folder; importing it again changes nothing."""
    engine = open_database(settings_from(config))
    export_town(engine, folder, SHEETS)
    out.print(f"written to {folder}", soft_wrap=True)


@app.command("password")
@telling_errors
def password(
    gateways: Annotated[list[str], typer.Argument(help="Codes of gateways.")],
    config: ConfigOption = None,
    file: Annotated[Path | None, typer.Option(help="Write gateway,password lines here.")] = None,
) -> None:
    """Give gateways new passwords: shown once, stored only as hashes; the old ones end."""
    settings = settings_from(config)
    try:
        with writing(open_database(settings)) as connection:
            issued = {code: issue_password(connection, code) for code in gateways}
            lines = "".join(f"{code},{plain}\n" for code, plain in issued.items())
            if file:  # before the commit: the old passwords end only when the new ones can be read
                _write_for_owner(file, lines)
    except FileExistsError as error:
        raise fail(f"{file} is there already: nothing was changed, choose another file") from error
    except UnknownGateway as unknown:
        raise fail(f"there is no gateway {unknown} in service: nothing was changed") from unknown
    announce_registry(settings)
    if file:
        out.print(f"{len(issued)} passwords written to {file}", soft_wrap=True)
    else:
        out.print(lines, end="", highlight=False, markup=False)


def _write_for_owner(file: Path, text: str) -> None:
    """Write a new file that only its owner may read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
