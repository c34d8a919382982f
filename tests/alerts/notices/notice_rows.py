"""A ticket, an alert, people and scripted channels for the tests of notices."""

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.facts import Facts
from alerts.links import LIFETIME, Link, keep_links
from alerts.notices import enqueue
from alerts.owners import Owner
from alerts.tables import alert, contact, delivery, notice, person, team, ticket
from alerts.words import Recipient
from core.clock import SECOND
from core.database import reading, writing
from detectors.words import Severity
from devices.tables import grid, site, village

NOW = 1_790_000_000 * SECOND
ACCEPTED = Outcome("accepted", "0")


class KilledError(Exception):
    """Stands for the end of the process in the middle of a request."""


class ScriptedChannel(PlainChannel):
    """Answers as scripted, else accepts; `sent` are the notices whose request was made."""

    def __init__(
        self,
        name: str = "robot",
        *,
        deduplicates: bool = False,
        limit: Limit | None = None,
        answers: Sequence[Any] = (),
    ) -> None:
        self.name = name
        self.deduplicates = deduplicates
        self.can_ask = False
        self.limits = (limit,) if limit else ()
        self.answers: deque[Outcome | Exception] = deque(answers)
        self.sent: list[OutgoingNotice] = []
        self.during: Callable[[], None] = lambda: None

    def send(self, notice: OutgoingNotice) -> Outcome:
        self.sent.append(notice)
        self.during()
        answer = self.answers.popleft() if self.answers else ACCEPTED
        if isinstance(answer, Exception):
            raise answer
        return answer


class ListingScriptedChannel(ScriptedChannel):
    """A scripted channel that lists up to ten; `lists` are the messages of several."""

    most_in_one = 10

    def __init__(self, name: str = "robot", **given: Any) -> None:
        super().__init__(name, **given)
        self.lists: list[list[OutgoingNotice]] = []

    def send_several(self, notices: Sequence[OutgoingNotice]) -> Outcome:
        self.lists.append(list(notices))
        return self.send(notices[0])


class AskableScriptedChannel(ScriptedChannel):
    """A scripted channel whose provider can be asked; `known` is its answer."""

    def __init__(self, name: str, known: Sequence[Outcome], **given: Any) -> None:
        super().__init__(name, **given)
        self.can_ask = True
        self.known = deque(known)

    def ask(self, notice: OutgoingNotice) -> Outcome:
        return self.known.popleft()


class Rule:
    """What a rule says."""

    title_zh = "可燃气体超限"
    title_en = "Combustible gas"
    advice_zh = "勿单独进入，先通风"
    advice_en = "Never go in alone"
    unit = "%LEL"


def owner(pid: int = 1, role: str = "dispatch", host: str = "town-1", started: int = 7, thread: str = "") -> Owner:
    return Owner(role, host, pid, started, thread)


def to_robot(key: str = "key-a", code: str = "T-01", step: int = 0) -> Recipient:
    return Recipient("team", code, "robot", key, step)


def to_person(code: str = "P-01", channel: str = "phone", step: int = 0) -> Recipient:
    return Recipient("person", code, channel, code, step)


def put_town(connection: Connection) -> None:
    """One village, grid, site and team; two patrollers and a leader with contacts."""
    connection.execute(insert(village).values(code="V1", name="何家角村", name_en="Hejiajiao"))
    connection.execute(insert(grid).values(code="G1", village="V1", name="03网格", name_en="grid 03", polygon="{}"))
    place = {"code": "E-0123", "kind": "enterprise", "name": "示例化工0123厂", "name_en": "Example Chemicals 0123"}
    at = {"lng": 120.435, "lat": 31.445, "grid": "G1", "contact": "安全员 E0123", "phone": "13900000123"}
    connection.execute(insert(site).values(**place, **at, address="示例路1号"))
    connection.execute(insert(team).values(code="T-01", name="03网格巡查队", grid="G1"))
    for number, role in ((1, "patroller"), (2, "patroller"), (9, "leader")):
        mine = {"team": "T-01"} if role == "patroller" else {}
        row = {"code": f"P-0{number}", "name": f"网格员 G17-0{number}", "role": role, "shift": "all"}
        connection.execute(insert(person).values(**row, phone=f"1380000000{number}", **mine))
        at_phone = {"owner_kind": "person", "owner": row["code"], "channel": "phone", "address": row["code"]}
        connection.execute(insert(contact).values(**at_phone))


