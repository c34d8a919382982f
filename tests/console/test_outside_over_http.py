"""Another platform hands in tickets and moves: who it is, when, once for a key, and in plain words why not."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from alerts.categories import ensure_categories
from alerts.channels.signed_webhook import sign
from alerts.tables import ticket, ticket_log
from console.app import create_app
from console.doors import Doors, SystemDoor
from core.clock import SECOND
from core.database import reading, writing
from devices.geometry import wgs84_to_gcj02
from tests.console.console_scene import LAT, LNG, Town, free_port, serving

SECRET = b"a secret of the district"
PLACE = {"lng": LNG + 0.005, "lat": LAT + 0.005}
REPORT: dict[str, Any] = {"number": "D-1", "title": "井盖丢失", "category": "安全生产", "severity": 3, **PLACE}


class District:
    """The other platform, which signs what it sends."""

    def __init__(self, url: str, town: Town) -> None:
        self.client = httpx.Client(base_url=url, timeout=20)
        self.town = town
        self.sent = 0

    def post(self, path: str, said: Any, key: str | None = None, **given: Any) -> httpx.Response:
        """Signed, now, under a new key, unless `given` says something else."""
        self.sent += 1
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        stamp = given.get("stamp", str(self.town.clock.now() // SECOND))
        headers = {
            "X-Shouwang-Timestamp": stamp,
            "X-Shouwang-Signature": f"sha256={sign(given.get('secret', SECRET), stamp, body)}",
            "Idempotency-Key": f"key-{self.sent}" if key is None else key,
        }
        return self.client.post(
            f"/api/v1/outside/{given.get('system', 'district')}/{path}", content=body, headers=headers
        )

    def count(self) -> int:
        """How many tickets there are."""
        with reading(self.town.engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(ticket)) or 0)

    def row(self, number: str = "D-1") -> Any:
        """The ticket of the platform's number."""
        with reading(self.town.engine) as connection:
            return connection.execute(select(ticket).where(ticket.c.outside_number == number)).one()


@pytest.fixture
def district(town: Town) -> Iterator[District]:
    with writing(town.engine) as connection:
        ensure_categories(connection)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    systems = {"district": SystemDoor(SECRET), "other": SystemDoor(SECRET, "dispatcher")}
    app = create_app(replace(town.services(url), doors=Doors(systems=systems)))
    with serving(app, port):
        made = District(url, town)
        yield made
        made.client.close()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def in_pieces(body: bytes) -> Iterator[bytes]:
    """A body that is sent as it is made, so that no header says how long it is."""
    yield from (body[at : at + 1000] for at in range(0, len(body), 1000))


