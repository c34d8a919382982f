"""Which patrols are told and who of them at once: the containing grid's, then the nearest with people on duty."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.candidates import CallList, Candidate, Weighed, weighed
from alerts.dispatch_facts import AssignmentFacts, TeamFacts
from alerts.distances import Measured, measure
from alerts.responders import Responder, rosterless
from alerts.town_view import Team
from detectors.words import Severity


class TeamChoice(NamedTuple):
    """The team of record, and what is amiss with the grid's own: no_roster, nobody_in_the_grid."""

    team: str | None
    shortfalls: tuple[str, ...] = ()


class _Near(NamedTuple):
    """A team with its distance to the place."""

    facts: TeamFacts
    measured: Measured | None

    def order(self, detour: float) -> tuple[bool, float, str]:
        return self.measured is None, self.measured.compared(detour) if self.measured else 0.0, self.facts.team.code

    def candidate(self, chosen: bool, reason: str, step: int | None = None) -> Candidate:
        team, measured = self.facts.team, self.measured
        how = (measured.metres, step, measured.way, measured.seconds) if measured else (None, step)
        return Candidate("team", team.code, team.name, chosen, reason, *how)


def tell_teams(facts: AssignmentFacts, calls: CallList, patrolled: bool) -> TeamChoice:
    """The containing grid's patrol, or the dispatcher's choice; then by day the nearest that have people on duty.

    Where nobody of the grid's own is on duty, the nearest team that has somebody takes it over at once.
    """
    own, others = _ranked(facts)
    told = [near for near in own if _tell_own(facts, calls, near, patrolled)]
    sent = told[0].facts.team.code if told else None
    if facts.by_hand or not patrolled or facts.grid is None:
        for near in others:
            calls.add(near.candidate(False, "not_chosen" if facts.by_hand else "other_grid"))
        return TeamChoice(sent, _amiss(calls, told))
    amiss = _amiss(calls, told) if told else ("nobody_in_the_grid",)
    empty = not calls.anybody
    nearest = _cascade(facts, calls, others)
    return TeamChoice((nearest if empty else None) or sent, amiss)


def _ranked(facts: AssignmentFacts) -> tuple[list[_Near], list[_Near]]:
    """The one that the dispatcher chose or the site names, else the grid's own; and the others, the nearest first.

    Behind a team that the site names the grid's own comes first.
    """
    near = [
        _Near(each, measure(each.middle, facts.place, facts.routes.get(("team", each.team.code))))
        for each in facts.teams
    ]
    mixed = any(each.measured and each.measured.way == "route" for each in near)
    detour = facts.policy.detour if mixed else 1.0
    near.sort(key=lambda each: each.order(detour))
    named = [each for each in near if each.facts.team.code == (facts.team or facts.site_team)]
    own = [each for each in near if each.facts.team.grid == facts.grid and each not in named]
    others = [each for each in near if each not in named and each not in own]
    if named and not facts.by_hand:
        return named, own + others
    return named + own, others


def _tell_own(facts: AssignmentFacts, calls: CallList, near: _Near, patrolled: bool) -> bool:
    """Tell a patrol of the grid itself, unless it is not its turn."""
    team = near.facts
    if refusal := _refusal(facts, team.team, patrolled):
        calls.add(near.candidate(False, refusal))
        return False
    named = "serves_this_site" if team.team.code == facts.site_team else "contains_the_site"
    calls.add(near.candidate(True, "chosen_by_dispatcher" if facts.team else named, 0))
    calls.group("team", team.team.code, team.contacts, 0)
    without = rosterless(team.people, calls.moment)
    at_once = len(team.people) if facts.everybody_at_once or without else facts.policy.first_told
    heard = 0
    for who in weighed(calls, team.people, near.measured):
        first = heard < at_once
        reason = "no_roster_all_by_day" if without else _why(who) if first else "on_duty_next"
        heard += calls.consider(who, reason, 0 if first else 1)
    return True


def _refusal(facts: AssignmentFacts, team: Team, patrolled: bool) -> str:
    if facts.by_hand:
        return "" if team.code == facts.team else "not_chosen"
    return "" if patrolled or facts.severity >= Severity.CRITICAL else "patrols_by_day"


def _amiss(calls: CallList, told: Sequence[_Near]) -> tuple[str, ...]:
    """What is lacking in the patrols that were told."""
    if not told:
        return ()
    without = any(rosterless(near.facts.people, calls.moment) for near in told)
    lacks = [("no_roster", without), ("nobody_in_the_grid", not calls.anybody)]
    return tuple(name for name, lacking in lacks if lacking)


def _why(who: Weighed) -> str:
    if who.skilled:
        return "on_duty_skilled"
    return "on_duty_nearest" if who.measured and who.measured.way == "position" else "on_duty_least_load"


def _cascade(facts: AssignmentFacts, calls: CallList, others: Sequence[_Near]) -> str | None:
    """The nearest teams in which somebody is on duty, a step each; the first of them."""
    sent: list[str] = []
    for near in others:
        awake = [each for each in near.facts.people if calls.on_duty(each)]
        if not awake or len(sent) >= facts.policy.cascade:
            calls.add(near.candidate(False, "beyond_the_cascade" if awake else "nobody_on_duty"))
        else:
            _tell_other(facts, calls, near, awake)
            sent.append(near.facts.team.code)
    return sent[0] if sent else None


def _tell_other(facts: AssignmentFacts, calls: CallList, near: _Near, awake: Sequence[Responder]) -> None:
    step = calls.next_step()
    calls.add(near.candidate(True, "next_nearest" if step else "nearest_on_duty", step))
    calls.group("team", near.facts.team.code, near.facts.contacts, step)
    at_once = len(awake) if facts.everybody_at_once and not step else facts.policy.first_told
    for place, who in enumerate(weighed(calls, awake, near.measured)):
        if place < at_once:
            calls.consider(who, _why(who), step)
        else:
            calls.refuse(who, "enough_of_that_team")
