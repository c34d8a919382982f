"""A town with one team and two gateways, platforms that run on its state, and gateways that speak real MQTT."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from datetime import time as TimeOfDay
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from pydantic import SecretStr
from sqlalchemy import text

from core.clock import MILLISECOND, Clock
from core.database import reading, writing
from core.journal import START, Record, RecordKind
from devices.credentials import issue_password
from devices.device_types import load_device_types
from devices.town import import_town
from ingest.words import Control, RegistryChanged, decode_control
from shouwang.cli_town import SHEETS
from shouwang.demo import scripted_clock
from shouwang.present import registry_version
from shouwang.settings import ROLES, ConsoleSettings, Role, Settings
from shouwang.wiring import Platform, build, open_database
from tests.devices.town_folder import spoil, write_town
from tests.servers import free_port, wait_until

_MORE = {
    "gateways.csv": "code,name,site,format,attributes\nGW-1,网关,RD-1,v1,\nGW-2,网关,EN-1,v1,\n",
    "stations.csv": "code,name,name_en,lng,lat,checkpoint,phone,service_grids\n"
    "S1,综合执法1站,Station 1,120.405,31.445,0,13900000100,\n",
    "teams.csv": "code,name,grid\nT-G02,第2网格巡查队,G02\n",
    "people.csv": "code,name,role,phone,wecom_userid,team,station,shift,skills\n"
    "G02-01,网格员 G02-01,patroller,13900000101,,T-G02,,all,\n",
    "contacts.csv": "owner_kind,owner,channel,address\nperson,G02-01,phone,G02-01\n",
}


def workday(hour: int, minute: int = 0) -> Clock:
    """A clock that starts at this local time of Monday, 21 September 2026."""
    return scripted_clock(TimeOfDay(hour, minute), date(2026, 9, 21))


def small_settings(folder: Path, **options: Any) -> Settings:
    """Embedded everything, on free ports, with its state in `folder`; no canary, which would be counted too."""
    broker = SecretStr(f"embedded://127.0.0.1:{free_port()}")
    options = {"broker": broker, "canary_s": 0, **options}
    return Settings(state=folder / "state", console=ConsoleSettings(port=0), **options)


def found_town(settings: Settings, clock: Clock) -> dict[str, str]:
    """Bring the town in, GAS-1 in service; the passwords of its gateways."""
    folder = write_town(settings.state.parent / "town")
    spoil(folder, "devices.csv", "GAS-1", state="in_service")
    for name, content in _MORE.items():
        (folder / name).write_text(content, encoding="utf-8")
    engine = open_database(settings)
    import_town(engine, folder, SHEETS, load_device_types(), clock.now())
    with writing(engine) as connection:
        passwords = {code: issue_password(connection, code) for code in ("GW-1", "GW-2")}
    engine.dispose()
    return passwords


@contextmanager
def running(settings: Settings, clock: Clock, roles: tuple[Role, ...] = ROLES) -> Iterator[Platform]:
    """A platform that was started, and is stopped at the end."""
    platform = build(settings, clock, roles)
    platform.lifecycle.start()
    try:
        if session := platform.session:
            wait_until(lambda: session.connected, "the platform's own session", 20)
        yield platform
    finally:
        platform.lifecycle.stop()


@contextmanager
def gateway(settings: Settings, code: str, password: str) -> Iterator[paho.Client]:
    """A gateway that is connected."""
    client = _calling(settings, code, password)
    client.loop_start()
    try:
        wait_until(client.is_connected, "the gateway's connection", 20)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def opens(settings: Settings, code: str, password: str) -> bool:
    """Whether the broker lets this account in."""
    client = _calling(settings, code, password)
    while not client.is_connected():
        if client.loop(1.0) is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
    client.disconnect()
    return True


def _calling(settings: Settings, code: str, password: str) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=code)
    client.username_pw_set(code, password)
    client.connect("127.0.0.1", int(settings.broker.get_secret_value().rpartition(":")[2]))
    return client


def measure(client: paho.Client, device: str, level: float, at: int, gateway: str = "GW-1") -> None:
    """Publish a gas level measured at `at` (µs) and wait for the broker's acknowledgement."""
    body = json.dumps({"t": at // MILLISECOND, "values": {"gas_lel": level}})
    client.publish(f"sw/v1/{gateway}/{device}/telemetry", body, qos=1).wait_for_publish(5)


def rows(platform: Platform, statement: str) -> list[tuple[Any, ...]]:
    """What the platform's database answers."""
    with reading(platform.engine) as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def values(platform: Platform, device: str = "GAS-1") -> list[float]:
    """What the store holds of a gas detector, in the order of time."""
    found = rows(platform, f"SELECT number FROM series WHERE device = '{device}' AND metric = 'gas_lel'")
    assert platform.store
    return [float(value) for value in platform.store.range(found[0][0], 0, 2**60, 1000).mean]


def records(platform: Platform) -> list[Record]:
    """All that is in the journal."""
    return platform.journal.read(START, 100_000)


def controls(platform: Platform) -> list[Control]:
    """All control records of the journal."""
    return [decode_control(record.payload) for record in records(platform) if record.kind is RecordKind.CONTROL]


def follow_registry(platform: Platform) -> None:
    """Tell the running platform that its registry changed, and wait until its gate judges by it."""
    with reading(platform.engine) as connection:
        version = registry_version(connection)
    platform.control(RegistryChanged(version))
    name = "shouwang_registry_version"
    wait_until(lambda: platform.metrics.registry.get_sample_value(name) == version, "the gate's new registry", 20)
