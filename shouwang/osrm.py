"""Routes from an OSRM-compatible service: many ways in one request of its table service.

Facts: `GET /table/v1/{profile}/{lng,lat;…}?sources=0;1&destinations=2;3&annotations=duration,distance`; WGS84 as its
map has it. Code "Ok" comes with HTTP 200, every other with 400: TooBig, InvalidQuery, InvalidOptions, NoSegment. A way
that does not exist is null. Sources times destinations may be at most the server's `max-table-size` squared.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import httpx
import msgspec

from alerts.bounded import BoundedClient
from alerts.distances import Route
from devices.geometry import Position

_SNAP_M = 1_000.0
"""A position farther than this from any road of the service's map is not on that map."""
_MOST_BYTES = 32 << 20
_MOST_M, _MOST_S = 1_000_000.0, 86_400.0
"""A way that is longer, or takes longer, is no way within a town."""


class RoutingAway(Exception):
    """The service can't be reached or is busy: ask again later."""


class RoutingRefused(Exception):
    """The service won't answer such a request: asking again changes nothing. `code` is its own word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class RouteService(Protocol):
    """Tells the ways from each of some positions to each of others."""

    name: str
    most: int

    def ask(self, starts: Sequence[Position], places: Sequence[Position]) -> list[list[Route | None]]:
        """A row a start, None where there is no way. Raises RoutingAway and RoutingRefused."""
        ...


class _Waypoint(msgspec.Struct):
    distance: float = 0.0  # metres from what was asked to the nearest road


class _Table(msgspec.Struct):
    code: str
    durations: list[list[float | None]]
    distances: list[list[float | None]]
    sources: list[_Waypoint]
    destinations: list[_Waypoint]


class _Refusal(msgspec.Struct):
    code: str
    message: str = ""


class Osrm:
    """The service at `url`, which ends before `/table`; `most` positions go into one request."""

    def __init__(self, url: str, profile: str = "driving", most: int = 100, timeout_s: float = 20.0) -> None:
        self._base, self._profile, self._timeout_s = url.rstrip("/"), profile, timeout_s
        self.most = most
        address = httpx.URL(self._base)
        self.name = f"{address.host}{address.path.rstrip('/')} {profile}"

    def ask(self, starts: Sequence[Position], places: Sequence[Position]) -> list[list[Route | None]]:
        """The ways from each start to each place."""
        positions = ";".join(f"{lng:.6f},{lat:.6f}" for lng, lat in (*starts, *places))
        query = {
            "sources": _numbers(0, len(starts)),
            "destinations": _numbers(len(starts), len(starts) + len(places)),
            "annotations": "duration,distance",
        }
        try:
            with BoundedClient(total_s=self._timeout_s, most=_MOST_BYTES, timeout=self._timeout_s) as client:
                answer = client.get(f"{self._base}/table/v1/{self._profile}/{positions}", params=query)
        except httpx.RequestError as error:  # also for an answer that can't be unpacked
            raise RoutingAway(f"{type(error).__name__}: {error}") from error
        if answer.status_code == 429 or answer.status_code >= 500:
            raise RoutingAway(f"HTTP {answer.status_code}")
        return _routes(answer, len(starts), len(places))


def _numbers(first: int, end: int) -> str:
    return ";".join(str(number) for number in range(first, end))


def _routes(answer: httpx.Response, starts: int, places: int) -> list[list[Route | None]]:
    said = _decoded(answer, _Refusal)
    if answer.status_code != 200 or said.code != "Ok":
        raise RoutingRefused(said.code, said.message)
    table = _decoded(answer, _Table)
    shape = [(len(each), {len(row) for row in each}) for each in (table.durations, table.distances)]
    if shape != [(starts, {places})] * 2 or (len(table.sources), len(table.destinations)) != (starts, places):
        raise RoutingRefused("WrongShape", f"{starts} starts and {places} places were asked for")
    return [[_route(table, start, place) for place in range(places)] for start in range(starts)]


def _decoded(answer: httpx.Response, kind: Any) -> Any:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as error:
        raise RoutingRefused(f"HTTP {answer.status_code}", f"no answer of a table service: {error}") from error


def _route(table: _Table, start: int, place: int) -> Route | None:
    metres, seconds = table.distances[start][place], table.durations[start][place]
    far = max(table.sources[start].distance, table.destinations[place].distance) > _SNAP_M
    if metres is None or seconds is None or far or not (0 <= metres <= _MOST_M and 0 <= seconds <= _MOST_S):
        return None
    return Route(metres, seconds)
