"""`shouwang backtest`: what a rule pack would have said of the stored readings, beside what today's rules say."""

import json
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from sqlalchemy import Engine

from console.language import dated, grouped, named, number
from console.language import text as said
from core.clock import SECOND, SHANGHAI, Clock, SystemClock, local, moment_of
from core.database import reading, writing
from core.lifecycle import PartFailed
from detectors.backtest_requests import INTERRUPTED, RequestRefused, cancel, refuse, request, requested
from detectors.backtest_result import Episode, Listing, Result, Row
from detectors.rules import RuleErrors, newest_version
from detectors.tried import TRIED, tried_rules
from devices.device_types import load_device_types
from shouwang.backtest_process import Job
from shouwang.backtests import BacktestFailed, conduct
from shouwang.cli_rules import language_of
from shouwang.cli_rules_edit import database_of, in_file, tell_errors, text_of
from shouwang.role_lock import RoleLocks
from shouwang.rules_at_start import rules_at_start
from shouwang.settings import Settings
from shouwang.stores import open_readings
from shouwang.terminal import ConfigOption, errors, fail, out, settings_from, telling_errors

_LOOK = 0.5  # s between two looks at a request
_SHOWN = 20
_HERE = "command line"


def add_to(app: typer.Typer) -> None:
    """Add the command to `shouwang`."""
    app.command("backtest")(backtest)


