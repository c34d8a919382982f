"""A small town with a desk, for tests: two grids, two stations, three sites, a road, somebody of every role."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select

from alerts import tables
from alerts.desk import Applied, apply_detections
from alerts.moves import Moved, move
from alerts.settings import DEFAULTS, DeskSettings
from alerts.town_view import TownView, load_town_view
from core.clock import SHANGHAI, ManualClock, moment_of
from core.database import reading, writing
from core.journal import Offset
from detectors.rules import Rule, RuleSet
from detectors.words import Change, Detection, Found, Severity, Subject
from devices import tables as town

LNG, LAT = 120.435, 31.445
METRE_NORTH = 1 / 111_320


def at_local(text: str) -> int:
    """The moment of a local time such as "2026-09-21 10:00"."""
    return moment_of(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI))


MONDAY_TEN = at_local("2026-09-21 10:00")


def rule(code: str, hazard: str, life_safety_from: Severity | None = None) -> Rule:
    return Rule(
        id=code,
        kind="threshold",
        device_types=("gas",),
        limits={Severity.ALARM: 25.0},
        hazard=hazard,
        category="安全生产",
        title_zh=f"{hazard}超限",
        title_en=f"{hazard} too high",
        advice_zh="勿单独进入",
        advice_en="never go in alone",
        basis="K",
        life_safety_from=life_safety_from,
    )


RULES = RuleSet(
    1,
    {
        each.id: each
        for each in (
            rule("gas.lel", "gas", Severity.NOTICE),
            rule("gas.co", "gas", Severity.NOTICE),
            rule("noise", "noise"),
            rule("flood", "flood", Severity.ALARM),
            rule("silence", "device"),
            rule("gateway", "device"),
        )
    },
)


def _rows(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    connection.execute(insert(table), list(rows))


def _site(code: str, metres: float, grid: str | None, kind: str = "enterprise") -> dict[str, Any]:
    return {
        "code": code,
        "kind": kind,
        "name": f"{code}号",
        "lng": LNG,
        "lat": LAT + metres * METRE_NORTH,
        "grid": grid,
    }


def _grid(code: str, metres: float) -> dict[str, Any]:
    """A grid of 2 km by 1 km whose southern edge lies `metres` north of the plant."""
    south, north = LAT + metres * METRE_NORTH, LAT + (metres + 1000) * METRE_NORTH
    ring = [[LNG - 0.01, south], [LNG + 0.01, south], [LNG + 0.01, north], [LNG - 0.01, north], [LNG - 0.01, south]]
    polygon = json.dumps({"type": "Polygon", "coordinates": [ring]})
    return {"code": code, "village": "V1", "name": code, "polygon": polygon}


def _person(code: str, role: str, shift: str, team: str | None = None, station: str | None = None) -> dict[str, Any]:
    return {"code": code, "name": code, "role": role, "shift": shift, "team": team, "station": station}


def _device(code: str, site: str) -> dict[str, Any]:
    return {"code": code, "type": "gas", "gateway": "GW-0001", "site": site, "state": "in_service"}


def fill_town(connection: Connection) -> None:
    _rows(connection, town.registry, {"one": 1, "id": "r", "version": 3, "next_series": 0})
    _rows(connection, town.village, {"code": "V1", "name": "村"})
    _rows(connection, town.grid, _grid("G17", -500), _grid("G18", 500))
    _rows(
        connection,
        town.site,
        _site("PLANT", 0, "G17"),
        _site("NEXT", 100, "G17"),
        _site("FAR", 900, "G18"),
        _site("ROAD", 2000, "G18", "road"),
        _site("OUTSIDE", 5000, None),
    )
    _rows(connection, town.gateway, {"code": "GW-0001", "site": "PLANT"})
    sites = {"PLANT": 2, "NEXT": 1, "FAR": 1, "ROAD": 1, "OUTSIDE": 1}
    devices = [_device(f"{site}-{n}", site) for site, count in sites.items() for n in range(1, count + 1)]
    _rows(connection, town.device, *devices)
    _rows(connection, tables.team, *({"code": f"T-{g}", "name": f"T-{g}", "grid": g} for g in ("G17", "G18")))
    _rows(
        connection,
        tables.station,
        {"code": "ST1", "name": "一站", "lng": LNG, "lat": LAT + 500 * METRE_NORTH, "checkpoint": False},
        {"code": "ST2", "name": "二站", "lng": LNG, "lat": LAT + 4000 * METRE_NORTH, "checkpoint": True},
    )
    people = [
        *(
            _person(f"G17-0{n}", "patroller", shift, "T-G17")
            for n, shift in enumerate(("day", "day", "day", "night"), 1)
        ),
        _person("G18-01", "patroller", "day", "T-G18"),
        _person("ST1-01", "officer", "all", station="ST1"),
        _person("ST2-01", "officer", "all", station="ST2"),
        _person("LEAD-1", "leader", "all"),
        _person("DISP-1", "dispatcher", "all"),
    ]
    _rows(connection, tables.person, *people)
    contacts = [{"owner_kind": "person", "owner": p["code"], "channel": "phone", "address": p["code"]} for p in people]
    _rows(connection, tables.contact, *contacts)


class Scene:
    """The desk with a clock that stands at a Monday, 10:00, and a journal offset that grows by itself."""

    def __init__(self, engine: Engine, settings: DeskSettings = DEFAULTS) -> None:
        self.engine = engine
        self.settings = settings
        self.clock = ManualClock(MONDAY_TEN)
        self.n = 0
        with writing(engine) as connection:
            fill_town(connection)
            self.town: TownView = load_town_view(connection)

    def detection(
        self,
        device: str,
        change: Change = Change.OPENED,
        severity: Severity = Severity.ALARM,
        rule: str = "gas.lel",
        onset: int | None = None,
        **more: Any,
    ) -> Detection:
        kind = "gateway" if device.startswith("GW") else "device"
        now = self.clock.now()
        level = Severity.NONE if change == Change.CLEARED else severity
        onset = MONDAY_TEN if onset is None else onset
        measured = {"value": 30.0, "limit": 25.0} | more
        return Detection(change, Subject(kind, device), rule, level, onset, now, now, **measured)

    def found(self, *detections: Detection) -> list[Found]:
        found = []
        for each in detections:
            self.n += 1
            found.append(Found(Offset(0, self.n), self.clock.now(), each))
        return found

    def detect(self, device: str, change: Change = Change.OPENED, **more: Any) -> Applied:
        return self.apply(self.found(self.detection(device, change, **more)))

    def apply(self, found: list[Found], consumer: str = "safety") -> Applied:
        with writing(self.engine) as connection:
            upto = Offset(0, self.n)
            now = self.clock.now()
            return apply_detections(connection, self.town, RULES, consumer, found, upto, now, self.settings)

    def move(self, action: str, who: str, ticket: int = 1, **more: Any) -> Moved:
        with writing(self.engine) as connection:
            return move(connection, self.town, ticket, action, who, self.clock.now(), **more)

    def handle(self, ticket: int = 1, who: str = "G17-01") -> None:
        """Accept, arrive and handle."""
        for action in ("accept", "arrive", "handle"):
            self.move(action, who, ticket)

    def finish(self, ticket: int = 1, who: str = "G17-01") -> Moved:
        """The whole way to the end."""
        self.handle(ticket, who)
        self.move("check", "DISP-1", ticket)
        return self.move("close", "DISP-1", ticket)

    def rows(self, table: Table) -> list[dict[str, Any]]:
        with reading(self.engine) as connection:
            key = next(iter(table.primary_key.columns))
            return [dict(row._mapping) for row in connection.execute(select(table).order_by(key))]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return self.rows(tables.alert)

    @property
    def tickets(self) -> list[dict[str, Any]]:
        return self.rows(tables.ticket)

    @property
    def notices(self) -> list[dict[str, Any]]:
        return self.rows(tables.notice)

    @property
    def log(self) -> list[str]:
        return [row["action"] for row in self.rows(tables.ticket_log)]
