"""Who is sent: by day and night, in the evening and on days off, on roads, and where nobody is on duty."""

from dataclasses import replace
from typing import Any

import pytest

from alerts.assignment import Assignment, AssignmentFacts, DispatchPolicy, StationFacts, TeamFacts, assign, period_at
from alerts.duty import DutySpan, ShiftHours
from alerts.responders import Responder, duty_state
from alerts.station_choice import rank_stations
from alerts.town_view import Contact, Person, Station, Team
from alerts.working_time import WorkCalendar
from core.clock import HOUR
from detectors.words import Severity
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, at_local

DAY, EVENING, NIGHT = (at_local(f"2026-09-21 {hour}") for hour in ("10:00", "19:00", "23:00"))
SATURDAY = at_local("2026-09-26 10:00")


def person(code: str, role: str = "patroller", shift: str = "all", **more: object) -> Responder:
    contacts = (Contact("phone", code),)
    return Responder(Person(code, code, role, "", None, None, shift), **{"contacts": contacts, **more})  # type: ignore[arg-type]


def station(code: str, metres: float, checkpoint: bool = False, serves: tuple[str, ...] = ()) -> StationFacts:
    place = Station(code, code, "", LNG, LAT + metres * METRE_NORTH, checkpoint, "", serves)
    return StationFacts(place, [person(f"{code}-1", "officer")])


TEAM = TeamFacts(Team("T17", "十七队", "G17"), [person("a", load=2), person("b"), person("c", load=1), person("d")])
FACTS = AssignmentFacts(
    severity=Severity.ALARM,
    road=False,
    grid="G17",
    lng=LNG,
    lat=LAT,
    teams=[TEAM],
    stations=[station("near", 500), station("far", 3000, checkpoint=True)],
    leaders=[person("leader", "leader")],
    dispatchers=[person("desk", "dispatcher")],
)


def choose(now: int, **changed: object) -> Assignment:
    return assign(replace(FACTS, **changed), now)  # type: ignore[arg-type]


def steps(choice: Assignment) -> list[set[str]]:
    last = max(each.step for each in choice.recipients)
    return [{each.code for each in choice.recipients if each.step == step} for step in range(last + 1)]


def why(choice: Assignment, code: str) -> tuple[bool, str]:
    return next((each.chosen, each.reason) for each in choice.candidates if each.code == code)


def test_by_day_the_grids_patrol_least_load_first_and_the_nearest_station_from_alarm_up() -> None:
    choice = choose(DAY)
    assert (choice.period, choice.reason, choice.team, choice.station) == ("day", "grid_patrol", "T17", "near")
    assert choice.station_distance == pytest.approx(500, abs=2)
    assert steps(choice) == [{"b", "c", "d", "near-1"}, {"a"}, {"leader"}, {"desk"}]
    assert why(choice, "far") == (False, "ranked_behind")


def test_below_alarm_the_station_is_left_alone_until_nobody_answers() -> None:
    choice = choose(DAY, severity=Severity.WARNING)
    assert choice.station is None
    assert steps(choice)[:3] == [{"b", "c", "d"}, {"a"}, {"near-1"}], "only behind the patrol, should it not answer"
    assert (why(choice, "near"), why(choice, "far")) == ((True, "after_the_patrols"), (False, "below_alarm"))


@pytest.mark.parametrize("grave", [{"severity": Severity.CRITICAL}, {"life_safety": True}])
def test_critical_and_life_safety_tell_the_whole_patrol_at_once(grave: dict[str, Any]) -> None:
    assert steps(choose(DAY, **grave))[0] == {"a", "b", "c", "d", "near-1"}


ROBOT = (Contact("robot", "key"),)


@pytest.mark.parametrize("contacts", [(), ROBOT])
def test_a_group_in_which_nobody_is_on_duty_is_nobody(contacts: tuple[Contact, ...]) -> None:
    teams = [replace(TEAM, people=[person("a", shift="night")], contacts=contacts)]
    choice = choose(DAY, severity=Severity.WARNING, teams=teams)
    assert steps(choice)[0] == {"near-1"} | {"T17" for _ in contacts}
    assert choice.shortfalls == ("nobody_in_the_grid",)


