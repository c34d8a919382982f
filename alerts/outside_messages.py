"""What another platform asks for: a ticket or a move, once for each key, however often it is sent.

Pure of HTTP: a request is a body, a key and a moment; an answer is a status and a JSON value.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, select, update

from alerts.case_tables import outside_message
from alerts.lifecycle import Role
from alerts.manual_tickets import Outside, Report, report
from alerts.moves import Moved, move
from alerts.one_writer import hold_desk
from alerts.refusals import Refusal
from alerts.rows import first_row
from alerts.settings import DeskSettings
from alerts.tables import ticket
from alerts.town_view import TownView
from alerts.words import Row, Words
from core.clock import MILLISECOND
from devices.geometry import bd09_to_wgs84, gcj02_to_wgs84
from ingest.words import Rearm

_Shape = TypeVar("_Shape")
KEY_CHARACTERS = 80
_DIGEST = 16
_UNFINISHED = frozenset({404, 409})

WRONG: dict[str, Words] = {
    "bad_body": Words("内容不是所要求的 JSON", "The body is not the JSON that is wanted"),
    "bad_key": Words("须有 Idempotency-Key，不超过 80 个字符", "An Idempotency-Key of up to 80 characters is wanted"),
    "key_reused": Words("该 Idempotency-Key 已用于另一内容", "The Idempotency-Key was used for something else"),
    "unknown_ticket": Words("没有贵平台的这个工单", "You have handed in no such ticket"),
    "unknown_datum": Words("坐标系只能是 WGS84、GCJ02 或 BD09", "The datum must be WGS84, GCJ02 or BD09"),
}
_DATUMS = {"WGS84": lambda lng, lat: (lng, lat), "GCJ02": gcj02_to_wgs84, "BD09": bd09_to_wgs84}


Line = Annotated[str, msgspec.Meta(max_length=200)]
Long = Annotated[str, msgspec.Meta(max_length=2000)]
Number = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=2**42)]
"""ms UTC, until the year 2109."""


class OutsideTicket(msgspec.Struct, forbid_unknown_fields=True):
    """A ticket as another platform hands it in; `number` is its own, `datum` that of the position."""

    number: Number
    title: Line
    category: Line
    severity: int = 2
    class_code: Line = ""
    component_code: Annotated[str, msgspec.Meta(max_length=16)] = ""
    description: Long = ""
    hazard: Annotated[str, msgspec.Meta(min_length=1, max_length=24)] = "other"
    site: Line | None = None
    lng: float | None = None
    lat: float | None = None
    datum: str = "WGS84"
    address: Line = ""
    reporter: Line = ""
    phone: Annotated[str, msgspec.Meta(max_length=32)] = ""


class OutsideMove(msgspec.Struct, forbid_unknown_fields=True):
    """A move of a ticket that the platform handed in, by its own number; `until` in ms UTC, `who` its own person."""

    number: Number
    action: Line
    opinion: Long = ""
    cause: Line = ""
    until: Moment | None = None
    who: Line = ""


class Asked(NamedTuple):
    """One request of a platform: who, under which key, what, when (µs UTC)."""

    system: str
    key: str
    body: bytes
    now: int
    role: Role = "leader"


class Answer(NamedTuple):
    """What it is told; `rearm` must be journalled before the commit."""

    status: int
    said: Mapping[str, Any]
    ticket: int | None = None
    rearm: tuple[Rearm, ...] = ()


def take_ticket(connection: Connection, town: TownView, asked: Asked, settings: DeskSettings) -> Answer:
    """Make a ticket of a report: 201, or 200 for one that it has become already under another key."""
    return _once(connection, asked, lambda: _ticket(connection, town, asked, settings))


def take_move(connection: Connection, town: TownView, asked: Asked, settings: DeskSettings) -> Answer:
    """Move a ticket that the platform handed in: 200 with the status that it has then."""
    return _once(connection, asked, lambda: _move(connection, town, asked, settings))


def who_of(system: str) -> str:
    """Who acts in the log when a platform does."""
    return f"outside:{system}"


def refusal(status: int, code: str, words: Words, detail: str = "") -> Answer:
    """An answer that says why not, in both languages."""
    error = {"code": code, "zh": words.zh, "en": words.en, **({"detail": detail} if detail else {})}
    return Answer(status, {"error": error})


def _once(connection: Connection, asked: Asked, do: Any) -> Answer:
    """The answer that the key has already, else what comes of doing it, which is kept with it.

    A refusal that other circumstances would lift has changed nothing, so that the same request is judged anew.
    """
    if not 0 < len(asked.key) <= KEY_CHARACTERS or not asked.key.isprintable():
        return refusal(400, "bad_key", WRONG["bad_key"])
    hold_desk(connection)
    digest = hashlib.sha256(asked.body).hexdigest()[:_DIGEST]
    kept = _kept(connection, asked)
    if kept:
        said = msgspec.json.decode(kept["answer"])
        if said.pop("of") != digest:
            return refusal(422, "key_reused", WRONG["key_reused"])
        if kept["status"] not in _UNFINISHED:
            return Answer(kept["status"], said, kept["ticket"])
    try:
        with connection.begin_nested():
            answer: Answer = do()
    except Refusal as refused:
        answer = refusal(409, refused.reason, Words(refused.text, refused.text_en))
    _keep(connection, asked, answer, digest, kept)
    return answer


def _ticket(connection: Connection, town: TownView, asked: Asked, settings: DeskSettings) -> Answer:
    said, wrong = _read(asked.body, OutsideTicket)
    if said is None:
        return refusal(422, "bad_body", WRONG["bad_body"], wrong)
    if said.datum not in _DATUMS:
        return refusal(422, "unknown_datum", WRONG["unknown_datum"])
    known = _of(connection, asked.system, said.number)
    made = known or report(
        connection,
        town,
        _report(said),
        asked.now,
        "outside",
        who_of(asked.system),
        Outside(asked.system, said.number),
        settings,
    )
    return Answer(200 if known else 201, _standing(made), made["id"])


def _report(said: OutsideTicket) -> Report:
    lng, lat = said.lng, said.lat
    if lng is not None and lat is not None:
        lng, lat = _DATUMS[said.datum](lng, lat)
    given = {name: getattr(said, name) for name in _SAME}
    return Report(lng=lng, lat=lat, **given)


_SAME = (
    *("title", "category", "severity", "class_code", "component_code", "description", "hazard", "site"),
    *("address", "reporter", "phone"),
)


def _move(connection: Connection, town: TownView, asked: Asked, settings: DeskSettings) -> Answer:
    said, wrong = _read(asked.body, OutsideMove)
    if said is None:
        return refusal(422, "bad_body", WRONG["bad_body"], wrong)
    row = _of(connection, asked.system, said.number)
    if row is None:
        return refusal(404, "unknown_ticket", WRONG["unknown_ticket"])
    moved: Moved = move(
        connection,
        town,
        row["id"],
        said.action,
        who_of(asked.system),
        asked.now,
        " ".join(part for part in (said.opinion, f"（{said.who}）" if said.who else "") if part),
        said.cause,
        role=asked.role,
        until=None if said.until is None else said.until * MILLISECOND,
        settings=settings,
    )
    return Answer(200, {**_standing(row), "status": moved.status}, row["id"], tuple(moved.rearm))


def _of(connection: Connection, system: str, number: str) -> Row | None:
    its = (ticket.c.source_system == system) & (ticket.c.outside_number == number)
    return first_row(connection, select(ticket).where(its))


def _standing(row: Row) -> dict[str, Any]:
    return {"ticket": row["number"], "number": row["outside_number"], "status": str(row["status"])}


def _read(body: bytes, shape: type[_Shape]) -> tuple[_Shape | None, str]:
    """The body in its shape, or what is wrong with it."""
    if b"\\u0000" in body:
        return None, "no text may hold the character U+0000"
    try:
        return msgspec.json.decode(body, type=shape), ""
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, str(error)[:200]


def _kept(connection: Connection, asked: Asked) -> Row | None:
    return first_row(connection, select(outside_message).where(_its_key(asked)))


def _its_key(asked: Asked) -> ColumnElement[bool]:
    return (outside_message.c.system == asked.system) & (outside_message.c.key == asked.key)


def _keep(connection: Connection, asked: Asked, answer: Answer, digest: str, before: Row | None) -> None:
    told = msgspec.json.encode({**answer.said, "of": digest}).decode()
    row = {"system": asked.system, "key": asked.key, "received_at": asked.now, "ticket": answer.ticket}
    put = insert(outside_message) if before is None else update(outside_message).where(_its_key(asked))
    connection.execute(put.values(**row, status=answer.status, answer=told))