def put_ticket(connection: Connection, number: int = 7, **given: Any) -> dict[str, Any]:
    row = {
        "number": f"20261123-{number:04}",
        "source": "iot",
        "status": "dispatched",
        "title": "可燃气体超限",
        "hazard": "gas",
        "category": "安全生产",
        "severity": int(Severity.CRITICAL),
        "life_safety": True,
        "site": "E-0123",
        "grid": "G1",
        "lng": 120.435,
        "lat": 31.445,
        "reported_at": NOW,
        "dispatched_at": NOW,
        "updated_at": NOW,
        **given,
    }
    key = connection.execute(insert(ticket).values(**row).returning(ticket.c.id)).scalar_one()
    return connection.execute(select(ticket).where(ticket.c.id == key)).one()._asdict()


def put_alert(connection: Connection, of: dict[str, Any], **given: Any) -> dict[str, Any]:
    row = {
        "subject_kind": "device",
        "subject_id": "GAS-0001",
        "rule": "gas",
        "onset": NOW,
        "state": "open",
        "severity": of["severity"],
        "level": of["severity"],
        "hazard": of["hazard"],
        "category": of["category"],
        "life_safety": of["life_safety"],
        "paged": True,
        "value": 52.0,
        "limit": 25.0,
        "site": of["site"],
        "grid": of["grid"],
        "lng": of["lng"],
        "lat": of["lat"],
        "ticket": of["id"],
        "rules_version": 1,
        **dict.fromkeys(("at", "received_at", "journalled_at", "opened_at", "updated_at"), NOW),
        "journal_n": 1,
        **given,
    }
    key = connection.execute(insert(alert).values(**row).returning(alert.c.id)).scalar_one()
    return connection.execute(select(alert).where(alert.c.id == key)).one()._asdict()


def queue(engine: Engine, *recipients: Recipient, now: int = NOW, due_at: int = NOW, **ticket_values: Any) -> int:
    """A town with one ticket and its alert and a notice to each recipient; the ticket's id."""
    with writing(engine) as connection:
        put_town(connection)
        row = put_ticket(connection, **ticket_values)
        enqueue(connection, row, put_alert(connection, row), recipients, "dispatched", now, due_at, rule=Rule())
        key: int = row["id"]
        return key


def make_link(connection: Connection, who: str, ticket_id: int, now: int) -> str:
    """A personal link of somebody's, from `now` on; its code."""
    code = secrets.token_hex()
    keep_links(connection, [Link(code, who, ticket_id, now + LIFETIME)], now)
    return code


def notices(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(select(notice).order_by(notice.c.id)))


def deliveries(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(select(delivery).order_by(delivery.c.id)))


def facts(**given: Any) -> Facts:
    """The facts of a gas alarm."""
    values: dict[str, Any] = {
        "number": "20261123-0007",
        "cause": "dispatched",
        "hazard": "gas",
        "severity": 4,
        "life_safety": True,
        "title_zh": "可燃气体超限",
        "title_en": "Combustible gas",
        "place_zh": "示例化工0123厂",
        "place_en": "Example Chemicals 0123",
        "address": "示例路1号",
        "device": "GAS-0001",
        "value": 52.0,
        "limit": 25.0,
        "unit": "%LEL",
        "onset": NOW,
        "contact": "安全员 E0123",
        "phone": "13900000123",
        "lng": 120.435,
        "lat": 31.445,
    }
    return Facts(**values | given)


def outgoing(to: str = "key-a", number: int = 41, **given: Any) -> OutgoingNotice:
    """A notice on its way out; keywords of `Facts` change its facts."""
    values: dict[str, Any] = {"at": NOW}
    values |= {name: given.pop(name) for name in ("at", "link", "repeated") if name in given}
    return OutgoingNotice(
        id=number,
        ticket=7,
        recipient_kind="person",
        recipient="P-01",
        address=to,
        facts=facts(**given),
        **values,
    )
