"""A township for measuring dispatch: 50 grids with a robot each, 663 patrollers, 1,200 sites, 10,000 detectors."""

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, insert

from alerts import tables as alerts
from detectors.rules import Rule, RuleSet
from detectors.words import Change, Detection, Severity, Subject
from devices import tables as town

VILLAGES, GRIDS_OF_VILLAGE, SITES, DEVICES, PATROLLERS, STATIONS = 10, 5, 1_200, 10_000, 663, 4
GRIDS = VILLAGES * GRIDS_OF_VILLAGE
_WEST, _SOUTH, _SIDE = 120.38, 31.40, 0.01
_SHIFTS = ("day", "evening", "night")


def _rule(code: str, hazard: str, life_safety_from: Severity | None = None) -> Rule:
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


RULES = RuleSet(1, {each.id: each for each in (_rule("gas", "gas", Severity.NOTICE), _rule("noise", "noise"))})


class Alarm(NamedTuple):
    """One alert that is to open, `after` µs from the beginning."""

    after: int
    device: str
    rule: str

    def detection(self, now: int) -> Detection:
        """Measured and received now."""
        subject = Subject("device", self.device)
        return Detection(Change.OPENED, subject, self.rule, Severity.ALARM, now, now, now, value=30.0, limit=25.0)


def fill_town(connection: Connection) -> None:
    """Everybody works at all hours but patrollers, a third of them in each shift."""
    put = _Put(connection)
    put(town.registry, {"one": 1, "id": "bench", "version": 1, "next_series": 0})
    put(town.village, *({"code": f"V{n}", "name": f"{n}村"} for n in range(VILLAGES)))
    put(town.grid, *(_grid(n) for n in range(GRIDS)))
    put(town.site, *(_site(n) for n in range(SITES)))
    put(town.gateway, *({"code": f"GW-{n}", "site": f"S-{n}"} for n in range(0, SITES, 12)))
    put(town.device, *(_device(n) for n in range(DEVICES)))
    put(alerts.team, *({"code": f"T-{n}", "name": f"{n}网格巡查队", "grid": f"G-{n}"} for n in range(GRIDS)))
    put(alerts.station, *(_station(n) for n in range(STATIONS)))
    people = list(_people())
    put(alerts.person, *people)
    put(alerts.contact, *(_contact("team", f"T-{n}", "robot", f"key-{n}") for n in range(GRIDS)))
    put(alerts.contact, *(_contact("person", each["code"], "phone", each["code"]) for each in people))


class _Put:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, table: Table, *rows: dict[str, Any]) -> None:
        self._connection.execute(insert(table), list(rows))


def _grid(number: int) -> dict[str, Any]:
    west, south = _corner(number)
    east, north = west + _SIDE, south + _SIDE
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    polygon = json.dumps({"type": "Polygon", "coordinates": [ring]})
    return {"code": f"G-{number}", "village": f"V{number // 5}", "name": f"{number}网格", "polygon": polygon}


def _corner(number: int) -> tuple[float, float]:
    return _WEST + (number % VILLAGES) * _SIDE, _SOUTH + (number // VILLAGES) * _SIDE


def _site(number: int) -> dict[str, Any]:
    west, south = _corner(number % GRIDS)
    place = number // GRIDS  # 24 sites a grid, at least 150 m from each other
    lng, lat = west + (place % 5 + 0.5) * _SIDE / 5, south + (place // 5 + 0.5) * _SIDE / 5
    named = {"code": f"S-{number}", "kind": "enterprise", "name": f"示例企业{number}", "contact": "安全员"}
    return {**named, "lng": lng, "lat": lat, "grid": f"G-{number % GRIDS}", "phone": "13900000000"}


def _device(number: int) -> dict[str, Any]:
    site = number % SITES
    return {
        "code": f"D-{number}",
        "type": "gas",
        "gateway": f"GW-{site // 12 * 12}",
        "site": f"S-{site}",
        "state": "in_service",
    }


def _station(number: int) -> dict[str, Any]:
    at = {"lng": _WEST + (number % 2 + 0.5) * 0.05, "lat": _SOUTH + (number // 2 + 0.5) * 0.025}
    return {"code": f"ST-{number}", "name": f"{number}号站", "checkpoint": number % 2 == 0, **at}


def _people() -> Any:
    for number in range(PATROLLERS):
        yield _person(f"P-{number}", "patroller", _SHIFTS[number // GRIDS % 3], team=f"T-{number % GRIDS}")
    for station in range(STATIONS):
        for number in range(3):
            yield _person(f"O-{station}-{number}", "officer", "all", station=f"ST-{station}")
    yield _person("LEAD-1", "leader", "all")
    for number in range(3):
        yield _person(f"DISP-{number}", "dispatcher", "all")


def _person(code: str, role: str, shift: str, team: str | None = None, station: str | None = None) -> dict[str, Any]:
    return {"code": code, "name": code, "role": role, "shift": shift, "team": team, "station": station}


def _contact(kind: str, owner: str, channel: str, address: str) -> dict[str, Any]:
    return {"owner_kind": kind, "owner": owner, "channel": channel, "address": address}