def test_at_last_whoever_can_be_reached_is_woken() -> None:
    off = [person("a", shift="night")]
    alone: dict[str, Any] = {"leaders": [], "dispatchers": [person("mute", "dispatcher", contacts=())], "stations": []}
    choice = choose(DAY, teams=[replace(TEAM, people=off, contacts=ROBOT)], **alone)
    assert steps(choice) == [{"T17", "a"}]
    assert ("a", "nobody_else_on_duty") in {(each.code, each.reason) for each in choice.candidates if each.chosen}


def test_the_evening_counts_as_day_unless_settings_say_otherwise() -> None:
    assert choose(EVENING).team == "T17"
    assert choose(EVENING, policy=DispatchPolicy(evening_is_day=False)).team is None


@pytest.mark.parametrize(("now", "period"), [(NIGHT, "night"), (SATURDAY, "day_off"), (DAY - 3 * HOUR, "night")])
def test_by_night_and_on_days_off_station_and_leader(now: int, period: str) -> None:
    choice = choose(now)
    assert (choice.period, choice.reason, choice.team, choice.station) == (period, "station_and_leader", None, "near")
    assert steps(choice) == [{"near-1", "leader"}, {"far-1"}, {"desk"}]
    assert (why(choice, "T17"), why(choice, "far")) == ((False, "patrols_by_day"), (True, "next_nearest"))


@pytest.mark.parametrize("now", [NIGHT, SATURDAY])
def test_critical_brings_the_patrol_of_its_own_grid_at_night_too(now: int) -> None:
    choice = choose(now, severity=Severity.CRITICAL)
    assert choice.team == "T17"
    assert steps(choice)[0] == {"a", "b", "c", "d", "near-1", "leader"}


@pytest.mark.parametrize(
    ("now", "due"),
    [(NIGHT, "2026-09-22 08:00"), (at_local("2026-09-22 02:00"), "2026-09-22 08:00"), (DAY, "2026-09-21 10:00")],
)
def test_a_nights_warning_waits_for_the_morning_and_goes_to_the_day(now: int, due: str) -> None:
    people = [person("early", shift="day"), person("late", shift="night")]
    choice = choose(now, severity=Severity.WARNING, teams=[replace(TEAM, people=people)])
    assert choice.due_at == at_local(due)
    assert choice.team == "T17"
    assert "early" in steps(choice)[0]
    assert why(choice, "late") == (False, "other_shift")


def test_an_alarm_never_waits() -> None:
    assert choose(NIGHT).due_at == NIGHT


def test_life_safety_never_waits_however_light() -> None:
    choice = choose(NIGHT, severity=Severity.WARNING, life_safety=True)
    assert (choice.due_at, choice.reason) == (NIGHT, "station_and_leader")


def test_roads_go_to_a_checkpoint_first_however_light() -> None:
    choice = choose(DAY, road=True, severity=Severity.WARNING)
    assert (choice.station, choice.reason) == ("far", "road_to_checkpoint")
    assert why(choice, "far") == (True, "nearest_checkpoint")
    assert choose(DAY, road=True, stations=[station("near", 500)]).station == "near"


def test_who_serves_a_grid_by_order_comes_before_who_is_nearer() -> None:
    stations = [station("near", 500, serves=("G18",)), station("free", 900), station("far", 3000, serves=("G17",))]
    ranked = [each.facts.station.code for each in rank_stations(stations, "G17", (LNG, LAT), road=False, routes={})]
    assert ranked == ["far", "free", "near"]
    assert why(choose(DAY, stations=stations), "far") == (True, "serves_this_grid")


@pytest.mark.parametrize(
    ("leaders", "first"), [([person("leader", "leader")], "leader"), ([person("off", "leader", "night")], "desk")]
)
def test_nobody_on_duty_goes_up_to_leader_then_dispatcher(leaders: list[Responder], first: str) -> None:
    teams = [replace(TEAM, people=[person("a", shift="night")])]
    choice = choose(DAY, severity=Severity.WARNING, teams=teams, leaders=leaders, stations=[])
    assert choice.team == "T17"
    assert steps(choice)[0] == {first}


