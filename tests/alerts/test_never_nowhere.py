"""Whoever is on duty and at whatever hour: a person hears at once, if any can be reached at all."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from alerts.assignment import AssignmentFacts, StationFacts, TeamFacts, assign
from alerts.duty import DutySpan, ShiftHours
from alerts.responders import Responder, duty_state
from alerts.town_view import Contact, Person, Station, Team
from core.clock import HOUR
from detectors.words import Severity
from tests.alerts.desk_scene import LAT, LNG, MONDAY_TEN

FORTNIGHT = st.integers(MONDAY_TEN, MONDAY_TEN + 14 * 24 * HOUR)
ROBOT = st.sampled_from([(), (Contact("robot", "key"),)])
SHIFTS = st.sampled_from(["day", "evening", "night", "all"])
SPANS = st.builds(lambda start, hours: DutySpan(start, start + hours * HOUR), FORTNIGHT, st.integers(1, 12))
WAYS = st.sampled_from([(), (Contact("phone", "1"),), (Contact("phone", "1"), Contact("sms", "2"))])


@st.composite
def crews(draw: st.DrawFn, role: str) -> list[Responder]:
    """Up to three people of a role, each with any shift, roster and ways to reach them."""
    people = []
    for n in range(draw(st.integers(0, 3))):
        person = Person(f"{role}-{n}", f"{role}-{n}", role, "", None, None, draw(SHIFTS))
        roster = tuple(draw(st.lists(SPANS, max_size=2)))
        people.append(Responder(person, roster, draw(st.integers(0, 5)), draw(WAYS)))
    return people


@st.composite
def situations(draw: st.DrawFn) -> AssignmentFacts:
    station = Station("ST", "ST", "", LNG, LAT, draw(st.booleans()), "", ())
    return AssignmentFacts(
        severity=draw(st.sampled_from(list(Severity)[1:])),
        life_safety=draw(st.booleans()),
        road=draw(st.booleans()),
        grid=draw(st.sampled_from(["G17", None])),
        lng=LNG,
        lat=LAT,
        teams=[TeamFacts(Team("T17", "T17", "G17"), draw(crews("patroller")), draw(ROBOT))],
        stations=draw(st.sampled_from([[], [StationFacts(station, draw(crews("officer")), draw(ROBOT))]])),
        leaders=draw(crews("leader")),
        dispatchers=draw(crews("dispatcher")),
        team=draw(st.sampled_from([None, "T17"])),
    )


@given(situations(), FORTNIGHT)
def test_somebody_hears_at_once(facts: AssignmentFacts, now: int) -> None:
    choice = assign(facts, now)
    told = [each.code for each in choice.at_once if each.kind == "person"]
    patrol = list(facts.teams[0].people)
    desk = [*facts.leaders, *facts.dispatchers]
    everybody = [*patrol, *(who for each in facts.stations for who in each.officers), *desk]
    reached = {who.person.code for who in everybody if who.contacts}
    awake = {who.person.code for who in everybody if duty_state(who, choice.due_at, ShiftHours()).on} & reached

    assert bool(told) == bool(reached)
    assert len(set(told)) == len(told)
    assert set(told) <= reached
    if awake & {who.person.code for who in desk}:
        assert set(told) <= awake, "nobody is woken while the desk is awake"
    if choice.team and facts.everybody_at_once:
        assert set(told) >= {who.person.code for who in patrol} & awake
    if facts.life_safety or facts.severity >= Severity.ALARM:
        assert choice.due_at == now


@given(situations(), FORTNIGHT)
def test_each_further_step_adds_somebody(facts: AssignmentFacts, now: int) -> None:
    choice = assign(replace(facts, team=None), now)
    steps = sorted({each.step for each in choice.recipients})
    assert steps == list(range(len(steps)))
