"""Who of those on duty is sent first, who follows from further off, and how each distance was got."""

from dataclasses import replace
from typing import Any

import pytest

from alerts.assignment import Assignment, AssignmentFacts, StationFacts, TeamFacts, assign
from alerts.candidates import REFUSED_KEPT, Candidate
from alerts.dispatch_policy import DispatchPolicy
from alerts.distances import Route
from alerts.duty import DutySpan
from alerts.responders import LivePosition, Responder
from alerts.town_view import Contact, Person, Station, Team
from core.clock import HOUR, MINUTE
from detectors.words import Severity
from devices.geometry import Position
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, at_local

DAY, NIGHT = at_local("2026-09-21 10:00"), at_local("2026-09-21 23:00")


def north(metres: float) -> Position:
    return LNG, LAT + metres * METRE_NORTH


def person(code: str, shift: str = "all", skills: tuple[str, ...] = (), **more: Any) -> Responder:
    role = more.pop("role", "patroller")
    return Responder(
        Person(code, code, role, "", None, None, shift, skills), contacts=(Contact("phone", code),), **more
    )


def team(code: str, metres: float, *people: Responder, grid: str = "") -> TeamFacts:
    return TeamFacts(Team(code, code, grid or f"G-{code}"), people, (Contact("robot", code),), north(metres))


def station(code: str, metres: float, *officers: Responder, checkpoint: bool = False) -> StationFacts:
    place = Station(code, code, "", *north(metres), checkpoint, "", ())
    return StationFacts(place, officers or (person(f"{code}-1", role="officer"),))


OWN = team("own", 300, *(person(code) for code in "abcde"), grid="G")
FACTS = AssignmentFacts(
    severity=Severity.WARNING,
    road=False,
    grid="G",
    lng=LNG,
    lat=LAT,
    teams=[OWN, team("far", 2000, person("f")), team("next", 900, person("n1"), person("n2")), team("off", 500)],
    stations=[station("S1", 1000), station("S2", 1200)],
    leaders=[person("leader", role="leader")],
    dispatchers=[person("desk", role="dispatcher")],
)


def choose(now: int = DAY, **changed: Any) -> Assignment:
    return assign(replace(FACTS, **changed), now)


def of(choice: Assignment, code: str) -> Candidate:
    return next(each for each in choice.candidates if each.code == code)


def told(choice: Assignment, step: int) -> set[str]:
    return {each.code for each in choice.recipients if each.step == step}


def own(*people: Responder) -> list[TeamFacts]:
    return [replace(OWN, people=people), *FACTS.teams[1:]]


# The containing grid first, then from further off ---------------------------------------------------------------------


def test_three_and_the_group_hear_at_once_then_the_others_then_the_nearest_teams_then_station_leader_desk() -> None:
    choice = choose()
    assert [told(choice, step) for step in range(7)] == [
        {"own", "a", "b", "c"},
        {"d", "e"},
        {"next", "n1", "n2"},
        {"far", "f"},
        {"S1-1"},
        {"leader"},
        {"desk"},
    ]
    assert (choice.team, choice.shortfalls) == ("own", ())
    assert (of(choice, "off").chosen, of(choice, "off").reason) == (False, "nobody_on_duty")


@pytest.mark.parametrize("cascade", [0, 1])
def test_how_many_teams_follow_is_the_towns_choice(cascade: int) -> None:
    choice = choose(policy=DispatchPolicy(cascade=cascade))
    followed = [each.code for each in choice.candidates if each.kind == "team" and each.chosen]
    assert followed == ["own", "next"][: 1 + cascade]
    assert of(choice, "far").reason == "beyond_the_cascade"


def test_where_nobody_of_the_grid_is_on_duty_the_nearest_team_takes_over_at_once() -> None:
    choice = choose(teams=own(person("a", shift="night")))
    assert choice.team == "next"
    assert told(choice, 0) == {"own", "next", "n1", "n2"}, "the grid's own group reads it too"
    assert choice.shortfalls == ("nobody_in_the_grid",)
    assert of(choice, "next").reason == "nearest_on_duty"