@pytest.mark.parametrize(("spaces", "status"), [(0, 201), (64 * 1024, 413)])
def test_a_body_may_come_without_its_length(district: District, spaces: int, status: int) -> None:
    body = json.dumps(REPORT).encode() + b" " * spaces
    stamp = str(district.town.clock.now() // SECOND)
    signed = {"X-Shouwang-Timestamp": stamp, "X-Shouwang-Signature": f"sha256={sign(SECRET, stamp, body)}"}
    sent = {"headers": {**signed, "Idempotency-Key": "a"}, "content": in_pieces(body)}
    assert district.client.post("/api/v1/outside/district/tickets", **sent).status_code == status  # type: ignore[arg-type]
    assert district.count() == (status == 201)


def test_a_ticket_is_made_once(district: District) -> None:
    first = district.post("tickets", REPORT, key="a")
    assert first.status_code == 201
    assert (first.json()["number"], first.json()["status"]) == ("D-1", "reported")
    again = district.post("tickets", REPORT, key="a")
    assert (again.status_code, again.json()) == (201, first.json())
    under_another = district.post("tickets", {**REPORT, "title": "另一"}, key="b")
    assert (under_another.status_code, under_another.json()) == (200, first.json())
    row = district.row()
    assert (district.count(), row.source, row.source_system, row.grid) == (1, "outside", "district", "G01")
    assert row.number == first.json()["ticket"]


def test_a_position_may_be_in_another_datum(district: District) -> None:
    lng, lat = wgs84_to_gcj02(**PLACE)
    district.post("tickets", {**REPORT, "lng": lng, "lat": lat, "datum": "GCJ02"})
    assert district.row().lng == pytest.approx(REPORT["lng"], abs=1e-6)
    assert code(district.post("tickets", {**REPORT, "datum": "CGCS"})) == (422, "unknown_datum")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"secret": b"another"}, (401, "bad_signature")),
        ({"stamp": "1000000000"}, (401, "stale")),
        ({"stamp": "soon"}, (401, "stale")),
        ({"stamp": ""}, (401, "stale")),
        ({"system": "nobody"}, (404, "unknown_system")),
        ({"key": ""}, (400, "bad_key")),
        ({"key": "k" * 81}, (400, "bad_key")),
    ],
)
def test_who_is_not_believed(district: District, given: dict[str, Any], expected: tuple[int, str]) -> None:
    answer = district.post("tickets", REPORT, **given)
    assert code(answer) == expected
    assert answer.json()["error"]["zh"]
    assert answer.json()["error"]["en"]
    assert district.count() == 0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"", (422, "bad_body")),
        (b"\xff{", (422, "bad_body")),
        (b"[]", (422, "bad_body")),
        ({"number": "D-1"}, (422, "bad_body")),
        ({**REPORT, "colour": "red"}, (422, "bad_body")),
        ({**REPORT, "severity": "high"}, (422, "bad_body")),
        ({**REPORT, "severity": 9}, (409, "unknown_severity")),
        ({**REPORT, "category": "x"}, (409, "unknown_category")),
        ({**REPORT, "title": " "}, (409, "needs_title")),
        ({**REPORT, "lat": None}, (409, "bad_position")),
        ({**REPORT, "lng": 2.3}, (409, "bad_position")),
        ({**REPORT, "site": "S99"}, (409, "unknown_site")),
    ],
)
def test_what_is_not_understood(district: District, said: Any, expected: tuple[int, str]) -> None:
    assert code(district.post("tickets", said)) == expected
    assert district.count() == 0


def test_a_key_stands_for_one_content(district: District) -> None:
    district.post("tickets", REPORT, key="a")
    assert code(district.post("tickets", {**REPORT, "number": "D-2"}, key="a")) == (422, "key_reused")
    assert district.post("tickets", {**REPORT, "number": "D-2"}, key="a", system="other").status_code == 201


def test_twenty_at_once_make_one(district: District) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: district.post("tickets", REPORT, key=f"k{n % 2}"), range(20)))
    assert {answer.status_code for answer in answers} == {200, 201}
    assert len({answer.json()["ticket"] for answer in answers}) == 1
    assert district.count() == 1


def test_it_moves_its_own_tickets_as_its_role_may(district: District) -> None:
    district.post("tickets", REPORT)
    asked = {"number": "D-1", "action": "supervise", "opinion": "请尽快", "who": "王"}
    supervised = district.post("moves", asked, key="m")
    assert (supervised.status_code, supervised.json()["status"]) == (200, "reported")
    assert district.row().supervised_by == "outside:district"
    assert district.post("moves", asked, key="m").json() == supervised.json()
    with reading(district.town.engine) as connection:
        its = (ticket_log.c.action == "supervise", ticket_log.c.who == "outside:district")
        (said,) = connection.scalars(select(ticket_log.c.opinion).where(*its)).all()
    assert said == "请尽快 （王）"
    assert code(district.post("moves", {"number": "D-1", "action": "verify"})) == (409, "not_allowed")
    assert code(district.post("moves", {"number": "D-1", "action": "supervise"})) == (409, "needs_opinion")
    assert code(district.post("moves", {"number": "D-1", "action": "fly"})) == (409, "unknown_action")
    assert code(district.post("moves", {"number": "D-9", "action": "close"})) == (404, "unknown_ticket")


def test_nobody_moves_the_tickets_of_another(district: District) -> None:
    district.post("tickets", REPORT)
    asked = {"number": "D-1", "action": "void", "opinion": "x"}
    assert code(district.post("moves", asked, system="other")) == (404, "unknown_ticket")
    district.post("tickets", {**REPORT, "number": "O-1"}, system="other")
    assert district.post("moves", {**asked, "number": "O-1"}, system="other").json()["status"] == "void"


def test_too_large_a_body_is_not_read(district: District) -> None:
    assert district.post("tickets", b"x" * 70_000).status_code == 413
