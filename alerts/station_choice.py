"""The order in which enforcement stations come into question for a place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alerts.responders import Responder
from alerts.town_view import Contact, Station
from devices.geometry import distance_m


@dataclass(frozen=True)
class StationFacts:
    """A station, its officers and its own (group) contacts."""

    station: Station
    officers: Sequence[Responder] = ()
    contacts: tuple[Contact, ...] = ()


class RankedStation(NamedTuple):
    """A station with its distance in metres (None without a position) and why it stands where it stands."""

    facts: StationFacts
    distance: float | None
    reason: str


def rank_stations(
    stations: Sequence[StationFacts], grid: str | None, lng: float | None, lat: float | None, road: bool
) -> list[RankedStation]:
    """The best first: for roads checkpoints before others; then who serves the grid by order, then the nearest.

    A station that serves other grids by order comes after those that serve by distance.
    """
    ranked = [_ranked(each, grid, lng, lat, road) for each in stations]
    return sorted(ranked, key=lambda each: _order(each, grid, road))


def _ranked(facts: StationFacts, grid: str | None, lng: float | None, lat: float | None, road: bool) -> RankedStation:
    station = facts.station
    distance = None if lng is None or lat is None else distance_m(lng, lat, station.lng, station.lat)
    if road and station.checkpoint:
        return RankedStation(facts, distance, "nearest_checkpoint")
    return RankedStation(facts, distance, "serves_this_grid" if grid in station.service_grids else "nearest_station")


def _order(each: RankedStation, grid: str | None, road: bool) -> tuple[bool, int, float, str]:
    station = each.facts.station
    service = 1 if not station.service_grids else 0 if grid in station.service_grids else 2
    return road and not station.checkpoint, service, each.distance or 0.0, station.code
