"""A small town under a real console, for tests: nine grids, gas and water sensors, two people, alerts by the desk."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import Connection, Engine, Table, insert, select

from alerts import tables
from alerts.channels.phone_page import PhonePage
from alerts.desk import apply_detections
from alerts.owners import Owner
from alerts.sender import Sender
from alerts.town_view import load_town_view
from console.app import create_app
from console.channel_facts import ChannelFacts
from console.services import Restored, Services
from console.tables import account
from core.clock import SECOND, Clock
from core.database import reading, writing
from core.journal import Offset
from detectors.rules import RuleSet, load_packs, load_version, record_version
from detectors.words import Change, Detection, Found, Severity, Subject
from devices import tables as town
from devices.credentials import hash_password
from devices.device_types import load_device_types
from devices.enrolment import NewDevice, enrol
from ingest.store import ReadingStore
from ingest.words import Control
from shouwang.web import WebServer

PASSWORD = "a-long-password"
LNG, LAT, SIDE = 120.42, 31.43, 0.01
TYPES = load_device_types()
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without the world's certificates, which every client would read anew for addresses that are all http."""


def _rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(table), rows)


def _square(row: int, column: int) -> str:
    west, south = LNG + column * SIDE, LAT + row * SIDE
    ring = [[west, south], [west + SIDE, south], [west + SIDE, south + SIDE], [west, south + SIDE], [west, south]]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


