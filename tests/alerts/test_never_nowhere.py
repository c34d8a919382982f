"""Whoever is on duty, wherever they are and at whatever hour: a person hears at once, if any can be reached at all."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts.assignment import AssignmentFacts, DispatchPolicy, StationFacts, TeamFacts, assign
from alerts.distances import Route
from alerts.duty import DutySpan, ShiftHours
from alerts.responders import LivePosition, Responder, duty_state
from alerts.town_view import Contact, Person, Station, Team
from core.clock import HOUR
from detectors.words import Severity
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, MONDAY_TEN

FORTNIGHT = st.integers(MONDAY_TEN, MONDAY_TEN + 14 * 24 * HOUR)
ROBOT = st.sampled_from([(), (Contact("robot", "key"),)])
SHIFTS = st.sampled_from(["day", "evening", "night", "all"])
SPANS = st.builds(lambda start, hours: DutySpan(start, start + hours * HOUR), FORTNIGHT, st.integers(1, 12))
SKILLS = st.sampled_from([(), ("gas",)])
SERVES = st.sampled_from([(), ("G17",), ("G18",)])
MIDDLES = st.sampled_from([None, (LNG, LAT), (LNG, LAT + 800 * METRE_NORTH)])
POSITIONS = st.none() | st.builds(LivePosition, st.just(LNG), st.just(LAT), FORTNIGHT, st.sampled_from([None, 10.0]))
ROUTES = st.dictionaries(
    st.sampled_from([("team", "T17"), ("team", "T18"), ("station", "ST1"), ("station", "ST2")]),
    st.builds(Route, st.floats(0, 9000), st.just(60.0)),
)
POLICIES = st.builds(DispatchPolicy, first_told=st.integers(1, 4), cascade=st.integers(0, 2))
WAYS = st.sampled_from([(), (Contact("phone", "1"),), (Contact("phone", "1"), Contact("sms", "2"))])


@st.composite
def crews(draw: st.DrawFn, role: str) -> list[Responder]:
    """Up to three people, each with any shift, roster, skill, position, rest and ways to reach them."""
    people = []
    for n in range(draw(st.integers(0, 3))):
        person = Person(f"{role}-{n}", f"{role}-{n}", role, "", None, None, draw(SHIFTS), draw(SKILLS))
        roster = tuple(draw(st.lists(SPANS, max_size=2)))
        last = draw(st.none() | FORTNIGHT)
        people.append(Responder(person, roster, draw(st.integers(0, 5)), draw(WAYS), draw(POSITIONS), last))
    return people


@st.composite
def patrols(draw: st.DrawFn) -> list[TeamFacts]:
    """The grid's own patrol first, then up to two of other grids, with or without a place."""
    others = [f"T{n}" for n in range(18, 18 + draw(st.integers(0, 2)))]
    return [
        TeamFacts(Team(code, code, f"G{code[1:]}"), draw(crews(code)), draw(ROBOT), draw(MIDDLES))
        for code in ("T17", *others)
    ]


@st.composite
def posts(draw: st.DrawFn) -> list[StationFacts]:
    """Up to two stations."""
    return [
        StationFacts(
            Station(code, code, "", LNG, LAT + metres * METRE_NORTH, draw(st.booleans()), "", draw(SERVES)),
            draw(crews(code)),
            draw(ROBOT),
        )
        for code, metres in (("ST1", 500), ("ST2", 3000))[: draw(st.integers(0, 2))]
    ]


