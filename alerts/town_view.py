"""The town as alerts see it: where a subject stands, whose grid that is, who could be sent and how they are reached.

A view is read once and kept while `version` equals the registry's; rosters change without it and are read when needed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Select, func, select

from alerts import tables
from alerts.nearby import Nearby
from detectors.words import Subject
from devices.geometry import Grids, Position, distance_m, middle_of
from devices.tables import device, gateway, grid, registry, site, village

Named = TypeVar("Named")


class Site(NamedTuple):
    """A key site, enterprise or road section. `grid` and `village` are None outside every grid; WGS84 degrees.

    `team` and `station` are whom its attributes name instead of the grid's patrol and the nearest station: what lies
    behind a river or a railway is better served by others.
    """

    code: str
    kind: str
    name: str
    name_en: str
    lng: float
    lat: float
    grid: str | None
    importance: int
    contact: str
    phone: str
    address: str
    village: str | None
    team: str | None = None
    station: str | None = None


class GridPlace(NamedTuple):
    """A third-level grid (三级网格), its village, and the middle of its polygon (None without one)."""

    code: str
    name: str
    name_en: str
    village: str
    village_name: str
    village_name_en: str
    lng: float | None = None
    lat: float | None = None

    @property
    def middle(self) -> Position | None:
        """Where its patrol is taken to be while no live position is known."""
        return None if self.lng is None or self.lat is None else (self.lng, self.lat)


class DevicePlace(NamedTuple):
    """Where a device stands: its own position and the grid that contains it, else its site's. WGS84 degrees."""

    code: str
    name: str
    type: str
    site: str
    gateway: str
    lng: float
    lat: float
    grid: str | None


class GatewayPlace(NamedTuple):
    """A gateway, its site and how many devices speak through it."""

    code: str
    name: str
    site: str | None
    devices: int


class Station(NamedTuple):
    """An enforcement station (综合执法站). `service_grids` are served however far; empty means by distance."""

    code: str
    name: str
    name_en: str
    lng: float
    lat: float
    checkpoint: bool
    phone: str
    service_grids: tuple[str, ...]


class Team(NamedTuple):
    """A grid's patrol (网格巡查队)."""

    code: str
    name: str
    grid: str


class Person(NamedTuple):
    """Who can be sent or told: role patroller, officer, leader or dispatcher; a standing shift or "all".

    `quiet_hours` as "22:00-06:00", local; empty: the town's.
    """

    code: str
    name: str
    role: str
    phone: str
    team: str | None
    station: str | None
    shift: str
    skills: tuple[str, ...] = ()
    quiet_hours: str = ""


class Contact(NamedTuple):
    """A channel's name in settings and an address that it understands."""

    channel: str
    address: str


class Place(NamedTuple):
    """Where a subject is. Everything is None or empty for what the town does not know."""

    name: str = ""
    name_en: str = ""
    site: str | None = None
    road: bool = False
    grid: str | None = None
    village: str | None = None
    lng: float | None = None
    lat: float | None = None
    address: str = ""
    devices: int = 0


@dataclass(frozen=True)
class TownView:
    """Everything by its code; `contacts` by (kind, code) with kind person, team or station, the preferred first.

    What dispatch asks of every ticket is indexed once a view.
    """

    version: int
    sites: Mapping[str, Site]
    grids: Mapping[str, GridPlace]
    devices: Mapping[str, DevicePlace]
    gateways: Mapping[str, GatewayPlace]
    stations: Mapping[str, Station]
    teams: Mapping[str, Team]
    people: Mapping[str, Person]
    contacts: Mapping[tuple[str, str], tuple[Contact, ...]]

    @cached_property
    def teams_of(self) -> Mapping[str, tuple[Team, ...]]:
        """The patrols of each grid."""
        return _grouped((each.grid, each) for each in self.teams.values())

    @cached_property
    def patrol_of(self) -> Mapping[str, tuple[Person, ...]]:
        """The patrollers of each team."""
        return _grouped((each.team, each) for each in self.people.values() if each.role == "patroller" and each.team)

    @cached_property
    def officers_of(self) -> Mapping[str, tuple[Person, ...]]:
        """The officers of each station."""
        return _grouped(
            (each.station, each) for each in self.people.values() if each.role == "officer" and each.station
        )

    @cached_property
    def in_role(self) -> Mapping[str, tuple[Person, ...]]:
        """Everybody of each role."""
        return _grouped((each.role, each) for each in self.people.values())

    @cached_property
    def nearby(self) -> Nearby:
        """Sites by where they and their devices stand."""
        at_sites = ((each.code, each.lng, each.lat) for each in self.sites.values())
        devices = ((each.site, each.lng, each.lat) for each in self.devices.values())
        return Nearby({*at_sites, *devices})

    def near_teams(self, grid: str | None, count: int) -> tuple[Team, ...]:
        """The patrols of the grids whose middles are nearest to a grid's, that grid's own left out."""
        if grid is None:
            return ()
        found = self._near.get(grid)
        if found is None:
            found = self._near[grid] = self._by_distance(grid)
        return found[:count]

    @cached_property
    def _near(self) -> dict[str, tuple[Team, ...]]:
        return {}

    def _by_distance(self, grid: str) -> tuple[Team, ...]:
        here = self.grids[grid].middle if grid in self.grids else None
        if here is None:
            return ()
        away = [
            (distance_m(*here, *middle), team.code, team)
            for team in self.teams.values()
            if team.grid != grid and team.grid in self.grids and (middle := self.grids[team.grid].middle)
        ]
        return tuple(team for _, _, team in sorted(away))

    def place(self, subject: Subject) -> Place:
        """Where a subject is: a device's own position, else its site's; a gateway's and a site's is the site's."""
        if subject.kind == "device" and (found := self.devices.get(subject.id)):
            village_of = self.grids[found.grid].village if found.grid else None
            return self._at(found.site)._replace(lng=found.lng, lat=found.lat, grid=found.grid, village=village_of)
        if subject.kind == "gateway" and (speaker := self.gateways.get(subject.id)):
            return self._at(speaker.site)._replace(devices=speaker.devices)
        return self._at(subject.id if subject.kind == "site" else None)

    def _at(self, code: str | None) -> Place:
        found = self.sites.get(code) if code else None
        if found is None:
            return Place()
        return Place(
            name=found.name,
            name_en=found.name_en,
            site=found.code,
            road=found.kind == "road",
            grid=found.grid,
            village=found.village,
            lng=found.lng,
            lat=found.lat,
            address=found.address,
        )


