"""Dead letters: what the gate refused, counted always, kept in full up to a limit, and replayed after enrolment."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    LargeBinary,
    RowMapping,
    Select,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from core.clock import HOUR
from core.journal import Offset
from ingest.applied import read_applied, write_applied
from ingest.tables import dead_letter, reject_count
from ingest.words import Message, Reject

CONSUMER = "rejects"
KEPT_AN_HOUR = 1_000
"""So many rejects an hour of one gateway and reason are kept in full."""
EXCERPT = 256
"""So many bytes of a payload are in a list."""
CUT = ("disabled_gateway", "flood", "oversize")
"""The reasons whose payloads are cut, or stand for many: what is left of them can't be replayed."""
_PAGE = 200
_LONGEST_GATEWAY, _LONGEST_REASON = 64, 32


class _BytesHold(FunctionElement[bool]):
    """Whether bytes hold other bytes."""

    type = Boolean()
    inherit_cache = True


@compiles(_BytesHold)
def _compiled(element: _BytesHold, compiler: SQLCompiler, **options: Any) -> str:
    whole, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"instr({whole}, {part}) > 0" if compiler.dialect.name == "sqlite" else f"position({part} IN {whole}) > 0"


class Kept(NamedTuple):
    """What became of a batch of rejects: kept in full, only counted, or dropped as a replay."""

    full: int
    counted: int
    replayed: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message. `size` is the payload's length in bytes; a list holds only its first EXCERPT bytes."""

    id: int
    gateway: str
    reason: str
    detail: str
    topic: str
    payload: bytes
    size: int
    received_at: int
    readings: int
    retained: bool
    replay_asked_at: int | None
    replayed_at: int | None

    @property
    def replayable(self) -> bool:
        """Whether the gate can be given it again: what was cut is no message any more."""
        return self.reason not in CUT


class RejectTotal(NamedTuple):
    """How many messages, with how many readings, of a gateway were refused for a reason."""

    gateway: str
    reason: str
    messages: int
    readings: int


class _Key(NamedTuple):
    hour: int
    gateway: str
    reason: str


def keep(connection: Connection, rejects: Sequence[tuple[Offset, Reject]], upto: Offset) -> Kept:
    """Count these rejects and keep the first KEPT_AN_HOUR in full, in the caller's transaction.

    `upto` is the offset of the last record that was read, of whatever kind; what stands at or before the applied offset
    is dropped. The hour is that of receipt, so that a replay counts the same.
    """
    done = read_applied(connection, CONSUMER)
    if upto <= done:
        return Kept(0, 0, len(rejects))
    fresh = [(offset, reject) for offset, reject in rejects if offset > done]
    counts = _counts(connection, {_key(reject) for _, reject in fresh})
    rows = []
    messages, readings = Counter[_Key](), Counter[_Key]()
    for offset, reject in fresh:
        key = _key(reject)
        if counts.get(key, 0) + messages[key] < KEPT_AN_HOUR:
            rows.append(_row(offset, reject))
        messages[key] += reject.messages
        readings[key] += reject.readings
    if rows:
        connection.execute(insert(dead_letter), rows)
    for key, number in messages.items():
        _count(connection, key, number, readings[key], known=key in counts)
    write_applied(connection, CONSUMER, upto)
    return Kept(len(rows), len(fresh) - len(rows), len(rejects) - len(fresh))


def list_dead_letters(
    connection: Connection,
    gateway: str | None = None,
    reason: str | None = None,
    since: int | None = None,
    limit: int = 100,
    contains: str | None = None,
    before: int | None = None,
) -> list[DeadLetter]:
    """The newest dead letters, each with the beginning of its payload.

    `since` is µs UTC of receipt; `contains` stands in detail, topic or payload; `before` is the id of the last one that
    is known already.
    """
    payload = func.substr(dead_letter.c.payload, 1, EXCERPT).label("payload")
    asked = _letters(payload).where(*_filter(gateway, reason, since, contains))
    asked = asked.order_by(dead_letter.c.id.desc())
    if before is not None:
        asked = asked.where(dead_letter.c.id < before)
    return [_letter(row) for row in connection.execute(asked.limit(limit)).mappings()]


def show(connection: Connection, letter: int) -> DeadLetter | None:
    """One dead letter with its whole payload, None when there is none of this id."""
    row = connection.execute(_letters(dead_letter.c.payload).where(dead_letter.c.id == letter)).mappings().one_or_none()
    return _letter(row) if row else None


def totals(
    connection: Connection, since: int, gateway: str | None = None, reason: str | None = None
) -> list[RejectTotal]:
    """What was refused since the beginning of the hour of `since`, by gateway and reason, most messages first."""
    messages, readings = func.sum(reject_count.c.messages), func.sum(reject_count.c.readings)
    named = [(reject_count.c.gateway, gateway), (reject_count.c.reason, reason)]
    asked = (
        select(reject_count.c.gateway, reject_count.c.reason, messages, readings)
        .where(reject_count.c.hour >= since - since % HOUR, *(c == name for c, name in named if name is not None))
        .group_by(reject_count.c.gateway, reject_count.c.reason)
        .order_by(messages.desc(), reject_count.c.gateway, reject_count.c.reason)
    )
    return [RejectTotal(gateway, reason, int(m), int(r)) for gateway, reason, m, r in connection.execute(asked)]


