"""Curves go after their notices, once, and never before anything that waits."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update

from alerts.batching import Standing
from alerts.channels import Limit, Outcome, OutgoingNotice
from alerts.curves import LARGEST, Curve
from alerts.owners import LEASE
from alerts.picturing import PICTURE, SETTLED, TOO_LATE, Pictures, curve_of, has_room
from alerts.sender import Sender
from alerts.tables import alert, delivery, notice, ticket
from core.clock import HOUR, MINUTE, SECOND, ManualClock
from core.database import writing
from ingest.store import StoreUnavailable
from tests.alerts.notices.notice_rows import NOW, ScriptedChannel, deliveries, facts, notices, owner, queue, to_robot

PNG = b"\x89PNG"


class Painter(ScriptedChannel):
    """A scripted channel that takes pictures."""

    takes_pictures = True

    def __init__(self, **given: Any) -> None:
        super().__init__(limit=Limit(20, MINUTE), **given)
        self.pictures: list[tuple[int, bytes]] = []

    def send_picture(self, notice: OutgoingNotice, png: bytes) -> Outcome:
        self.pictures.append((notice.id, png))
        return Outcome("accepted", "0")


class Scene:
    """One notice to a robot that was told at NOW, of an alert with a series, and the worker for its picture."""

    def __init__(self, engine: Engine, clock: ManualClock, **ticket: Any) -> None:
        self.engine, self.channel = engine, Painter()
        self.curves: list[Curve] = []
        self.asked: list[tuple[int, int, int]] = []
        self.points: tuple[Sequence[int], Sequence[float]] = ([NOW - SECOND, NOW], [20.0, 52.0])
        self.drawn: bytes | None = PNG
        queue(engine, to_robot(), **ticket)
        with writing(engine) as connection:
            connection.execute(update(alert).values(series=12))
        self.sender = Sender(engine, [self.channel], clock, owner())
        self.worker = self.another(clock)

    def another(self, clock: ManualClock) -> Pictures:
        return Pictures(self.engine, [self.channel], self._readings, self._draw, clock)

    def _readings(self, series: int, since: int, until: int) -> tuple[Sequence[int], Sequence[float]]:
        self.asked.append((series, since, until))
        return self.points

    def _draw(self, curve: Curve, until: int, language: str) -> bytes | None:
        self.curves.append(curve)
        return self.drawn


@pytest.fixture
def scene(engine: Engine, clock: ManualClock) -> Scene:
    made = Scene(engine, clock)
    assert made.sender.step(NOW) == 1
    return made


def test_a_picture_follows_its_notice_once(scene: Scene, clock: ManualClock) -> None:
    later = NOW + SETTLED
    assert [scene.worker.step(later + each * SECOND) for each in range(3)] == [1, 0, 0]
    assert scene.another(clock).step(later) == 0
    (row,) = notices(scene.engine)
    assert scene.channel.pictures == [(row.id, PNG)]
    assert scene.asked == [(12, later - HOUR, later + 1)]
    assert scene.curves[0].title == "示例化工0123厂 可燃气体超限"
    assert (row.state, row.attempts) == ("accepted", 1)
    assert [(each.code, each.outcome) for each in deliveries(scene.engine)] == [
        ("0", "accepted"),
        (PICTURE, "accepted"),
    ]


def test_it_waits_until_the_readings_are_stored_and_not_for_ever(scene: Scene) -> None:
    assert scene.worker.step(NOW + SETTLED - 1) == 0
    assert scene.worker.step(NOW + TOO_LATE + 1) == 0
    assert scene.worker.step(NOW + TOO_LATE) == 1


def test_while_a_notice_waits_nothing_is_drawn(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        (row,) = notices(scene.engine)
        waiting = {**row._asdict(), "id": row.id + 1, "key": "another", "state": "queued", "channel": "sms"}
        connection.execute(insert(notice).values(waiting))
    assert scene.worker.step(NOW + SETTLED) == 0
    assert scene.curves == []


@pytest.mark.parametrize("given", [{"severity": 2}, {"severity": 1}])
def test_only_alarms_are_worth_one(engine: Engine, clock: ManualClock, given: dict[str, Any]) -> None:
    scene = Scene(engine, clock, **given)
    scene.sender.step(NOW)
    assert scene.worker.step(NOW + SETTLED) == 0


@pytest.mark.parametrize("life_safety", [False, True])
def test_a_storms_notice_shows_no_single_sites_curve(engine: Engine, clock: ManualClock, life_safety: bool) -> None:
    scene = Scene(engine, clock, severity=3, life_safety=life_safety)
    with writing(engine) as connection:
        connection.execute(update(ticket).values(source="storm"))
    scene.sender.step(NOW)
    assert scene.worker.step(NOW + SETTLED) == life_safety


def test_what_was_not_accepted_has_none(engine: Engine, clock: ManualClock) -> None:
    scene = Scene(engine, clock)
    scene.channel.answers.append(Outcome("failed", "93000"))
    scene.sender.step(NOW)
    assert scene.worker.step(NOW + SETTLED) == 0


def test_an_alert_without_a_series_has_none(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        connection.execute(update(alert).values(series=-1))
    assert scene.worker.step(NOW + SETTLED) == 0


@pytest.mark.parametrize("drawn", [None, b"x" * (LARGEST + 1)])
def test_what_cannot_be_drawn_is_not_tried_again(scene: Scene, drawn: bytes | None) -> None:
    scene.drawn = drawn
    assert [scene.worker.step(NOW + SETTLED + each) for each in range(2)] == [0, 0]
    assert (len(scene.curves), scene.channel.pictures) == (1, [])
    assert deliveries(scene.engine)[1].outcome == "failed"


def test_a_store_that_does_not_answer_holds_up_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: int) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(scene.worker, "_readings", unavailable)
    assert scene.worker.step(NOW + SETTLED) == 0
    assert scene.channel.pictures == []


def test_a_picture_counts_and_one_of_a_worker_that_is_gone_does_not_for_ever(scene: Scene, clock: ManualClock) -> None:
    (row,) = notices(scene.engine)
    left = {"notice": row.id, "channel": "robot", "address": "key-a", "started_at": NOW, "outcome": "sending"}
    with writing(scene.engine) as connection:
        connection.execute(insert(delivery).values(**left, code=PICTURE))
    assert scene.worker.step(NOW + SETTLED) == 0
    assert deliveries(scene.engine)[1].finished_at is None
    scene.another(clock).step(NOW + LEASE)
    assert (deliveries(scene.engine)[1].finished_at, deliveries(scene.engine)[1].outcome) == (NOW, "uncertain")


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(), True),
        (Standing([NOW - SECOND] * 9), True),
        (Standing([NOW - SECOND] * 10), False),
        (Standing([NOW - 2 * MINUTE] * 20), True),
        (Standing([], NOW + 1), False),
    ],
)
def test_half_of_every_limit_is_left_for_notices(standing: Standing, expected: bool) -> None:
    assert has_room(standing, [Limit(20, MINUTE)], NOW) == expected


@pytest.mark.parametrize(("measured", "drawn"), [("value", [25.0]), ("count", [25.0]), ("mean", []), ("change", [])])
def test_a_limit_is_drawn_where_it_is_one_of_the_readings(measured: str, drawn: list[float]) -> None:
    curve = curve_of(facts(measured=measured), [NOW], [1.0], "zh")
    assert [line.value for line in curve.limits] == drawn


def test_a_title_is_in_the_language() -> None:
    assert curve_of(facts(), [], [], "en").title == "Example Chemicals 0123 Combustible gas"
