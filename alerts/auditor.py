"""Proves that every live ticket's next step is scheduled, or names the tickets of which that is not so."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from alerts.escalation import SUSPENDED, Done, Snapshot, decide_next, snapshot
from alerts.escalation_rows import facts, progress, schedule, standing
from alerts.lifecycle import LIVE
from alerts.one_writer import hold_desk
from alerts.rows import rows
from alerts.settings import DEFAULTS, DeskSettings
from alerts.tables import ticket
from alerts.timers import follow, running_stages, wanted
from alerts.words import Row
from core.clock import MINUTE

GRACE = MINUTE
"""So late may a step be that is about to run."""
MENDED = ("no_row", "astray", "no_timer")
"""What is mended by scheduling anew, or starting the timer; a step that is only late is due already."""
_AT_ONCE = 500


class Finding(NamedTuple):
    """A ticket whose next step nobody can count on, and why: no_row, late, astray, never_resumes or no_timer."""

    ticket: int
    number: str
    why: str


class Audit(NamedTuple):
    """What was looked at and what is wrong; `at` in µs UTC."""

    at: int
    tickets: int
    findings: tuple[Finding, ...]


def audit(connection: Connection, now: int, settings: DeskSettings = DEFAULTS) -> Audit:
    """Hold every live ticket's row against what follows from the ticket itself, its policy and what was run."""
    live = list(connection.scalars(select(ticket.c.id).where(ticket.c.status.in_(sorted(LIVE))).order_by(ticket.c.id)))
    findings: list[Finding] = []
    for start in range(0, len(live), _AT_ONCE):
        findings += _look(connection, live[start : start + _AT_ONCE], now, settings)
    return Audit(now, len(live), tuple(findings))


def mend(connection: Connection, findings: Sequence[Finding], now: int, settings: DeskSettings = DEFAULTS) -> None:
    """Schedule anew what was found without its next step, and start the timers that are missing."""
    hold_desk(connection)
    numbers = [each.ticket for each in findings if each.why in MENDED]
    follow(connection, numbers, now, settings)
    schedule(connection, numbers, now, settings)


def judge(about: Row, known: Row | None, done: Done, now: int, settings: DeskSettings) -> str:
    """Why a live ticket's next step can't be counted on; empty when it can."""
    if known is None:
        return "no_row"
    own = snapshot(about, Snapshot.from_json(known["policy"]), now, settings.escalation, done)
    step = decide_next(about, own, done, settings.calendar)
    if (known["state"], known["stage"], known["next_at"]) != (step.state, step.stage, step.next_at):
        return "astray"
    if step.next_at is not None and step.next_at < now - GRACE:
        return "late"
    if step.why == SUSPENDED and (about["resume_at"] is None or about["resume_at"] < now - GRACE):
        return "never_resumes"
    return ""


def _look(connection: Connection, numbers: Sequence[int], now: int, settings: DeskSettings) -> Iterator[Finding]:
    kept: Mapping[int, Row] = standing(connection, numbers)
    done, running = progress(connection, numbers), running_stages(connection, numbers)
    for each in rows(connection, facts().where(ticket.c.id.in_(numbers)).order_by(ticket.c.id)):
        why = judge(each, kept.get(each["id"]), done.get(each["id"], {}), now, settings)
        if not why and wanted(each) - running.get(each["id"], set()):
            why = "no_timer"
        if why:
            yield Finding(each["id"], each["number"], why)
