"""`shouwang ticket`: a ticket's evidence pack as a file."""

import os
import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from console.evidence_work import PackRefused, drop_folder, make_pack, new_folder
from core.clock import SystemClock
from devices.device_types import load_device_types
from ingest.store import StoreBusy
from shouwang.stores import open_readings
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="Tickets: export the evidence of a case.")
_REFUSALS = {
    "no_ticket": "there is no ticket {number}",
    "no_reports": 'the extra [reports] is not installed: pip install "shouwang[reports]"',
    "busy": "another pack is being made",
    "too_slow": "the pack was not made in time",
    "failed": "the pack could not be made; what is above says why",
}


@app.callback()
def _tickets() -> None:
    """Keeps `export` a command of its own."""


@app.command("export")
@telling_errors
def export(
    number: Annotated[str, typer.Argument(help="The ticket's number, such as 20260921-0001.")],
    file: Annotated[Path, typer.Option("--out", dir_okay=False, help="Where the ZIP goes.")],
    config: ConfigOption = None,
    language: Annotated[Literal["zh", "en"], typer.Option(help="zh or en.")] = "zh",
    phones: Annotated[bool, typer.Option("--phones", help="Personal phone numbers whole instead of masked.")] = False,
    readings: Annotated[bool, typer.Option(help="Readings and curves; the store must not be in use.")] = True,
) -> None:
    """Write a ticket's evidence: case file, readings, photos, timeline and SHA-256 sums in one ZIP."""
    settings = settings_from(config)
    engine = open_database(settings)
    store = None
    if readings:
        try:
            store = open_readings(settings, engine, written_here=False)
        except StoreBusy as busy:
            hint = "download the pack from the running console instead, or leave them out with --no-readings"
            raise fail(f"{busy}\n{hint}") from busy
    folder = new_folder()
    try:
        wanted = (number, language, phones, SystemClock().now())
        types = load_device_types(settings.device_types)
        made = make_pack(engine, store, types, wanted, folder, "" if readings else "left_out")
        _put(made, file)
    except PackRefused as refused:
        raise fail(_REFUSALS[refused.reason].format(number=number)) from refused
    finally:
        drop_folder(folder)
        if store is not None:
            store.close()
        engine.dispose()
    out.print(f"{file}: {file.stat().st_size:,} bytes", highlight=False, soft_wrap=True)


def _put(made: Path, file: Path) -> None:
    """Whole or not at all."""
    beside = file.with_name(f".{file.name}.part")
    shutil.copyfile(made, beside)
    os.replace(beside, file)