@telling_errors
def backtest(
    rules: Annotated[
        Path, typer.Option(help="The rule pack to try beside the rules in force.", exists=True, dir_okay=False)
    ],
    since: Annotated[str, typer.Option("--from", help="Local date or time, such as 2026-09-01 or 2026-09-01T08:00.")],
    until: Annotated[str, typer.Option("--to", help="Likewise; a date without a time is included whole.")],
    site: Annotated[list[str] | None, typer.Option(help="Only devices at this site; may be given again.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
    language: Annotated[str, typer.Option(help="zh or en; by default the platform's.")] = "",
    config: ConfigOption = None,
) -> None:
    """Try a rule pack on what is stored: alerts, tickets, what is new, what is lost, how much sooner, by site.

    A running platform does it in a process beside itself; without one it is done here. Nothing is changed. Status 1
    when there was nothing to judge.
    """
    settings, clock = settings_from(config), SystemClock()
    language = language_of(language, settings)
    span = moment(since, "--from"), min(moment(until, "--to", after=True), clock.now() // SECOND * SECOND)
    text = text_of(rules)
    try:
        refuse(text, *span)
        found = _found(settings, clock, text, span, tuple(site or ()))
    except RequestRefused as refusal:
        raise fail(str(refusal)) from refusal
    except BacktestFailed as failure:
        raise fail(named(language, "backtest_error", failure)) from failure
    except RuleErrors as wrong:
        tell_errors(in_file(wrong.errors, TRIED, rules))
        raise typer.Exit(1) from wrong
    if json_:
        out.print_json(json.dumps(msgspec.to_builtins(found), ensure_ascii=False))
    elif found.readings:
        show(found, language)
    if not found.readings:
        raise fail(said(language, "backtest.no_readings"))


def moment(text: str, option: str, after: bool = False) -> int:
    """The moment (µs) of a local date or time; `after`: of a date without a time its end."""
    refusal = f"{option} {text!r} is no local date or time, such as 2026-09-01 or 2026-09-01T08:00"
    try:
        at = datetime.fromisoformat(text)
        whole = after and len(text) == len("2026-09-01")
        local_time = at + timedelta(days=1) if whole else at
    except (ValueError, OverflowError) as error:
        raise fail(refusal) from error
    if at.tzinfo is not None:
        raise fail(refusal)
    return moment_of(local_time.replace(tzinfo=SHANGHAI))


def _found(settings: Settings, clock: Clock, text: str, span: tuple[int, int], sites: tuple[str, ...]) -> Result:
    """Here, when no other process owns the readings store, else by that one."""
    engine = database_of(settings)
    types = load_device_types(settings.device_types)
    with reading(engine) as connection:
        tried_rules(connection, text, settings.rules, types)
        known = newest_version(connection) is not None
    locks = RoleLocks(settings.state)
    try:
        locks.take(["store"])
    except PartFailed:
        return _asked(engine, clock, text, span, sites)
    try:
        if not known:
            rules_at_start(engine, settings.rules, types, clock.now())
        job = Job(settings, text, *span, sites, clock.now())
        span_told = f"{local(span[0]):%Y-%m-%d %H:%M} – {local(span[1]):%Y-%m-%d %H:%M}"
        with closing(open_readings(settings, engine, written_here=False)) as store, errors.status(span_told) as status:
            return conduct(job, store, threading.Event(), lambda percent: status.update(f"{span_told} {percent} %"))
    finally:
        locks.release()
        engine.dispose()


def _asked(engine: Engine, clock: Clock, text: str, span: tuple[int, int], sites: tuple[str, ...]) -> Result:
    """Have the running platform do it, and wait."""
    with writing(engine) as connection:
        filed = request(connection, text, *span, list(sites), _HERE, clock.now())
    try:
        return _awaited(engine, filed)
    except KeyboardInterrupt:
        with writing(engine) as connection:
            cancel(connection, filed, _HERE, clock.now())
        raise


def _awaited(engine: Engine, filed: int) -> Result:
    with errors.status(f"#{filed}") as status:
        while True:
            with reading(engine) as connection:
                row = requested(connection, filed)
            if row is None or row.state == "failed":
                raise BacktestFailed(row.error if row else INTERRUPTED)
            if row.state == "cancelled":
                raise BacktestFailed(f"backtest {filed} was cancelled by {row.error}")
            if row.result is not None:
                return row.result
            status.update(f"#{filed} {row.state} {row.progress} %")
            time.sleep(_LOOK)


def show(result: Result, language: str) -> None:
    """The result as tables."""
    out.print(
        said(language, "backtest.span", since=dated(result.since), until=dated(result.until))
        + "  "
        + said(language, "backtest.read", readings=grouped(result.readings), seconds=number(result.seconds)),
        highlight=False,
    )
    sides = Table("", *(said(language, f"backtest.{name}") for name in ("today", "tried")))
    for name in ("alerts", "recorded", "tickets"):
        pair = [grouped(getattr(side, name)) for side in (result.today, result.tried)]
        sides.add_row(said(language, f"backtest.{name}"), *pair)
    out.print(sides)
    lead = result.lead_s
    figures = {name: number(getattr(lead, name)) for name in ("median", "longest", "shortest")}
    counts = {"matched": lead.matched, "earlier": lead.earlier, "later": lead.later}
    if lead.matched:
        out.print(said(language, "backtest.lead", **counts, **figures), highlight=False)
    for name, rows in (("site", result.by_site), ("rule", result.by_rule)):
        out.print(_by(said(language, f"backtest.{name}"), rows, language))
    for name, listing in (("new", result.new), ("lost", result.lost)):
        _list(said(language, f"backtest.{name}"), listing, language)
    left = ", ".join(each.rule for each in result.left_out)
    if left:
        out.print(f"{said(language, 'backtest.left_out')}: {left}", highlight=False, markup=False)


def _by(title: str, rows: dict[str, Row], language: str) -> Table:
    columns = ("today", "tried", "new", "lost")
    table = Table(title, *(said(language, f"backtest.{name}") for name in columns))
    for code, row in rows.items():
        table.add_row(code or "—", *(grouped(getattr(row, name)) for name in columns))
    return table


def _list(title: str, listing: Listing, language: str) -> None:
    out.print(f"{title}: {listing.count}", highlight=False)
    for each in listing.episodes[:_SHOWN]:
        out.print(f"  {_line(each, language)}", highlight=False, markup=False)


def _line(each: Episode, language: str) -> str:
    severity = said(language, f"severity.{each.severity}")
    return f"{dated(each.told)} {severity} {each.rule} {each.device} {each.site} {number(each.value, 2)}"