def test_a_grid_without_a_patrol_has_the_nearest_one() -> None:
    choice = choose(teams=FACTS.teams[1:])
    assert (choice.team, choice.shortfalls) == ("next", ("nobody_in_the_grid",))


def test_by_night_no_patrol_comes_from_another_grid() -> None:
    choice = choose(NIGHT, severity=Severity.CRITICAL)
    assert told(choice, 0) == {"own", *"abcde", "S1-1", "leader"}
    assert told(choice, 1) == {"S2-1"}
    assert of(choice, "next").reason == "other_grid"


def test_a_site_behind_a_river_names_who_serves_it() -> None:
    choice = choose(severity=Severity.ALARM, site_team="far", site_station="S2")
    assert (choice.team, choice.station, choice.shortfalls) == ("far", "S2", ())
    assert [told(choice, step) for step in range(3)] == [
        {"far", "f", "S2-1"},
        {"own", "a", "b", "c"},
        {"next", "n1", "n2"},
    ]
    assert {of(choice, code).reason for code in ("far", "S2")} == {"serves_this_site"}


def test_a_site_that_names_nobody_known_has_the_nearest_and_it_says_so() -> None:
    choice = choose(severity=Severity.ALARM, site_team="gone", site_station="S2")
    assert (choice.team, choice.station, choice.shortfalls) == ("own", "S2", ("site_names_unknown",))


def test_a_station_in_which_nobody_is_on_duty_is_passed_by() -> None:
    stations = [station("S1", 1000, person("o", "day", role="officer")), station("S2", 1200)]
    choice = choose(NIGHT, severity=Severity.ALARM, stations=stations)
    assert choice.station == "S2"
    assert of(choice, "S1").reason == "nobody_on_duty"


def test_an_incident_of_the_whole_town_is_the_desks_the_leaders_and_all_stations() -> None:
    choice = choose(grid=None, lng=None, lat=None, teams=[], whole_town=True)
    assert told(choice, 0) == {"desk", "leader", "S1-1", "S2-1"}
    assert choice.reason == "many_sites"


# Who of them ----------------------------------------------------------------------------------------------------------


def test_who_has_the_skill_that_the_hazard_wants_comes_first() -> None:
    people = [person("a"), person("b"), person("c"), person("z", skills=("gas",), load=1)]
    choice = choose(teams=own(*people), hazard="toxic")
    assert told(choice, 0) == {"own", "z", "a", "b"}
    assert (of(choice, "z").reason, of(choice, "z").skilled, of(choice, "a").skilled) == (
        "on_duty_skilled",
        True,
        False,
    )
    assert (choice.skill, choice.shortfalls) == ("gas", ())


def test_a_skill_that_nobody_has_is_a_shortfall() -> None:
    assert choose(hazard="gas").shortfalls == ("no_skill",)
    assert choose(hazard="noise").shortfalls == ()


def test_who_rests_or_has_work_in_hand_comes_later_but_is_not_left_out() -> None:
    rested = person("c", last_sent=DAY - 21 * MINUTE)
    people = [person("a", last_sent=DAY - 5 * MINUTE), person("b", load=1), rested, person("d"), person("e")]
    choice = choose(teams=own(*people))
    assert told(choice, 0) == {"own", "c", "d", "e"}
    assert told(choice, 1) == {"a", "b"}
    assert [of(choice, code).resting for code in "abc"] == [True, False, False]
    assert told(choose(teams=own(people[0])), 0) == {"own", "a"}, "a rest is soft"


def live(metres: float, age: int = MINUTE, accuracy: float | None = None) -> LivePosition:
    return LivePosition(*north(metres), DAY - age, accuracy)


def test_a_live_position_counts_while_it_is_fresh() -> None:
    people = [
        person("a", position=live(2403)),
        person("b", position=live(10, age=31 * MINUTE)),
        person("c", position=live(20, accuracy=900.0)),
        person("e", position=live(50)),
    ]
    choice = choose(teams=own(*people), policy=DispatchPolicy(first_told=1))
    assert told(choice, 0) == {"own", "e"}
    assert {code: (round(of(choice, code).distance or 0), of(choice, code).way) for code in "abce"} == {
        "a": (2400, "position"),
        "b": (300, "straight"),
        "c": (300, "straight"),
        "e": (50, "position"),
    }
    assert of(choice, "e").reason == "on_duty_nearest"


