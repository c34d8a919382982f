"""`shouwang drill`: call people with a synthetic alarm, by hand or each week, and see who answered."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from sqlalchemy import Connection, select

from alerts import drills
from alerts.drill_report import OUTCOMES, report_csv
from alerts.drill_schedule import DrillSchedule
from alerts.escalation_tables import drill_run
from alerts.refusals import DrillRefused
from alerts.rows import first_row
from alerts.town_view import TownView, load_town_view
from alerts.words import Row
from core.clock import MINUTE, SystemClock, local
from core.database import reading, writing
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="Drills: synthetic alarms that test whether people can be reached.")
_SHORTEST, _LONGEST = 1, 24 * 60


@app.command("define")
@telling_errors
def define(
    name: Annotated[str, typer.Argument(help="What people read, such as 周一联络演练.")],
    config: ConfigOption = None,
    teams: Annotated[str, typer.Option(help="Codes of teams and stations, comma-separated; none: everybody.")] = "",
    days: Annotated[str, typer.Option(help="Days of the week, 1 Monday to 7 Sunday; none: only by hand.")] = "",
    at: Annotated[str, typer.Option(help="Local time, such as 10:00.")] = "10:00",
    window: Annotated[int, typer.Option(min=_SHORTEST, max=_LONGEST, help="Minutes in which answers count.")] = 30,
    wakes: Annotated[bool, typer.Option("--wakes", help="As 紧急: through quiet hours, and by phone calls.")] = False,
) -> None:
    """Write down a drill."""
    chosen = [code.strip() for code in teams.split(",") if code.strip()]
    schedule = DrillSchedule(_days(days), at, wakes)
    with _desk(settings_from(config)) as (connection, town):
        now = SystemClock().now()
        made = drills.define(connection, town, name, getpass.getuser(), now, chosen, schedule, window * MINUTE)
    out.print(f"drill {made['id']}: {_next(made)}", highlight=False)


@app.command("list")
@telling_errors
def list_(config: ConfigOption = None) -> None:
    """The drills that are held, and their last runs."""
    table = Table("drill", "name", "whom", "next", "runs, the newest first")
    with reading(open_database(settings_from(config))) as connection:
        for each in drills.drills(connection):
            runs = "\n".join(_brief(run) for run in drills.runs_of(connection, each["id"], 5))
            whom = ", ".join(each["teams"]) or "everybody"
            table.add_row(str(each["id"]), each["name"], whom, _next(each), runs)
    out.print(table)


@app.command("start")
@telling_errors
def start(drill: int, config: ConfigOption = None) -> None:
    """Begin a drill now; the running platform sends its notices."""
    settings = settings_from(config)
    with _desk(settings) as (connection, town):
        now, policies = SystemClock().now(), settings.desk.policies()
        run = drills.start(connection, town, drill, now, policies, getpass.getuser())
    out.print(f"run {run['id']}: answers count until {_moment(run['ends_at'])}", highlight=False)


@app.command("end")
@telling_errors
def end(run: int, config: ConfigOption = None) -> None:
    """End a run before its window is over."""
    settings = settings_from(config)
    with _desk(settings) as (connection, town):
        ended = drills.end(connection, town, run, SystemClock().now(), settings.desk.policies())
    out.print(_brief(ended), highlight=False)


@app.command("retire")
@telling_errors
def retire(drill: int, config: ConfigOption = None) -> None:
    """Hold a drill no more; its reports stay."""
    with _desk(settings_from(config)) as (connection, _):
        drills.retire(connection, drill)
    out.print(f"drill {drill} is held no more", highlight=False)


@app.command("report")
@telling_errors
def report(
    run: int,
    config: ConfigOption = None,
    file: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write it as CSV.")] = None,
    language: Annotated[Literal["zh", "en"], typer.Option(help="zh or en.")] = "zh",
) -> None:
    """Who was called, on which channel they were reached, when they answered, and who was not reached."""
    with reading(open_database(settings_from(config))) as connection:
        found = first_row(connection, select(drill_run).where(drill_run.c.id == run))
    if found is None:
        raise fail(f"there is no run {run}")
    if found["report"] is None:
        raise fail(f"run {run} goes on until {_moment(found['ends_at'])}: there is no report yet")
    if file is not None:
        file.write_text(report_csv(found["report"], language), encoding="utf-8", newline="")
        out.print(f"written to {file}", soft_wrap=True)
        return
    table = Table("code", "name", "outcome", "channel", "answered", "tried")
    for row in (*found["report"]["people"], *found["report"]["groups"]):
        outcome = getattr(OUTCOMES[row["outcome"]], language)
        answered = _moment(row["replied_at"]) if row["replied_at"] else ""
        table.add_row(row["code"], row.get("name") or "", outcome, row["channel"] or "", answered, row["tried"])
    out.print(table)


@contextmanager
def _desk(settings: Settings) -> Iterator[tuple[Connection, TownView]]:
    """One transaction, and the town; a refusal ends the command."""
    engine = open_database(settings)
    try:
        with writing(engine) as connection:
            yield connection, load_town_view(connection)
    except DrillRefused as refused:
        raise fail(f"{refused.text}\n{refused.text_en}") from refused
    finally:
        engine.dispose()


def _days(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(day) for day in text.split(",") if day.strip())
    except ValueError as error:
        raise fail(f"--days {text!r} are no days, such as 1,4") from error


def _next(row: Row) -> str:
    return f"next {_moment(row['next_at'])}" if row["next_at"] else "by hand"


def _brief(run: Row) -> str:
    if run["report"] is None:
        return f"run {run['id']}: until {_moment(run['ends_at'])}"
    counts = run["report"]["counts"]
    return f"run {run['id']}: {_moment(run['began_at'])}, {counts['answered']} of {run['report']['called']} answered"


def _moment(at: int) -> str:
    return f"{local(at):%Y-%m-%d %H:%M:%S}"