def load_town_view(connection: Connection) -> TownView:
    """Read the view. Retired teams, stations and people are left out; retired sites stay, their tickets may be open."""
    return TownView(
        version=connection.execute(select(registry.c.version)).scalar() or 0,
        sites={row.code: _site(row) for row in connection.execute(_sites())},
        grids=_grid_places(connection),
        devices=_devices(connection),
        gateways={row.code: GatewayPlace(*row) for row in connection.execute(_gateways())},
        stations={row.code: _station(row) for row in connection.execute(_kept(tables.station))},
        teams={row.code: Team(row.code, row.name, row.grid) for row in connection.execute(_kept(tables.team))},
        people={row.code: _person(row) for row in connection.execute(_kept(tables.person))},
        contacts=_contacts(connection),
    )


_OF_SITE = tuple(name for name in Site._fields if name not in ("village", "team", "station"))


def _sites() -> Select[Any]:
    columns = [site.c[name] for name in _OF_SITE]
    return select(*columns, grid.c.village, site.c.attributes).outerjoin(grid, grid.c.code == site.c.grid)


def _site(row: Any) -> Site:
    named = (row.attributes or {}).get
    return Site(*row[:-1], *(name if isinstance(name := named(kind), str) else None for kind in ("team", "station")))


def _grids() -> Select[Any]:
    place = (grid.c.code, grid.c.name, grid.c.name_en)
    of_village = (village.c.code, village.c.name, village.c.name_en)
    return select(*place, *of_village, grid.c.polygon).join(village, village.c.code == grid.c.village)


def _grid_places(connection: Connection) -> dict[str, GridPlace]:
    return {row[0]: GridPlace(*row[:6], *(middle_of(row[6]) or ())) for row in connection.execute(_grids())}


def _devices(connection: Connection) -> dict[str, DevicePlace]:
    names = device.c.code, device.c.name, device.c.type, device.c.site, device.c.gateway
    at_site = select(*names, site.c.lng, site.c.lat, site.c.grid).join(site, site.c.code == device.c.site)
    found = {row.code: DevicePlace(*row) for row in connection.execute(at_site)}
    own = select(device.c.code, device.c.lng, device.c.lat).where(device.c.lng.is_not(None), device.c.lat.is_not(None))
    positions = connection.execute(own).all()
    if positions:
        codes, lng, lat = zip(*positions, strict=True)
        kept = select(grid.c.code, grid.c.polygon).where(grid.c.retired == 0)
        grids = Grids.of((row.code, row.polygon) for row in connection.execute(kept))
        contained = grids.containing_each(lng, lat)
        for code, at_lng, at_lat, containing in zip(codes, lng, lat, contained, strict=True):
            found[code] = found[code]._replace(lng=at_lng, lat=at_lat, grid=containing)
    return found


def _grouped(pairs: Iterable[tuple[str | None, Named]]) -> dict[str, tuple[Named, ...]]:
    found: dict[str, list[Named]] = {}
    for key, each in pairs:
        if key is not None:
            found.setdefault(key, []).append(each)
    return {key: tuple(each) for key, each in found.items()}


def _gateways() -> Select[Any]:
    spoken = select(func.count()).where(device.c.gateway == gateway.c.code, device.c.state != "retired")
    return select(gateway.c.code, gateway.c.name, gateway.c.site, spoken.scalar_subquery())


def _kept(table: Any) -> Select[Any]:
    return select(table).where(table.c.retired == 0).order_by(table.c.code)


def _station(row: Any) -> Station:
    place = row.code, row.name, row.name_en, row.lng, row.lat
    return Station(*place, bool(row.checkpoint), row.phone, tuple(row.service_grids))


def _person(row: Any) -> Person:
    skills = tuple(row.skills or ())
    return Person(
        row.code, row.name, row.role, row.phone, row.team, row.station, row.shift, skills, row.quiet_hours or ""
    )


def _contacts(connection: Connection) -> dict[tuple[str, str], tuple[Contact, ...]]:
    found: dict[tuple[str, str], tuple[Contact, ...]] = {}
    for row in connection.execute(select(tables.contact).order_by(tables.contact.c.id)):
        owner = row.owner_kind, row.owner
        found[owner] = (*found.get(owner, ()), Contact(row.channel, row.address))
    return found