# Without a roster -----------------------------------------------------------------------------------------------------


def test_without_a_roster_all_of_the_grid_hear_by_day_shift_and_it_says_so() -> None:
    people = [person(code, shift="day") for code in "abcde"]
    choice = choose(teams=own(*people))
    assert told(choice, 0) == {"own", *"abcde"}
    assert choice.shortfalls == ("no_roster",)
    assert {of(choice, code).reason for code in "abcde"} == {"no_roster_all_by_day"}


def test_one_row_of_a_roster_or_another_shift_is_a_roster() -> None:
    people = [person(code, shift="day") for code in "abcde"]
    rostered = people[0]._replace(roster=(DutySpan(DAY - HOUR, DAY + HOUR),))
    for some in ([rostered, *people[1:]], [*people[1:], person("z", shift="night")]):
        choice = choose(teams=own(*some))
        assert len(told(choice, 0)) == 4
        assert choice.shortfalls == ()


# How far --------------------------------------------------------------------------------------------------------------


def test_a_routing_service_decides_which_station_is_nearer_and_it_says_so() -> None:
    routes = {("station", "S1"): Route(4000.0, 400.0), ("station", "S2"): Route(1500.0, 160.0)}
    choice = choose(severity=Severity.ALARM, routes={**routes, ("team", "own"): Route(420.0, 60.0)})
    assert (choice.station, choice.station_distance) == ("S2", 1500.0)
    assert (of(choice, "S2").way, of(choice, "S2").seconds) == ("route", 160.0)
    assert of(choice, "S1").distance == 4000.0
    assert choice.way == "mixed", "the teams that follow are not known to the service"
    alone = choose(severity=Severity.ALARM, routes={**routes, ("team", "own"): Route(420.0, 60.0)}, teams=[OWN])
    assert alone.way == "route"


def test_beside_routes_a_straight_line_counts_longer() -> None:
    assert choose(severity=Severity.ALARM, routes={("station", "S2"): Route(1350.0, 140.0)}).station == "S2"
    assert choose(severity=Severity.ALARM, routes={("station", "S2"): Route(1450.0, 150.0)}).station == "S1"


def test_a_route_shorter_than_the_straight_line_is_not_believed() -> None:
    choice = choose(severity=Severity.ALARM, routes={("station", "S2"): Route(100.0, 20.0)})
    assert (choice.station, of(choice, "S2").way) == ("S1", "straight")


def test_without_a_service_it_is_straight_and_without_a_place_nothing() -> None:
    assert choose().way == "straight"
    assert choose(grid=None, lng=None, lat=None, teams=[]).way == ""


# What is stored -------------------------------------------------------------------------------------------------------


def test_all_who_were_chosen_are_stored_and_of_the_others_the_nearest_and_how_many_more() -> None:
    crowd = [person(f"p{number:02}", shift="night") for number in range(30)]
    choice = choose(teams=own(person("a"), *crowd), leaders=[person("asleep", "night", role="leader")])
    stored = choice.as_json()
    kept = {each["code"]: each for each in stored["candidates"]}
    assert kept.keys() >= {each.code for each in choice.candidates if each.chosen}
    assert sum(not each["chosen"] and each["kind"] == "person" for each in kept.values()) == REFUSED_KEPT["person"]
    assert sum(stored["more"].values()) == len(choice.candidates) - len(kept)
    assert stored["more"] == {"other_shift": 25}
    assert {"asleep", "p29"}.isdisjoint(kept), "those without a distance, and the last of those as far"


def test_every_candidate_says_how_far_how_measured_and_why() -> None:
    stored = choose(hazard="gas", severity=Severity.ALARM).as_json()
    for each in stored["candidates"]:
        assert each["reason"]
        if each["kind"] != "person" or each["code"] not in ("leader", "desk"):
            assert each["distance"] >= 0
            assert each["way"] == "straight"
