"""A platform that handed a ticket in is told each of its moves: once, in order, signed, through failures."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from alerts.case_tables import outside_message
from alerts.categories import ensure_categories
from alerts.channels import Outcome
from alerts.channels.transport import open_client
from alerts.manual_tickets import Outside, Report, report
from alerts.outside_messages import Asked, take_move, take_ticket
from alerts.outside_moves import MoveTeller
from alerts.settings import DEFAULTS
from core.clock import MILLISECOND, MINUTE, SECOND
from core.database import reading, writing
from tests.alerts.desk_scene import Scene
from tests.fakes.webhook_receiver import Answer, WebhookReceiver

SECRET = b"a secret of both platforms"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(SECRET) as made:
        yield made


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with open_client(2) as made:
        yield made


@pytest.fixture
def town(scene: Scene) -> Scene:
    with writing(scene.engine) as connection:
        ensure_categories(connection)
        said = Report("井盖丢失", "城市管理", site="PLANT")
        report(
            connection, scene.town, said, scene.clock.now(), "outside", "outside:district", Outside("district", "D-1")
        )
    for action in ("verify", "register", "dispatch"):
        scene.move(action, "DISP-1")
    return scene


def told(receiver: WebhookReceiver) -> list[str]:
    return [each["action"] for each in receiver.received.values()]


def all_of(teller: MoveTeller, now: int) -> int:
    made = 0
    while teller.step(now):
        made += 1
    return made


def test_each_move_is_told_once_and_in_order(town: Scene, receiver: WebhookReceiver, client: httpx.Client) -> None:
    now = town.clock.now()
    assert all_of(MoveTeller(town.engine, "district", receiver.url, SECRET, client), now) == 3
    assert told(receiver) == ["verify", "register", "dispatch"]
    first = next(iter(receiver.received.values()))
    assert (first["number"], first["from"], first["to"], first["who"]) == ("D-1", "reported", "verified", "DISP-1")
    assert all_of(MoveTeller(town.engine, "district", receiver.url, SECRET, client), now) == 0
    assert receiver.requests == 3


def test_others_are_told_nothing(town: Scene, receiver: WebhookReceiver, client: httpx.Client) -> None:
    assert MoveTeller(town.engine, "other", receiver.url, SECRET, client).step(town.clock.now()) == 0


def test_its_own_moves_are_not_told_back(town: Scene, receiver: WebhookReceiver, client: httpx.Client) -> None:
    body = json.dumps({"number": "D-1", "action": "supervise", "opinion": "快"}).encode()
    with writing(town.engine) as connection:
        now = town.clock.now()
        assert take_move(connection, town.town, Asked("district", "k", body, now), DEFAULTS).status == 200
    all_of(MoveTeller(town.engine, "district", receiver.url, SECRET, client), town.clock.now())
    assert "supervise" not in told(receiver)


def test_a_platform_that_is_away_is_told_later(town: Scene, receiver: WebhookReceiver, client: httpx.Client) -> None:
    teller, now = MoveTeller(town.engine, "district", receiver.url, SECRET, client), town.clock.now()
    receiver.script.append(Answer(503))
    assert all_of(teller, now) == 1
    assert teller.step(now + SECOND) == 0
    assert all_of(teller, now + MINUTE) == 3
    assert told(receiver) == ["verify", "register", "dispatch"]


def test_what_it_refuses_holds_up_nothing(town: Scene, receiver: WebhookReceiver, client: httpx.Client) -> None:
    receiver.script.append(Answer(422))
    all_of(MoveTeller(town.engine, "district", receiver.url, SECRET, client), town.clock.now())
    assert told(receiver) == ["register", "dispatch"]
    with reading(town.engine) as connection:
        rows = connection.execute(select(outside_message).where(outside_message.c.system == ">district")).all()
    assert sorted(row.status for row in rows) == [204, 204, 422]


def test_an_answer_that_cant_be_unpacked_is_tried_again(
    town: Scene, receiver: WebhookReceiver, client: httpx.Client
) -> None:
    teller, now = MoveTeller(town.engine, "district", receiver.url, SECRET, client), town.clock.now()
    receiver.script.append(Answer(200, (("Content-Encoding", "gzip"),), body=b"no gzip"))
    assert all_of(teller, now) == 1
    assert all_of(teller, now + MINUTE) == 3
    assert told(receiver) == ["verify", "register", "dispatch"]


def test_what_another_process_has_under_way_is_left_to_it_after_failures_too(
    town: Scene, receiver: WebhookReceiver, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (MoveTeller(town.engine, "district", receiver.url, SECRET, client) for _ in range(2))
    now = town.clock.now()
    receiver.script += [Answer(503), Answer(503)]
    assert one.step(now) == two.step(now + 2 * MINUTE) == 1
    meanwhile = []
    request = one._request

    def slowly(*given: Any) -> Any:
        meanwhile.append(two.step(now + 4 * MINUTE + SECOND))
        return request(*given)

    monkeypatch.setattr(one, "_request", slowly)
    assert one.step(now + 4 * MINUTE) == 1
    assert meanwhile == [0]
    assert receiver.requests == 3


def test_a_late_failure_of_a_process_that_was_given_up_undoes_no_success(
    town: Scene, receiver: WebhookReceiver, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = (MoveTeller(town.engine, "district", receiver.url, SECRET, client) for _ in range(2))
    now = town.clock.now()

    def hangs(*_: Any) -> Outcome:
        assert all_of(other, now + 2 * MINUTE) == 3
        return Outcome("uncertain", "ReadTimeout", "no answer")

    monkeypatch.setattr(slow, "_request", hangs)
    slow.step(now)
    assert all_of(other, now + 10 * MINUTE) == 0
    assert receiver.requests == 3


def test_what_comes_with_a_move_is_told(town: Scene, receiver: WebhookReceiver, client: httpx.Client) -> None:
    now = town.clock.now()
    with writing(town.engine) as connection:
        said = Report("井盖松动", "城市管理", site="PLANT")
        target = report(connection, town.town, said, now, "leader", "DISP-1", None)
    town.move("supervise", "DISP-1", opinion="快", until=now + 10 * MINUTE)
    town.move("merge", "DISP-1", into=target["id"])
    all_of(MoveTeller(town.engine, "district", receiver.url, SECRET, client), now)
    supervised, merged = list(receiver.received.values())[-2:]
    assert supervised["until"] == (now + 10 * MINUTE) // MILLISECOND
    assert (merged["action"], merged["into"]) == ("merge", target["number"])
    assert "until" not in merged


def test_a_process_that_died_in_the_middle_is_followed(
    town: Scene, receiver: WebhookReceiver, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, now = MoveTeller(town.engine, "district", receiver.url, SECRET, client), town.clock.now()
    monkeypatch.setattr(dying, "_record", lambda *_: None)
    assert dying.step(now) == 1
    other = MoveTeller(town.engine, "district", receiver.url, SECRET, client)
    assert other.step(now + 10 * SECOND) == 0  # it may still be under way: the order stays
    assert all_of(other, now + 2 * MINUTE) == 3
    assert told(receiver) == ["verify", "register", "dispatch"]  # the repeat was dropped by its key


def test_a_refused_report_leaves_nothing_but_its_answer(town: Scene) -> None:
    body = json.dumps({"number": "D-2", "title": "x", "category": "nothing"}).encode()
    for _ in range(2):
        with writing(town.engine) as connection:
            answer = take_ticket(connection, town.town, Asked("district", "k", body, town.clock.now()), DEFAULTS)
        assert answer.status == 409
        assert answer.said["error"]["code"] == "unknown_category"
    assert len(town.tickets) == 1