@st.composite
def situations(draw: st.DrawFn) -> AssignmentFacts:
    grid = draw(st.sampled_from(["G17", None]))
    placed = grid is not None or draw(st.booleans())
    return AssignmentFacts(
        severity=draw(st.sampled_from(list(Severity)[1:])),
        life_safety=draw(st.booleans()),
        road=draw(st.booleans()),
        grid=grid,
        lng=LNG if placed else None,
        lat=LAT if placed else None,
        teams=draw(patrols()),
        stations=draw(posts()),
        leaders=draw(crews("leader")),
        dispatchers=draw(crews("dispatcher")),
        policy=draw(POLICIES),
        team=draw(st.sampled_from([None, "T17"])),
        hazard=draw(st.sampled_from(["gas", "noise"])),
        routes=draw(ROUTES),
        whole_town=draw(st.booleans()),
        site_team=draw(st.sampled_from([None, "T17", "T18", "GONE"])),
        site_station=draw(st.sampled_from([None, "ST2"])),
    )


@given(situations(), FORTNIGHT)
def test_somebody_hears_at_once(facts: AssignmentFacts, now: int) -> None:
    choice = assign(facts, now)
    told = [each.code for each in choice.at_once if each.kind == "person"]
    patrol = list(facts.teams[0].people)
    desk = [*facts.leaders, *facts.dispatchers]
    everybody = _everybody(facts)
    reached = {who.person.code for who in everybody if who.contacts}
    awake = {who.person.code for who in everybody if duty_state(who, choice.due_at, ShiftHours()).on} & reached

    assert bool(told) == bool(reached)
    assert len(set(told)) == len(told)
    assert set(told) <= reached
    if awake & {who.person.code for who in desk}:
        assert set(told) <= awake, "nobody is woken while the desk is awake"
    if awake & set(told):
        assert set(told) <= awake, "nobody is woken beside those who are awake"
    if choice.team == "T17" and facts.everybody_at_once:
        assert set(told) >= {who.person.code for who in patrol} & awake
    if facts.life_safety or facts.severity >= Severity.ALARM:
        assert choice.due_at == now


@given(situations(), FORTNIGHT)
def test_each_further_step_adds_somebody(facts: AssignmentFacts, now: int) -> None:
    choice = assign(replace(facts, team=None), now)
    steps = sorted({each.step for each in choice.recipients})
    assert steps == list(range(len(steps)))


@given(situations(), FORTNIGHT)
def test_everybody_considered_has_a_reason_and_a_distance_that_says_how_it_was_got(
    facts: AssignmentFacts, now: int
) -> None:
    choice = assign(facts, now)
    considered = {(each.kind, each.code) for each in choice.candidates}
    assert considered >= {("team", each.team.code) for each in facts.teams}
    assert considered >= {("station", each.station.code) for each in facts.stations}
    assert len({each for each in choice.candidates if each.chosen}) == sum(each.chosen for each in choice.candidates)
    for each in choice.candidates:
        assert each.reason
        assert (each.distance is None) == (each.way == "")
        assert each.chosen == (each.step is not None)
        assert each.way in ("", "route", "straight", "position")
    stored = choice.as_json()
    assert len(stored["candidates"]) + sum(stored["more"].values()) == len(choice.candidates)
    assert {each["code"] for each in stored["candidates"]} >= {each.code for each in choice.candidates if each.chosen}


@given(situations(), FORTNIGHT, st.randoms())
def test_the_order_in_which_facts_come_decides_nothing(facts: AssignmentFacts, now: int, chance: random.Random) -> None:
    def shuffled(each: Sequence[Any]) -> list[Any]:
        return chance.sample(list(each), len(each))

    teams = [replace(each, people=shuffled(each.people)) for each in facts.teams]
    other = replace(facts, teams=shuffled(teams), stations=shuffled(facts.stations), leaders=shuffled(facts.leaders))
    one, two = assign(facts, now), assign(other, now)
    assert (one.team, one.station, one.shortfalls) == (two.team, two.station, two.shortfalls)
    assert set(one.recipients) == set(two.recipients)


def _everybody(facts: AssignmentFacts) -> list[Responder]:
    patrols = (who for each in facts.teams for who in each.people)
    officers = (who for each in facts.stations for who in each.officers)
    return [*patrols, *officers, *facts.leaders, *facts.dispatchers]
