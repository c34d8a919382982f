"""Asks a routing service ahead for the ways to all sites, so that no alert ever waits for one.

Every day, and when sites, stations or grids change. While the service is away what it said before stands, for a week at
most; then, and where it knows no way, distances are straight lines, and each ticket says so.
"""

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog
from sqlalchemy import Engine

from alerts.distances import Route
from alerts.routes import BELIEVED, End, forget_older, forget_routes, keep_routes
from alerts.town_view import Site, TownView
from core.clock import DAY, MINUTE, Clock
from core.database import writing
from devices.geometry import Position
from shouwang.osrm import RouteService, RoutingAway, RoutingRefused

_log = structlog.get_logger()
_INTERVAL = 5.0  # s
_AGAIN = 5 * MINUTE


class Asked(NamedTuple):
    """What a round brought: ways that are known now, ways that don't exist, requests that were refused."""

    known: int = 0
    missing: int = 0
    refused: int = 0


class Request(NamedTuple):
    """Some ends and the sites to which their ways are asked for at once."""

    ends: dict[End, Position]
    sites: dict[str, Position]


class Routing:
    """The worker that fills the table `route`. `near` is how many patrols beside a site's own are asked for."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        town: Callable[[], TownView],
        service: RouteService,
        near: int = 4,
        every: int = DAY,
    ) -> None:
        self._engine, self._clock, self._town, self._service = engine, clock, town, service
        self._near, self._every = near, every
        self._known: Request | None = None
        self._version = -1
        self._next = 0
        self._away = False

    def run(self, ending: threading.Event) -> None:
        """Look every few seconds until `ending`."""
        while not ending.wait(_INTERVAL):
            self.step(self._clock.now(), ending.is_set)

    def step(self, now: int, ended: Callable[[], bool] = lambda: False) -> Asked | None:
        """Ask for all ways if that is due; None when it is not, or when the service is away."""
        town = self._town()
        if town.version != self._version:
            self._forget_moved(town)
            self._version, self._next = town.version, 0
        if self._next - self._every <= now < self._next:
            return None
        try:
            asked = self._round(town, now, ended)
        except RoutingAway as away:
            self._wait(now, str(away))
            return None
        self._away = False
        self._next = now + (_AGAIN if asked.refused else self._every)
        _log.info("ways were asked for", service=self._service.name, **asked._asdict())
        return asked

    def _round(self, town: TownView, now: int, ended: Callable[[], bool]) -> Asked:
        total = Asked()
        for request in requests(town, self._near, self._service.most):
            if ended():
                return total
            found, asked = self._ask(request)
            with writing(self._engine) as connection:
                keep_routes(connection, found, self._service.name, now)
            total = Asked(*(before + more for before, more in zip(total, asked, strict=True)))
        if not total.refused:
            with writing(self._engine) as connection:
                forget_older(connection, now)  # of sites and stations that are gone
        return total

    def _ask(self, request: Request) -> tuple[dict[tuple[End, str], Route], Asked]:
        """One request, in halves where the service finds it too big."""
        ends, sites = list(request.ends), list(request.sites)
        try:
            told = self._service.ask(list(request.ends.values()), list(request.sites.values()))
        except RoutingRefused as refused:
            if refused.code == "TooBig" and len(sites) > 1:
                return self._ask_halves(request)
            _log.warning("ways are not told", service=self._service.name, why=str(refused), sites=len(sites))
            return {}, Asked(refused=1)
        ways = {(end, site): told[row][place] for row, end in enumerate(ends) for place, site in enumerate(sites)}
        found = {way: route for way, route in ways.items() if route is not None}
        return found, Asked(len(found), len(ways) - len(found))

    def _ask_halves(self, request: Request) -> tuple[dict[tuple[End, str], Route], Asked]:
        sites = list(request.sites.items())
        half = len(sites) // 2
        first, asked = self._ask(Request(request.ends, dict(sites[:half])))
        second, more = self._ask(Request(request.ends, dict(sites[half:])))
        return first | second, Asked(*(a + b for a, b in zip(asked, more, strict=True)))

    def _wait(self, now: int, why: str) -> None:
        if not self._away:
            _log.warning("the routing service is away: what it said before stands", why=why)
        self._away = True
        self._next = now + _AGAIN
        with writing(self._engine) as connection:
            forget_older(connection, now - BELIEVED)

    def _forget_moved(self, town: TownView) -> None:
        """Drop the ways from and to what has moved or is gone, whether or not the service can be asked now."""
        before, after = self._known, Request(_ends(town), {each.code: _at(each) for each in town.sites.values()})
        self._known = after
        if before is None:
            return
        ends = [end for end, where in before.ends.items() if after.ends.get(end) != where]
        sites = [code for code, where in before.sites.items() if after.sites.get(code) != where]
        if ends or sites:
            with writing(self._engine) as connection:
                forget_routes(connection, ends, sites)


def requests(town: TownView, near: int, most: int) -> Iterator[Request]:
    """What to ask for, grid by grid: from all stations, the grid's patrols and those near it, to the grid's sites."""
    ends = _ends(town)
    stations = {end: where for end, where in ends.items() if end[0] == "station"}
    by_grid: dict[str | None, dict[str, Position]] = {}
    for site in town.sites.values():
        by_grid.setdefault(site.grid, {})[site.code] = _at(site)
    for grid, sites in sorted(by_grid.items(), key=lambda each: each[0] or ""):
        teams = (*town.teams_of.get(grid or "", ()), *town.near_teams(grid, near))
        here = stations | {end: ends[end] for team in teams if (end := ("team", team.code)) in ends}
        yield from _cut(here, list(sites.items()), most)


def _cut(ends: dict[End, Position], sites: list[tuple[str, Position]], most: int) -> Iterator[Request]:
    """Requests of at most so many positions; at least two of each sort, however little the service takes."""
    for first in range(0, len(ends), room := max(1, most - 1)):
        some = dict(list(ends.items())[first : first + room])
        size = max(1, most - len(some))
        for start in range(0, len(sites), size):
            yield Request(some, dict(sites[start : start + size]))


def _ends(town: TownView) -> dict[End, Position]:
    stations = {("station", each.code): (each.lng, each.lat) for each in town.stations.values()}
    patrols = {
        ("team", team.code): middle
        for team in town.teams.values()
        if team.grid in town.grids and (middle := town.grids[team.grid].middle)
    }
    return stations | patrols


def _at(site: Site) -> Position:
    return site.lng, site.lat