def fill_town(connection: Connection, since: int) -> None:
    """Nine grids with a site each; at each an LEL and a depth sensor; a patrol in G01 and a station."""
    _rows(connection, town.village, [{"code": "V1", "name": "示例村", "name_en": "Sample Village"}])
    cells = [(f"G{n + 1:02d}", n // 3, n % 3) for n in range(9)]
    named = [(code, {"village": "V1", "name": f"{code} 网格", "name_en": f"Grid {code}"}) for code, _, _ in cells]
    polygons = {code: _square(row, column) for code, row, column in cells}
    _rows(connection, town.grid, [{"code": code, "polygon": polygons[code], **names} for code, names in named])
    sites = [
        {
            "code": f"S{n + 1:02d}",
            "kind": ("enterprise", "road", "site")[n % 3],
            "name": f"示例点位 {n + 1:02d}",
            "name_en": f"Sample site {n + 1:02d}",
            "lng": LNG + (column + 0.5) * SIDE,
            "lat": LAT + (row + 0.5) * SIDE,
            "grid": code,
            "contact": "联系人 01",
            "phone": "00000000000",
        }
        for n, (code, row, column) in enumerate(cells)
    ]
    _rows(connection, town.site, sites)
    _rows(connection, town.gateway, [{"code": "GW-0001", "site": "S01"}])
    new = [(f"GAS-{n:04d}", "gas", f"S{n:02d}") for n in range(1, 10)]
    new += [(f"WTR-{n:04d}", "water_depth", f"S{n:02d}") for n in range(1, 10)]
    in_service: dict[str, Any] = {"state": "in_service", "in_service_at": since}
    enrol(connection, TYPES, [NewDevice(code, kind, "GW-0001", site, **in_service) for code, kind, site in new])
    _fill_people(connection)


def _fill_people(connection: Connection) -> None:
    _rows(connection, tables.team, [{"code": "T-G01", "name": "G01 巡查队", "grid": "G01"}])
    station = {"code": "ST1", "name": "执法一站", "name_en": "Station 1", "lng": LNG, "lat": LAT, "checkpoint": True}
    _rows(connection, tables.station, [station])
    people: list[tuple[str, str, str | None, str | None]] = [
        ("G01-01", "patroller", "T-G01", None),
        ("G01-02", "patroller", "T-G01", None),
    ]
    people += [("ST1-01", "officer", None, "ST1"), ("DISP-1", "dispatcher", None, None)]
    rows = [
        {"code": code, "name": f"网格员 {code}", "role": role, "team": team, "station": station, "shift": "all"}
        for code, role, team, station in people
    ]
    _rows(connection, tables.person, rows)
    owners = [
        {"owner_kind": "person", "owner": row["code"], "channel": "phone", "address": row["code"]} for row in rows
    ]
    _rows(connection, tables.contact, owners)


def fill_accounts(connection: Connection, now: int) -> None:
    """disp and root with the password, g01 for the patroller G01-01, fresh with a one-time password."""
    same = {"password_hash": _hash(), "locale": "zh", "created_at": now}
    accounts: list[tuple[str, str, str | None]] = [("disp", "dispatcher", None), ("root", "admin", None)]
    accounts += [("fresh", "dispatcher", None)]
    accounts += [("g01", "patroller", "G01-01"), ("g02", "patroller", "G01-02")]
    rows = [
        {"username": name, "role": role, "person": person, "must_change": name == "fresh", **same}
        for name, role, person in accounts
    ]
    _rows(connection, account, rows)


@cache
def _hash() -> str:
    """Hashing is slow on purpose: once is enough."""
    return hash_password(PASSWORD)


@cache
def _packs() -> RuleSet:
    """The packs are a thousand lines of YAML: read once."""
    return load_packs()


class Town:
    """A filled database with its rules; makes alerts through the desk and sends their notices to the phone page."""

    def __init__(self, engine: Engine, clock: Clock, store: ReadingStore | None = None) -> None:
        self.engine = engine
        self.clock = clock
        self.store = store
        self.controls: list[Control] = []
        self.channels: dict[str, ChannelFacts] = {}
        self.restored: Restored | None = None
        self.offset = 0
        with writing(engine) as connection:
            fill_town(connection, clock.now())
            fill_accounts(connection, clock.now())
            version = record_version(connection, _packs(), "test", "test", clock.now())
        with reading(engine) as connection:
            self.rules: RuleSet = load_version(connection, version)
            self.view = load_town_view(connection)

    def services(self, base_url: str, demo: bool = True) -> Services:
        """What the console is given here."""
        return Services(
            engine=self.engine,
            store=self.store,
            clock=self.clock,
            types=TYPES,
            town=lambda: self.view,
            rules=lambda: self.rules,
            journal_control=self.controls.append,
            counters=lambda: {"readings_per_s": 1234.0, "lag_ms": 42.0},
            demo=demo,
            base_url=base_url,
            channels=self.channels,
            restored=self.restored,
        )

    def alert(
        self,
        device: str = "GAS-0001",
        rule: str = "gas.leak",
        severity: Severity = Severity.CRITICAL,
        value: float | None = 62.5,
        limit: float | None = 50.0,
        series: int = -1,
        change: Change = Change.OPENED,
        onset: int | None = None,
    ) -> None:
        """One detection, applied by the desk as the safety consumer's next."""
        now = self.clock.now()
        onset = now - 2 * SECOND if onset is None else onset
        kind = "platform" if rule.startswith("platform.") else "gateway" if device.startswith("GW") else "device"
        subject = Subject(kind, device)
        found = Detection(
            change, subject, rule, severity, onset, onset, now - SECOND, value, limit, series, rules_version=1
        )
        self.offset += 1
        place = Offset(0, self.offset)
        with writing(self.engine) as connection:
            done = [Found(place, now - SECOND // 2, found)]
            apply_detections(connection, self.view, self.rules, "safety", done, place, now)

    def ticket(self, ticket_id: int = 1) -> dict[str, Any]:
        """A ticket's row."""
        with reading(self.engine) as connection:
            found = connection.execute(select(tables.ticket).where(tables.ticket.c.id == ticket_id)).mappings().one()
        return dict(found)

    def send_notices(self, base_url: str) -> int:
        """Send all that is due to the phone page; how many were sent."""
        owner = Owner("test", "localhost", 1, self.clock.now())
        sender = Sender(self.engine, [PhonePage("phone", self.engine, base_url)], self.clock, owner)
        sent = 0
        while sender.step(self.clock.now()):
            sent += 1
        return sent


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[None]:
    """The application under the platform's own web server; stopped, with its streams, at the end."""
    server = WebServer(app, "127.0.0.1", port)
    server.start()
    try:
        yield
    finally:
        server.stop(10)


@contextmanager
def console_on(scene: Town, demo: bool = True) -> Iterator[str]:
    """A running console over the scene; its base URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with serving(create_app(scene.services(url, demo)), port):
        yield url


class Visit:
    """Makes clients that behave as a browser's forms do: they name their origin, keep cookies, follow no redirect.

    Called with a username it signs in first. Close it at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._clients: list[httpx.Client] = []

    def __call__(self, username: str = "") -> httpx.Client:
        client = httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=20, verify=_NO_TLS)
        self._clients.append(client)
        if username:
            answer = client.post("/signin", data={"username": username, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
        return client

    def close(self) -> None:
        """Close every client's connections."""
        for client in self._clients:
            client.close()
