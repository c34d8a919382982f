"""Events as points: each change once, whatever is killed in between, and never on the way of an alert."""

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, select

from alerts.event_tables import change, change_reader
from alerts.event_writer import EventWriter
from alerts.tables import notice, ticket
from core.clock import MINUTE, SECOND
from core.database import reading, writing
from detectors.words import Change, Severity
from ingest.influx_wire import InfluxWire
from ingest.points import InfluxPoints, Point, line
from ingest.store import StoreUnavailable
from tests.alerts.desk_scene import MONDAY_TEN, Scene
from tests.influx_server import InfluxOne, make_buckets


class Kept:
    """A sink that keeps points as a store does: one of equal measurement, tags and moment instead of another."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, tuple[tuple[str, str], ...], int], Point] = {}
        self.writes = 0
        self.down = False

    def put(self, points: Sequence[Point]) -> None:
        if self.down:
            raise StoreUnavailable("away")
        self.writes += 1
        for point in points:
            self.points[point.measurement, tuple(sorted(point.tags.items())), point.at] = point

    def of(self, measurement: str) -> list[Point]:
        """The points of a measurement in the order of their moments."""
        return sorted((p for p in self.points.values() if p.measurement == measurement), key=lambda point: point.at)


class Killed(BaseException):
    """The process ends here."""


def _writer(scene: Scene, sink: Kept) -> EventWriter:
    return EventWriter(scene.engine, sink, scene.clock)


def _day(scene: Scene) -> None:
    """An alert, its ticket handled late, the alert over."""
    scene.detect("PLANT-1")
    scene.clock.advance(3 * MINUTE)
    scene.handle()
    scene.clock.advance(MINUTE)
    scene.detect("PLANT-1", Change.CLEARED)


def test_an_alert_and_its_ticket_are_told_as_they_were(scene: Scene) -> None:
    _day(scene)
    sink = Kept()
    assert _writer(scene, sink).step() > 0
    opened, cleared = sink.of("alert")
    place = {"grid": "G17", "village": "V1", "site": "PLANT", "hazard": "gas", "device": "PLANT-1", "rule": "gas.lel"}
    assert opened.tags == cleared.tags == {**place, "severity": "3"}
    assert opened.fields == {
        **{
            "id": 1,
            "action": "opened",
            "state": 1,
            "level": 3,
            "value": 30.0,
            "limit": 25.0,
            "open_s": 0.0,
            "ticket": 1,
        }
    }
    assert (cleared.fields["state"], cleared.fields["open_s"]) == (0, 240.0)
    assert 0 <= opened.at - MONDAY_TEN < 10_000
    moves = [(point.tags["status"], point.fields["action"]) for point in sink.of("ticket")]
    assert ("accepted", "accept") in moves
    assert moves[-1] == ("handled", "recovered") or ("handled", "handle") in moves
    handled = next(point for point in sink.of("ticket") if point.fields["action"] == "handle")
    assert handled.tags["team"] == "T-G17"
    assert (handled.fields["made_s"], handled.fields["on_time"]) == (180.0, 1)
    assert handled.fields["left_s"] == 4 * 3600 - 180


def test_a_ticket_handled_behind_its_time_is_late_and_one_exactly_at_it_is_not(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.detect("FAR-1")
    due = {row["id"]: row["done_by"] for row in scene.tickets}
    scene.clock.value = due[1]
    scene.handle(1)
    scene.clock.value = due[2] + 1
    scene.handle(2, "G18-01")
    sink = Kept()
    _writer(scene, sink).step()
    on_time = {p.fields["id"]: p.fields["on_time"] for p in sink.of("ticket") if p.fields["action"] == "handle"}
    assert on_time == {1: 1, 2: 0}


def test_killed_between_the_points_and_the_position_the_same_points_stand(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    _day(scene)
    sink = Kept()

    def die(self: EventWriter, last: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(EventWriter, "_reach", die)
        with pytest.raises(Killed):
            _writer(scene, sink).step()
    before = dict(sink.points)
    assert before
    assert scene.rows(change_reader) == []
    scene.detect("PLANT-1", severity=Severity.CRITICAL, value=60.0, onset=MONDAY_TEN + 5 * MINUTE)
    with writing(scene.engine) as connection:
        connection.execute(ticket.update().values(team="T-G18", grid="G18", done_by=1, category="公共服务"))
    again = _writer(scene, sink)
    while again.step():
        pass
    assert {key: sink.points[key] for key in before} == before  # though the rows are others now
    assert len(sink.points) == len([row for row in scene.rows(change) if row["kind"] != "quiet"])


def test_a_store_that_is_away_is_caught_up_with(scene: Scene) -> None:
    sink = Kept()
    writer = _writer(scene, sink)
    sink.down = True
    _day(scene)
    with pytest.raises(StoreUnavailable):
        writer.step()
    assert scene.rows(change_reader) == []
    sink.down = False
    while writer.step():
        pass
    assert len(sink.points) == len(scene.rows(change))
    assert writer.step() == 0
    assert sink.writes == 1


def test_a_store_that_hangs_delays_no_alert(scene: Scene) -> None:
    hanging, let_go = threading.Event(), threading.Event()

    class Hanging(Kept):
        def put(self, points: Sequence[Point]) -> None:
            hanging.set()
            assert let_go.wait(30)
            super().put(points)

    scene.detect("PLANT-1")
    sink, ending = Hanging(), threading.Event()
    worker = threading.Thread(target=_writer(scene, sink).run, args=(ending,))
    worker.start()
    try:
        assert hanging.wait(10)
        assert scene.detect("FAR-1").opened == 1  # the desk's transaction commits while the store hangs
        assert scene.detect("ROAD-1").opened == 1
    finally:
        ending.set()
        let_go.set()
        worker.join(10)
    assert not worker.is_alive()


def test_the_worker_goes_on_when_the_store_is_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.event_writer._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("alerts.event_writer._LONGEST_PAUSE", 0.01)
    _day(scene)
    sink, ending, tried, kept = Kept(), threading.Event(), threading.Event(), threading.Event()
    sink.down = True

    class Watched(EventWriter):
        def step(self) -> int:
            tried.set()
            done = super().step()
            kept.set()
            return done

    worker = threading.Thread(target=Watched(scene.engine, sink, scene.clock).run, args=(ending,))
    worker.start()
    assert tried.wait(10)
    sink.down = False
    assert kept.wait(10)
    ending.set()
    worker.join(10)
    assert len(sink.points) == len(scene.rows(change))


def test_tickets_of_one_transaction_that_look_alike_are_points_of_their_own(scene: Scene) -> None:
    scene.apply(scene.found(*(scene.detection(f"PLANT-{n}", rule=rule) for n in (1, 2) for rule in ("noise", "flood"))))
    sink = Kept()
    while _writer(scene, sink).step():
        pass
    assert len(sink.points) == len(scene.rows(change))


def test_notices_tell_their_channel_and_how_long_they_took(scene: Scene) -> None:
    scene.detect("PLANT-1")
    asked = notice.update().values(requested_at=notice.c.due_at + 2 * SECOND, attempts=1, state="accepted")
    with writing(scene.engine) as connection:
        connection.execute(asked)
        numbers = list(connection.scalars(select(notice.c.id)))
        from alerts.notices import tell

        tell(connection, numbers, "accepted", "accepted", scene.clock.now())
    sink = Kept()
    _writer(scene, sink).step()
    points = sink.of("notice")
    assert len(points) == len(numbers) > 1
    assert {tuple(point.tags.items()) for point in points} == {(("channel", "phone"), ("outcome", "accepted"))}
    assert {(point.fields["request_s"], point.fields["attempts"]) for point in points} == {(2.0, 1)}


def test_changes_of_an_older_program_make_points_too(scene: Scene) -> None:
    _day(scene)
    with writing(scene.engine) as connection:
        for row in connection.execute(select(change)).all():
            less = {
                name: value
                for name, value in row.what.items()
                if name not in ("value", "limit", "done_by", "grid", "category")
            }
            connection.execute(change.update().where(change.c.id == row.id).values(what=less))
    sink = Kept()
    _writer(scene, sink).step()
    assert len(sink.points) == len(scene.rows(change))
    assert {point.tags["grid"] for point in sink.of("ticket")} == {"G17"}


def test_no_point_names_a_person(scene: Scene) -> None:
    _day(scene)
    sink = Kept()
    _writer(scene, sink).step()
    told = "\n".join(map(line, sink.points.values()))
    with reading(scene.engine) as connection:
        for row in connection.execute(select(ticket.c.accepted_by, ticket.c.handled_by)):
            assert row.accepted_by
            assert row.accepted_by not in told


def test_an_influxdb_has_each_change_once_written_twice(engine: Engine, influx_one: InfluxOne) -> None:
    scene = Scene(engine)
    _day(scene)
    address = make_buckets(influx_one.address(f"events_{engine.dialect.name}"))
    wire = InfluxWire(address)
    for _ in range(2):
        with writing(engine) as connection:
            connection.execute(change_reader.delete())
        writer = EventWriter(engine, InfluxPoints(wire), scene.clock)
        while writer.step():
            pass
    asked = ['SELECT * FROM "alert"', 'SELECT * FROM "ticket"']
    found = {
        number: [dict(zip(answer.columns, row, strict=True)) for row in answer.values]
        for number, answer in wire.query(address.bucket, asked)
    }
    wire.close()
    changes = scene.rows(change)
    assert [len(found[0]), len(found[1])] == [
        sum(row["kind"] == kind for row in changes) for kind in ("alert", "ticket")
    ]
    assert (found[0][0]["value"], found[0][0]["device"], found[0][0]["severity"]) == (30.0, "PLANT-1", "3")
    assert found[1][0]["number"] == scene.tickets[0]["number"]