def test_with_nobody_on_duty_at_all_the_desk_hears_it_off_duty() -> None:
    desk = [person("desk", "dispatcher", "night")]
    choice = choose(DAY, severity=Severity.WARNING, teams=[], leaders=[], dispatchers=desk, stations=[])
    assert steps(choice) == [{"desk"}]
    assert choice.shortfalls == ("nobody_in_the_grid", "nobody_on_duty")
    assert ("desk", "nobody_else_on_duty") in {(each.code, each.reason) for each in choice.candidates}


def test_outside_every_grid_it_is_the_dispatchers() -> None:
    choice = choose(DAY, grid=None, severity=Severity.WARNING)
    assert (choice.reason, choice.team, choice.station) == ("outside_every_grid", None, None)
    assert steps(choice) == [{"desk"}, {"leader"}]


def test_the_dispatchers_own_choice_stands() -> None:
    choice = choose(NIGHT, team="T17", severity=Severity.ALARM)
    assert (choice.reason, choice.team, choice.station) == ("chosen_by_dispatcher", "T17", None)
    assert why(choice, "near") == (False, "not_chosen")


def test_who_cannot_be_reached_is_named_and_further_channels_are_later_steps() -> None:
    people = [person("mute", contacts=()), person("two", contacts=(Contact("phone", "1"), Contact("sms", "2")))]
    choice = choose(DAY, severity=Severity.WARNING, teams=[replace(TEAM, people=people)])
    assert why(choice, "mute") == (False, "no_contact")
    assert [(each.channel, each.step) for each in choice.recipients if each.code == "two"] == [("phone", 0), ("sms", 1)]


def test_everybody_considered_is_stored_with_distance_and_reason() -> None:
    stored = choose(DAY).as_json()
    assert {each["code"] for each in stored["candidates"]} == {
        *("T17", "a", "b", "c", "d", "near", "near-1", "far", "leader", "desk")
    }
    assert all(each["distance"] is not None for each in stored["candidates"] if each["kind"] == "station")
    assert stored["calendar"] == "state_council"


def test_an_unknown_year_says_that_only_weekends_count() -> None:
    assert choose(at_local("2090-01-02 10:00")).calendar == "weekends_only"


@pytest.mark.parametrize(
    ("hour", "period"),
    [(0, "night"), (5, "night"), (6, "night"), (8, "day"), (17, "day"), (18, "evening"), (22, "night")],
)
def test_the_hours_of_the_day(hour: int, period: str) -> None:
    assert period_at(at_local(f"2026-09-21 {hour:02}:00"), DispatchPolicy(), WorkCalendar()) == period


SPAN = DutySpan(NIGHT, NIGHT + 8 * HOUR)


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (NIGHT, (True, "rostered")),
        (NIGHT + 8 * HOUR, (False, "off_roster")),
        (DAY, (False, "off_roster")),
        (DAY + 48 * HOUR, (True, "standing_shift")),
        (NIGHT + 48 * HOUR, (False, "other_shift")),
    ],
)
def test_a_roster_row_counts_instead_of_the_standing_shift_on_the_days_it_touches(
    at: int, state: tuple[bool, str]
) -> None:
    assert duty_state(person("a", shift="day", roster=(SPAN,)), at, ShiftHours()) == state


@pytest.mark.parametrize("now", [DAY, NIGHT])
def test_what_is_nowhere_in_the_town_is_the_dispatchers_and_no_stations(now: int) -> None:
    choice = choose(now, grid=None, lng=None, lat=None, teams=[])
    assert (choice.reason, choice.team, choice.station) == ("place_unknown", None, None)
    assert why(choice, "near") == (False, "place_unknown")
    assert "desk" in steps(choice)[0]
    assert "near-1" not in {each.code for each in choice.recipients}
