"""Two minutes of a town's life, ten times as fast, in a real PostgreSQL and a real InfluxDB."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import time as TimeOfDay
from importlib.resources import as_file
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, func, select

from alerts.event_tables import change_counter, change_reader
from alerts.event_writer import EventWriter
from core.clock import SECOND, SystemClock
from core.database import reading, writing
from core.lifecycle import Group, Lifecycle
from detectors.rules import load_packs
from devices.device_types import DeviceType, load_device_types
from devices.enrolment import NewDevice, enrol, raise_version
from devices.registry import load_registry
from devices.tables import device, site
from ingest.influx_address import InfluxAddress
from shouwang.channel_settings import ChannelSettings
from shouwang.demo import scripted_clock
from shouwang.demo_report import drain
from shouwang.demo_town import load_town, simulated_gateways, town_folder
from shouwang.incidents import write_script
from shouwang.settings import ConsoleSettings, Settings
from shouwang.simulation import Fleet, Published
from shouwang.stores import prepare_store
from shouwang.wiring import Platform, build, open_database
from tests.grafana.desk_hours import LOUD, send_nonsense, work_off
from tests.servers import free_port, wait_until

PACE, SECONDS, DEVICES = 10, 120, 120
_WORK = 70
_LONGEST = 30 * SECOND
_INCIDENT = 180 * SECOND
"""Longer than they live: leak and flood still stand at the end."""
_ROAD = frozenset({"weighing"})
_PERMIT = 40.0


class QuickClock:
    """The machine's clock, moved, and `PACE` times as fast until it is calmed."""

    def __init__(self, start: int) -> None:
        self._run = start, SystemClock().now(), PACE

    def now(self) -> int:
        start, began, pace = self._run
        return start + pace * (SystemClock().now() - began)

    def calm(self) -> None:
        """Go on as fast as any clock: what is left to do may take as long as it always may."""
        self._run = self.now(), SystemClock().now(), 1


@dataclass(frozen=True)
class LivedTown:
    """What is left of it: the database, the readings, and when it lived (µs UTC)."""

    engine: Engine
    readings: InfluxAddress
    start: int
    end: int


@contextmanager
def lived_town(folder: Path, database_url: str, readings: InfluxAddress) -> Iterator[LivedTown]:
    """Let it live its two minutes, write down what happened, and end it."""
    broker, passwords = free_port(), dict[str, str]()
    clock = QuickClock(scripted_clock(TimeOfDay(10)).now())
    loud = folder / "loud"
    loud.mkdir()
    (loud / "loud.yaml").write_text(LOUD, encoding="utf-8")
    with as_file(town_folder()) as town:
        settings = Settings(
            state=folder / "state",
            database=database_url,
            store=SecretStr(_store_url(readings)),
            broker=SecretStr(f"embedded://127.0.0.1:{broker}"),
            rules=[town / "rules", loud],
            console=ConsoleSettings(port=0),
            channels={"phone": ChannelSettings(kind="phone"), "robot": ChannelSettings(kind="phone")},
            canary_s=0,
            demo=True,
        )
        types = load_device_types(settings.device_types)
        load_town(settings, town, types, DEVICES, clock)
        _add_missing_types(settings, types, clock.now())
        prepare_store(settings)
        platform = build(settings, clock, gateways=lambda user, word: passwords.get(user) == word)
    registry = load_registry(platform.engine, types)
    start = clock.now()
    script = write_script(registry, platform.engine, start + 5 * SECOND, _INCIDENT)
    gateways = simulated_gateways(registry, script, 0)
    for gateway in gateways:  # also those that report every ten minutes are heard within two
        gateway.devices = [(each, min(interval, _LONGEST)) for each, interval in gateway.devices]
        gateway.dies_at = 0
    needed = {*script.incidents, *(f"ONE-{code}" for code in types)}
    spare = next(each for each in gateways if not needed & {simulated.code for simulated, _ in each.devices})
    spare.dies_at = start + 5 * SECOND
    passwords.update({gateway.code: gateway.password for gateway in gateways})
    published = Published()
    fleet = Fleet("127.0.0.1", broker, gateways, script.incidents, clock, published)
    lifecycle = Lifecycle([Group("platform", platform.lifecycle), fleet], drain=20)
    lifecycle.start()
    try:
        heard = platform.metrics.registry
        wait_until(lambda: heard.get_sample_value("shouwang_readings_total"), "a reading: what is sent sooner is lost")
        send_nonsense(broker, gateways[0].code, gateways[0].password)
        wait_until(lambda: clock.now() >= start + _WORK * SECOND, "the hour of work", 2 * SECONDS / PACE)
        work_off(platform.engine, clock)
        wait_until(lambda: clock.now() >= start + SECONDS * SECOND, "two minutes of life", 2 * SECONDS / PACE)
        fleet.stop(15)
        clock.calm()
        assert drain(platform, published), "what was published was not all stored and told"
        wait_until(lambda: _all_told(platform), "the last event's point")
        yield LivedTown(platform.engine, readings, start, clock.now())
    finally:
        lifecycle.stop()


def _store_url(address: InfluxAddress) -> str:
    scheme, _, host = address.base.partition("://")
    return f"influx+{scheme}://{address.token}@{host}/{address.org}/{address.bucket}"


def _add_missing_types(settings: Settings, types: Mapping[str, DeviceType], now: int) -> None:
    """One device of each type that the example town lacks, with a permit for all that an outlet may need one for."""
    engine = open_database(settings)
    permits = {limit.attribute: _PERMIT for rule in load_packs().rules.values() for limit in rule.limits_from.values()}
    with writing(engine) as connection:
        known = set(connection.execute(select(device.c.type)).scalars())
        asked = select(site.c.kind, device.c.site, device.c.gateway).join(site, site.c.code == device.c.site).distinct()
        places: dict[str, list[tuple[str, str]]] = {}
        for kind, where, gateway in connection.execute(
            asked.where(device.c.state == "in_service").order_by(device.c.site)
        ):
            places.setdefault(kind, []).append((where, gateway))
        ones = []
        for number, code in enumerate(sorted(set(types) - known)):
            choice = places["road" if code in _ROAD else "enterprise"]
            where, gateway = choice[number % len(choice)]
            one = NewDevice(
                f"ONE-{code}", code, gateway, where, state="in_service", in_service_at=now, attributes=permits
            )
            ones.append(one)
        enrol(connection, types, ones)
        raise_version(connection)
    engine.dispose()


def _all_told(platform: Platform) -> bool:
    """Whether every change of alerts, tickets and notices is a point."""
    with reading(platform.engine) as connection:
        told = connection.scalar(select(change_reader.c.last).where(change_reader.c.name == EventWriter.name)) or 0
        return told >= (connection.scalar(select(func.max(change_counter.c.last))) or 0)
