"""`shouwang town`: import and export the town, and give gateways their credentials."""

from pathlib import Path
from typing import Annotated

import typer

from alerts.responder_sheets import RESPONDER_SHEETS
from core.clock import SystemClock
from devices.coordinates import DATUMS
from devices.device_types import load_device_types
from devices.town import ImportRefused, Plan, export_town, import_town
from devices.town_sheets import TOWN_SHEETS
from shouwang.announcing import announce_registry
from shouwang.cli_formats import tell_problems
from shouwang.cli_gateway import give_passwords
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="Import, export, and gateways' credentials.")
_SHOWN, _LONGEST = 20, 60
_KNOWN = ", ".join(DATUMS)
SHEETS = (*TOWN_SHEETS, *RESPONDER_SHEETS)


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
        tell_problems(settings)


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
    give_passwords(settings_from(config), gateways, file)
