"""Which stations are told: the nearest beside the patrol, by night the next one too, for roads checkpoints first."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.candidates import CallList, Candidate, weighed
from alerts.dispatch_facts import AssignmentFacts, StationFacts
from alerts.distances import Measured, Routes, measure
from detectors.words import Severity
from devices.geometry import Position


class RankedStation(NamedTuple):
    """A station with its distance (None without a position) and why it stands where it stands."""

    facts: StationFacts
    measured: Measured | None
    reason: str

    @property
    def distance(self) -> float | None:
        """Metres."""
        return self.measured.metres if self.measured else None


def rank_stations(
    stations: Sequence[StationFacts],
    grid: str | None,
    place: Position | None,
    road: bool,
    routes: Routes,
    detour: float = 1.4,
    named: str | None = None,
) -> list[RankedStation]:
    """The best first: the one that the site names; for roads checkpoints; who serves the grid by order; the nearest.

    A station that serves other grids by order comes after those that serve by distance. Where only some ways are known
    by a routing service, the straight lines beside them count `detour` times.
    """
    ranked = [_ranked(each, grid, place, road, routes, named) for each in stations]
    if not any(each.measured and each.measured.way == "route" for each in ranked):
        detour = 1.0
    return sorted(ranked, key=lambda each: (each.facts.station.code != named, *_order(each, grid, road, detour)))


def _ranked(
    facts: StationFacts, grid: str | None, place: Position | None, road: bool, routes: Routes, named: str | None
) -> RankedStation:
    station = facts.station
    measured = measure((station.lng, station.lat), place, routes.get(("station", station.code)))
    if station.code == named:
        return RankedStation(facts, measured, "serves_this_site")
    if road and station.checkpoint:
        return RankedStation(facts, measured, "nearest_checkpoint")
    return RankedStation(facts, measured, "serves_this_grid" if grid in station.service_grids else "nearest_station")


def _order(each: RankedStation, grid: str | None, road: bool, detour: float) -> tuple[bool, int, float, str]:
    station = each.facts.station
    service = 1 if not station.service_grids else 0 if grid in station.service_grids else 2
    metres = each.measured.compared(detour) if each.measured else 0.0
    return road and not station.checkpoint, service, metres, station.code


def tell_stations(facts: AssignmentFacts, calls: CallList, patrolled: bool) -> RankedStation | None:
    """The station beside the patrol; by night and on days off the next ones a step later. An incident tells them all.

    The one of record, None where no station is needed.
    """
    where = facts.grid, facts.place, facts.road
    ranked = rank_stations(facts.stations, *where, facts.routes, facts.policy.detour, facts.site_station)
    needed = facts.whole_town or (facts.placed and (not patrolled or facts.road or facts.severity >= Severity.ALARM))
    place = _picked(facts, calls, ranked, needed)
    if place is None:
        _not_now(facts, calls, ranked, patrolled)
        return None
    following = facts.policy.cascade - 1 if not (facts.by_hand or patrolled or facts.whole_town) else 0
    _tell(calls, ranked[place], "chosen_by_dispatcher" if facts.by_hand else ranked[place].reason, 0)
    for each in ranked[:place]:
        _pass_by(facts, calls, each, "nobody_on_duty")
    for each in ranked[place + 1 :]:
        if following > 0 and _awake(calls, each):
            _tell(calls, each, "next_nearest", calls.next_step())
            following -= 1
        else:
            _pass_by(facts, calls, each, "ranked_behind")
    return ranked[place]


def _picked(facts: AssignmentFacts, calls: CallList, ranked: Sequence[RankedStation], needed: bool) -> int | None:
    """The dispatcher's choice; else the first that has somebody on duty, and the very first where none has."""
    if facts.by_hand:
        return next((place for place, each in enumerate(ranked) if each.facts.station.code == facts.station), None)
    if not ranked or not needed:
        return None
    return next((place for place, each in enumerate(ranked) if _awake(calls, each)), 0)


def _not_now(facts: AssignmentFacts, calls: CallList, ranked: Sequence[RankedStation], patrolled: bool) -> None:
    """No station is of record; by day the nearest follows behind the patrols, should none of them take it."""
    follows = patrolled and facts.grid is not None and not facts.by_hand
    for each in ranked:
        if follows and _awake(calls, each):
            _tell(calls, each, "after_the_patrols", calls.next_step())
            follows = False
        else:
            calls.add(_candidate(each, False, _unneeded(facts)))


def _unneeded(facts: AssignmentFacts) -> str:
    if facts.by_hand:
        return "not_chosen"
    return "below_alarm" if facts.placed else "place_unknown"


def _pass_by(facts: AssignmentFacts, calls: CallList, each: RankedStation, reason: str) -> None:
    if facts.by_hand:
        calls.add(_candidate(each, False, "not_chosen"))
    elif facts.whole_town:
        _tell(calls, each, "many_sites", 0)
    else:
        calls.add(_candidate(each, False, reason))


def _tell(calls: CallList, each: RankedStation, reason: str, step: int) -> None:
    calls.add(_candidate(each, True, reason, step))
    calls.group("station", each.facts.station.code, each.facts.contacts, step)
    for officer in weighed(calls, each.facts.officers, each.measured):
        calls.consider(officer, "station_officer", step)


def _candidate(each: RankedStation, chosen: bool, reason: str, step: int | None = None) -> Candidate:
    station, measured = each.facts.station, each.measured
    how = (measured.metres, step, measured.way, measured.seconds) if measured else (None, step)
    return Candidate("station", station.code, station.name, chosen, reason, *how)


def _awake(calls: CallList, each: RankedStation) -> bool:
    return any(calls.on_duty(officer) for officer in each.facts.officers)
