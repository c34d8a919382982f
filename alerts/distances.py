"""How far it is to a place, and how that is known: by a routing service, in a straight line, from a live position."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from devices.geometry import Position, distance_m

Way = Literal["route", "straight", "position"]
_SHORTER, _SNAP_M = 0.9, 200.0


class Route(NamedTuple):
    """What a routing service said of the way from a station or a team's grid to a site."""

    metres: float
    seconds: float


Routes = Mapping[tuple[str, str], Route]
"""By (kind, code) of where it begins: "station" or "team"."""


class Measured(NamedTuple):
    """A distance in metres; `way` tells how it was got, `seconds` what a routing service says it takes."""

    metres: float
    way: Way
    seconds: float | None = None

    def compared(self, detour: float) -> float:
        """What it counts beside routes: a straight line is made longer."""
        return self.metres * detour if self.way == "straight" else self.metres


def measure(origin: Position | None, place: Position | None, route: Route | None = None) -> Measured | None:
    """From an origin to a place: the route where there is one that can be true, else the straight line.

    A route shorter than the straight line was asked for another position than the present one. Degrees, WGS84.

    >>> measure((120.435, 31.445), (120.435, 31.455), Route(1500.0, 180.0))
    Measured(metres=1500.0, way='route', seconds=180.0)
    >>> measure((120.435, 31.445), (120.435, 31.455), Route(500.0, 60.0)).way
    'straight'
    """
    if origin is None or place is None:
        return None
    straight = distance_m(*origin, *place)
    if route is not None and route.metres >= straight * _SHORTER - _SNAP_M:
        return Measured(route.metres, "route", route.seconds)
    return Measured(straight, "straight")