def refused_again(connection: Connection, letters: Sequence[DeadLetter]) -> dict[int, int]:
    """What became of replayed letters: for each that the gate refused once more, in whole or part, the new one's id."""
    replayed = [letter for letter in letters if letter.replayed_at]
    if not replayed:
        return {}
    columns = dead_letter.c
    came_at, first = {letter.received_at for letter in replayed}, min(letter.id for letter in replayed)
    asked = select(columns.id, columns.gateway, columns.received_at)
    asked = asked.where(columns.id > first, columns.received_at.in_(came_at))
    later = connection.execute(asked.order_by(columns.id)).all()
    same = {letter.id: [r.id for r in later if _follows(r, letter)] for letter in replayed}
    return {letter: ids[0] for letter, ids in same.items() if ids}


def _follows(row: Any, letter: DeadLetter) -> bool:
    return bool(row.id > letter.id and (row.gateway, row.received_at) == (letter.gateway, letter.received_at))


def replayable(
    connection: Connection,
    gateway: str | None = None,
    reason: str | None = None,
    since: int | None = None,
    contains: str | None = None,
) -> Iterator[tuple[int, Message]]:
    """The dead letters that were not replayed yet, with their ids, in order of arrival; read page by page."""
    columns = dead_letter.c
    last = -1
    asked = select(columns.journal_n, columns.id, columns.topic, columns.payload, columns.received_at, columns.retained)
    asked = asked.where(
        *_filter(gateway, reason, since, contains), columns.replayed_at.is_(None), columns.reason.not_in(CUT)
    )
    asked = asked.order_by(columns.journal_n)
    while page := connection.execute(asked.where(columns.journal_n > last).limit(_PAGE)).all():
        for row in page:
            yield row.id, Message(row.topic, bytes(row.payload), row.received_at, row.retained)
        last = page[-1].journal_n


def ask_for_all(
    connection: Connection,
    gateway: str | None,
    reason: str | None,
    since: int | None,
    contains: str | None,
    now: int,
) -> int:
    """Have every letter replayed that `replayable` would give; how many. One statement, however many they are."""
    columns = dead_letter.c
    waiting = update(dead_letter).where(columns.replayed_at.is_(None), columns.reason.not_in(CUT))
    chosen = waiting.where(*_filter(gateway, reason, since, contains))
    return connection.execute(chosen.values(replay_asked_at=now)).rowcount


def mark_replayed(connection: Connection, letters: Sequence[int], now: int) -> None:
    """Note when these dead letters were given to the gate again."""
    for start in range(0, len(letters), _PAGE):
        part = dead_letter.c.id.in_(letters[start : start + _PAGE])
        connection.execute(update(dead_letter).where(part).values(replayed_at=now))


def _key(reject: Reject) -> _Key:
    return _Key(reject.received_at - reject.received_at % HOUR, *_names(reject))


def _names(reject: Reject) -> tuple[str, str]:
    """Gateway and reason as the columns hold them: a gateway's name is whatever stood in the topic."""
    return _text(reject.gateway)[:_LONGEST_GATEWAY], _text(reject.reason)[:_LONGEST_REASON]


def _text(text: str) -> str:
    """The text without NUL, which PostgreSQL refuses."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _row(offset: Offset, reject: Reject) -> dict[str, Any]:
    gateway, reason = _names(reject)
    return {
        "journal_n": offset.n,
        "gateway": gateway,
        "reason": reason,
        "detail": _text(reject.detail),
        "topic": _text(reject.topic),
        "payload": reject.payload,
        "received_at": reject.received_at,
        "readings": reject.readings,
        "retained": reject.retained,
    }


def _counts(connection: Connection, keys: set[_Key]) -> dict[_Key, int]:
    """How many messages were counted under these keys so far; only those that have a row."""
    hours = {key.hour for key in keys}
    columns = reject_count.c
    asked = select(columns.hour, columns.gateway, columns.reason, columns.messages).where(columns.hour.in_(hours))
    found = {_Key(hour, gateway, reason): messages for hour, gateway, reason, messages in connection.execute(asked)}
    return {key: found[key] for key in keys & found.keys()}


def _count(connection: Connection, key: _Key, messages: int, readings: int, known: bool) -> None:
    columns = reject_count.c
    if not known:
        row = {**key._asdict(), "messages": messages, "readings": readings}
        connection.execute(insert(reject_count).values(row))
        return
    mine = [columns[name] == value for name, value in key._asdict().items()]
    grown = {"messages": columns.messages + messages, "readings": columns.readings + readings}
    connection.execute(update(reject_count).where(*mine).values(grown))


def _letters(payload: ColumnElement[bytes]) -> Select[Any]:
    size = func.length(dead_letter.c.payload).label("size")
    plain = [dead_letter.c[field.name] for field in fields(DeadLetter) if field.name not in {"payload", "size"}]
    return select(*plain, payload, size)


def _letter(row: RowMapping) -> DeadLetter:
    return DeadLetter(**{**row, "payload": bytes(row["payload"] or b"")})  # SQLite makes NULL of a part of nothing


def _filter(
    gateway: str | None, reason: str | None, since: int | None, contains: str | None
) -> list[ColumnElement[bool]]:
    columns = dead_letter.c
    named = [(columns.gateway, gateway), (columns.reason, reason)]
    asked = [column == name for column, name in named if name is not None]
    if since is not None:
        asked.append(columns.received_at >= since)
    return [*asked, _holds(contains)] if contains else asked


def _holds(text: str) -> ColumnElement[bool]:
    """Whether the text stands in a letter's words or its payload."""
    pattern = f"%{text.replace('/', '//').replace('%', '/%').replace('_', '/_')}%"
    columns = dead_letter.c
    return or_(
        columns.detail.like(pattern, escape="/"),
        columns.topic.like(pattern, escape="/"),
        _BytesHold(columns.payload, literal(text.encode(), LargeBinary)),
    )
