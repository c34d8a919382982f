"""A strict routing service on loopback that answers as OSRM's table service does, over an invented map.

Ways are a grid of streets (the two legs of a right angle), and a `river` along one latitude that is crossed only at its
`bridge`. North of `edge` there is no map: positions are snapped to it from afar.
"""

import json
import re
from typing import Any

from devices.geometry import Position, distance_m
from tests.providers.provider import Answer, Provider, Request

_PATH = re.compile(r"/table/v1/(?P<profile>[a-z]+)/(?P<positions>[^/]+)")
_POSITION = re.compile(r"(-?\d{1,3}(?:\.\d+)?),(-?\d{1,2}(?:\.\d+)?)")
_OPTIONS = {"sources", "destinations", "annotations"}
SPEED = 10.0  # m/s


class OsrmServer(Provider):
    """`most` is its --max-table-size. `unreachable` are positions to which no way leads."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        self.most = most
        self.river: float | None = None
        self.bridge = 0.0
        self.edge = 90.0
        self.unreachable: set[Position] = set()

    def judge(self, request: Request) -> Answer:
        if request.method != "GET":
            return Answer(b"", status=405)
        matched = _PATH.fullmatch(request.path)
        if matched is None:
            return _refused("InvalidUrl", "URL string malformed")
        positions = [_POSITION.fullmatch(each) for each in matched["positions"].split(";")]
        if any(each is None or abs(float(each[2])) > 90 for each in positions):
            return _refused("InvalidValue", "Invalid coordinate value.")
        if unknown := set(request.query) - _OPTIONS:
            return _refused("InvalidQuery", f"Query string malformed: {sorted(unknown)}")
        return self._table([(float(each[1]), float(each[2])) for each in positions if each], request.query)

    def _table(self, positions: list[Position], query: dict[str, str]) -> Answer:
        chosen = [_chosen(positions, query.get(name, "all")) for name in ("sources", "destinations")]
        if None in chosen or len(positions) < 2:
            return _refused("InvalidOptions", "Number of coordinates needs to be at least two.")
        starts, places = (each or [] for each in chosen)
        if len(starts) * len(places) > self.most**2:
            return _refused("TooBig", "Too many table coordinates")
        ways = [[self._metres(start, place) for place in places] for start in starts]
        body: dict[str, Any] = {"code": "Ok"}
        wanted = query.get("annotations", "duration").split(",")
        if "duration" in wanted:
            body["durations"] = [[None if each is None else round(each / SPEED, 1) for each in row] for row in ways]
        if "distance" in wanted:
            body["distances"] = [[None if each is None else round(each, 1) for each in row] for row in ways]
        body["sources"] = [self._waypoint(each) for each in starts]
        body["destinations"] = [self._waypoint(each) for each in places]
        return Answer(json.dumps(body).encode())

    def _metres(self, start: Position, place: Position) -> float | None:
        if start in self.unreachable or place in self.unreachable:
            return None
        if self.river is not None and (start[1] > self.river) != (place[1] > self.river):
            bridge = (self.bridge, self.river)
            return _streets(start, bridge) + _streets(bridge, place)
        return _streets(start, place)

    def _waypoint(self, where: Position) -> dict[str, Any]:
        on_road = where[0], min(where[1], self.edge)
        return {"hint": "", "distance": round(distance_m(*where, *on_road), 2), "name": "", "location": list(on_road)}


def _chosen(positions: list[Position], numbers: str) -> list[Position] | None:
    if numbers == "all":
        return positions
    if not re.fullmatch(r"\d+(;\d+)*", numbers):
        return None
    indexes = [int(each) for each in numbers.split(";")]
    return None if max(indexes) >= len(positions) else [positions[each] for each in indexes]


def _streets(start: Position, place: Position) -> float:
    corner = place[0], start[1]
    return distance_m(*start, *corner) + distance_m(*corner, *place)


def _refused(code: str, message: str) -> Answer:
    return Answer(json.dumps({"code": code, "message": message}).encode(), status=400)
