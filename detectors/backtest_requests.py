"""Backtests as rows: asked for, taken by the one worker, and what came of each."""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, literal, select, update

from core.clock import DAY, SECOND
from detectors.backtest_result import Result
from detectors.tables import backtest, rule_proposal

PLATFORM = "platform"
"""Who asks for the backtests of proposals."""
LONGEST = 400 * DAY
"""The longest span of a backtest, µs."""
LARGEST = 1_000_000
"""The most characters of a rule pack."""
KEPT = 200
"""So many of the newest that are over are kept, and those by which a change was proposed."""
MOST_WAITING = 5
"""So many of one person may wait."""
INTERRUPTED = "interrupted"
"""The error of a backtest that was begun and is to be run again: a second time it fails for good."""

INTERRUPTED_TWICE = "interrupted_twice"
_OVER = ("done", "failed", "cancelled")


class RequestRefused(ValueError):
    """What was asked for makes no backtest; `reason` is empty_span, span_too_long, too_large or too_many."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Requested:
    """A backtest's row; `result` is None until it is done, times are µs UTC."""

    id: int
    asked_at: int
    asked_by: str
    text: str
    since: int
    until: int
    sites: list[str]
    state: str
    begun_at: int | None
    ended_at: int | None
    progress: int
    error: str
    result: Result | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in _OVER


_COLUMNS = [backtest.c[name] for name in Requested.__dataclass_fields__ if name != "result"]
_LISTED = [literal("").label("text") if column.name == "text" else column for column in _COLUMNS]


def request(connection: Connection, text: str, since: int, until: int, sites: list[str], by: str, now: int) -> int:
    """Ask for a backtest of a rule pack over [since, until), which goes out to whole seconds; its id.

    `sites` are codes, none for the whole town. Of all but the platform at most MOST_WAITING may wait. Raises
    RequestRefused.
    """
    since, until = since // SECOND * SECOND, -(-until // SECOND) * SECOND
    until = min(until, now // SECOND * SECOND)  # what was not received yet can't be judged
    refuse(text, since, until)
    mine = select(func.count()).where(backtest.c.state == "waiting", backtest.c.asked_by == by)
    if by != PLATFORM and connection.execute(mine).scalar_one() >= MOST_WAITING:
        raise RequestRefused("too_many", f"{MOST_WAITING} backtests of {by} wait already: let them end or cancel one")
    _forget(connection)
    row = {"asked_at": now, "asked_by": by, "text": text, "since": since, "until": until, "sites": sorted(set(sites))}
    asked = connection.execute(insert(backtest).values(**row, state="waiting").returning(backtest.c.id))
    return int(asked.scalar_one())


def _forget(connection: Connection) -> None:
    newest = select(backtest.c.id).order_by(backtest.c.id.desc()).limit(KEPT)
    proposed = select(rule_proposal.c.backtest).where(rule_proposal.c.backtest.is_not(None))
    gone = ~backtest.c.id.in_(newest) & ~backtest.c.id.in_(proposed) & backtest.c.state.in_(_OVER)
    connection.execute(delete(backtest).where(gone))


def refuse(text: str, since: int, until: int) -> None:
    """Raise RequestRefused for a span or a pack that makes no backtest."""
    if since >= until:
        raise RequestRefused("empty_span", "the span holds nothing: --from must be before --to and before now")
    if until - since > LONGEST:
        raise RequestRefused("span_too_long", f"the span is longer than {LONGEST // DAY} days")
    if len(text) > LARGEST:
        raise RequestRefused("too_large", f"the rule pack has more than {LARGEST:,} characters")


def requested(connection: Connection, number: int) -> Requested | None:
    """One backtest with its result."""
    row = connection.execute(select(*_COLUMNS, backtest.c.result).where(backtest.c.id == number)).first()
    if row is None:
        return None
    found = dict(row._mapping)
    result = found.pop("result")
    return Requested(**found, result=None if result is None else msgspec.convert(result, Result))


def result_of(connection: Connection, number: int) -> Result | None:
    """What a backtest found, None when there is none or it is not done."""
    found = requested(connection, number)
    return found.result if found else None


def list_requests(connection: Connection, limit: int, before: int | None = None) -> list[Requested]:
    """The newest backtests first, without their packs and results."""
    asked = select(*_LISTED).order_by(backtest.c.id.desc()).limit(limit)
    if before is not None:
        asked = asked.where(backtest.c.id < before)
    return [_of(row) for row in connection.execute(asked)]


def waits(connection: Connection) -> bool:
    """Whether any backtest waits."""
    return connection.execute(select(backtest.c.id).where(backtest.c.state == "waiting").limit(1)).first() is not None


def cancel(connection: Connection, number: int, by: str, now: int) -> bool:
    """End a backtest that waits or runs, `error` says who did; False when there is none that could be."""
    going = (backtest.c.id == number) & backtest.c.state.in_(("waiting", "running"))
    ended = {"state": "cancelled", "ended_at": now, "error": by}
    return connection.execute(update(backtest).where(going).values(**ended)).rowcount > 0


def runs(connection: Connection, number: int) -> bool:
    """Whether a backtest is still wanted by those who asked for it."""
    return connection.execute(select(backtest.c.state).where(backtest.c.id == number)).scalar() == "running"


def claim(connection: Connection, owner: str, now: int) -> Requested | None:
    """Take the oldest backtest that waits."""
    waiting = select(backtest.c.id).where(backtest.c.state == "waiting").order_by(backtest.c.id).limit(1)
    number = connection.execute(waiting).scalar()
    taken = {"state": "running", "owner": owner, "begun_at": now, "progress": 0}
    mine = (backtest.c.id == number) & (backtest.c.state == "waiting")
    row = connection.execute(update(backtest).where(mine).values(**taken).returning(*_COLUMNS)).first()
    return None if row is None else _of(row)


def recover(connection: Connection, now: int) -> int:
    """After a restart: what was running waits again, what was interrupted before fails; how many there were."""
    running = backtest.c.state == "running"
    twice = running & (backtest.c.error == INTERRUPTED)
    failed = {"state": "failed", "ended_at": now, "error": INTERRUPTED_TWICE}
    ended = connection.execute(update(backtest).where(twice).values(**failed)).rowcount
    again = {"state": "waiting", "owner": "", "error": INTERRUPTED}
    return ended + connection.execute(update(backtest).where(running).values(**again)).rowcount


def advance(connection: Connection, number: int, percent: int) -> None:
    """Note how far a running backtest is, %."""
    _change(connection, number, progress=percent)


def release(connection: Connection, number: int) -> None:
    """Give a running backtest back unfinished: the platform stops."""
    _change(connection, number, state="waiting", owner="", progress=0)


def finish(connection: Connection, number: int, result: Result, now: int) -> None:
    """Keep what a backtest found."""
    plain = msgspec.to_builtins(result)
    _change(connection, number, state="done", progress=100, ended_at=now, result=plain, error="")


def fail(connection: Connection, number: int, error: str, now: int) -> None:
    """Keep why a backtest found nothing: the code of a reason of the platform's own, or errors, one a line."""
    _change(connection, number, state="failed", ended_at=now, error=error)


def _change(connection: Connection, number: int, **values: Any) -> None:
    running = (backtest.c.id == number) & (backtest.c.state == "running")
    connection.execute(update(backtest).where(running).values(**values))


def _of(row: Row[Any]) -> Requested:
    return Requested(**row._mapping)
