"""What is known of people when a ticket is made: rosters, work in hand, positions, routes; in few queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, update

from alerts import tables
from alerts.desk_work import DeskWork
from alerts.dispatching import plan_assignment
from alerts.distances import Route
from alerts.duty import DutySpan
from alerts.positions import report_position
from alerts.responders import LivePosition
from alerts.routes import keep_routes
from alerts.settings import DEFAULTS
from alerts.town_view import load_town_view
from core.clock import DAY, HOUR, MINUTE
from core.database import reading, writing
from detectors.words import Severity
from devices.tables import site
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, MONDAY_TEN, Scene

TICKET = {
    "severity": 2,
    "life_safety": False,
    "grid": "G17",
    "lng": LNG,
    "lat": LAT,
    "site": "PLANT",
    "hazard": "noise",
}


def work_of(scene: Scene, connection: Connection, now: int = MONDAY_TEN) -> DeskWork:
    return DeskWork(connection, scene.town, now, DEFAULTS)


@contextmanager
def counted(connection: Connection) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    yield statements
    event.remove(connection, "before_cursor_execute", note)


def test_a_persons_roster_work_and_position_are_known(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.move("accept", "G17-01")
    with writing(scene.engine) as connection:
        near = DutySpan(MONDAY_TEN - HOUR, MONDAY_TEN + HOUR)
        past = DutySpan(MONDAY_TEN - 5 * DAY, MONDAY_TEN - 5 * DAY + HOUR)
        connection.execute(insert(tables.duty), [{"person": "G17-02", **span._asdict()} for span in (near, past)])
        where = LivePosition(LNG, LAT, MONDAY_TEN)
        assert report_position(connection, "G17-03", where, MONDAY_TEN) == "kept"
        people = [scene.town.people[code] for code in ("G17-01", "G17-02", "G17-03")]
        first, second, third = work_of(scene, connection).rosters.of(people)
    assert (first.load, first.last_sent, first.roster, first.position) == (1, MONDAY_TEN, (), None)
    assert (second.load, second.roster) == (0, (near,))
    assert third.position == where


def test_what_was_handled_is_not_in_hand_any_more_but_was_the_last(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.handle()
    with reading(scene.engine) as connection:
        (found,) = work_of(scene, connection).rosters.of([scene.town.people["G17-01"]])
    assert (found.load, found.last_sent) == (0, MONDAY_TEN)


def test_a_ticket_asks_a_handful_of_questions_and_the_next_ones_fewer(scene: Scene) -> None:
    with reading(scene.engine) as connection:
        work = work_of(scene, connection)
        with counted(connection) as first:
            plan_assignment(work, TICKET)
        with counted(connection) as more:
            for _ in range(10):
                plan_assignment(work, TICKET)
    assert len(first) == 4, "rosters, positions, tickets in hand, routes"
    assert len(more) == 10, "the routes to each site"


def test_the_nearest_by_the_ways_that_were_told_ahead(scene: Scene) -> None:
    alarm = {**TICKET, "severity": int(Severity.ALARM)}
    found = {(("station", "ST1"), "PLANT"): Route(9000.0, 900.0), (("station", "ST2"), "PLANT"): Route(4200.0, 300.0)}
    with writing(scene.engine) as connection:
        before = plan_assignment(work_of(scene, connection), alarm)
        keep_routes(connection, found, "test", MONDAY_TEN)
        after = plan_assignment(work_of(scene, connection), alarm)
        late = plan_assignment(work_of(scene, connection, MONDAY_TEN + 8 * DAY), alarm)
    assert [(plan.station, plan.station_distance) for plan in (before, after, late)] == [
        ("ST1", pytest.approx(500, abs=2)),
        ("ST2", 4200.0),
        ("ST1", pytest.approx(500, abs=2)),
    ]


def test_the_next_grids_patrol_follows(scene: Scene) -> None:
    with reading(scene.engine) as connection:
        plan = plan_assignment(work_of(scene, connection), TICKET)
    teams = [each for each in plan.candidates if each.chosen and each.kind == "team"]
    assert [(each.code, each.step) for each in teams] == [("T-G17", 0), ("T-G18", 1)]
    assert [each.distance for each in teams] == pytest.approx([0, 1000], abs=5)


def test_the_dispatcher_may_choose_any_team(scene: Scene) -> None:
    with reading(scene.engine) as connection:
        plan = plan_assignment(work_of(scene, connection), TICKET, team="T-G18")
    assert (plan.team, plan.reason) == ("T-G18", "chosen_by_dispatcher")
    assert {each.code for each in plan.at_once} == {"G18-01"}


def test_a_storms_incident_is_the_desks_and_all_stations_until_the_dispatcher_sends_somebody(scene: Scene) -> None:
    storm = {**TICKET, "source": "storm", "grid": None, "lng": None, "lat": None, "site": None}
    with reading(scene.engine) as connection:
        plan = plan_assignment(work_of(scene, connection), storm)
        sent = plan_assignment(work_of(scene, connection), storm, team="T-G18")
    assert {each.code for each in plan.at_once} == {"DISP-1", "LEAD-1", "ST1-01", "ST2-01"}
    assert (plan.reason, plan.team) == ("many_sites", None)
    assert (sent.reason, sent.team) == ("chosen_by_dispatcher", "T-G18")


def test_the_view_finds_who_is_near_without_looking_at_everybody(scene: Scene) -> None:
    town = scene.town
    assert [team.code for team in town.near_teams("G17", 3)] == ["T-G18"]
    assert town.near_teams(None, 3) == town.near_teams("GHOST", 3) == ()
    assert town.grids["G18"].middle == pytest.approx((LNG, LAT + 1000 * METRE_NORTH))
    assert {person.code for person in town.patrol_of["T-G17"]} == {f"G17-0{n}" for n in (1, 2, 3, 4)}
    assert [person.code for person in town.officers_of["ST1"]] == ["ST1-01"]


def test_a_nights_ticket_is_judged_by_the_mornings_roster(scene: Scene) -> None:
    night = MONDAY_TEN + 13 * HOUR
    morning = DutySpan(night + 8 * HOUR + 30 * MINUTE, night + 17 * HOUR)
    with writing(scene.engine) as connection:
        rostered = [{"person": code, **morning._asdict()} for code in ("G17-02", "G17-03")]
        connection.execute(insert(tables.duty), rostered)
        plan = plan_assignment(work_of(scene, connection, night), TICKET)
    reasons = {each.code: each.reason for each in plan.candidates if each.kind == "person"}
    assert plan.due_at == night + 9 * HOUR
    assert {each.code for each in plan.at_once} == {"G17-01", "G17-02", "G17-03"}
    assert reasons["G17-04"] == "other_shift"


def test_a_sites_attributes_name_who_serves_it(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        names = {"team": "T-G18", "station": "ST2", "other": 1}
        connection.execute(update(site).where(site.c.code == "PLANT").values(attributes=names))
        town = load_town_view(connection)
        work = DeskWork(connection, town, MONDAY_TEN, DEFAULTS)
        plan = plan_assignment(work, {**TICKET, "severity": int(Severity.ALARM)})
    assert (plan.team, plan.station) == ("T-G18", "ST2")
    assert town.sites["NEXT"].team is None
