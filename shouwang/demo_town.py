"""The demonstration's town: the example imported, scaled, and its gateways simulated."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from sqlalchemy import Connection, Row, delete, func, select, update

from alerts.responder_sheets import RESPONDER_SHEETS
from alerts.tables import contact, person
from console.accounts import create_account
from core.clock import SECOND, Clock
from core.database import writing
from devices.device_types import DeviceType
from devices.enrolment import NewDevice, enrol, raise_version
from devices.registry import Registry
from devices.simulated import simulated_device
from devices.tables import device
from devices.town import import_town
from devices.town_sheets import TOWN_SHEETS
from shouwang.incidents import Script
from shouwang.settings import Settings
from shouwang.simulation import SimulatedGateway
from shouwang.wiring import open_database

DISPATCHER = "dispatcher"
_STRAY, _STRAY_INTERVAL = "GAS-9999", 5 * SECOND
_PART = 500


class DemoError(Exception):
    """The demonstration can't run as asked; the text says why."""


def town_folder() -> Traversable:
    """The example town: within the packages when installed, beside them in a checkout."""
    installed = files("shouwang") / "examples" / "wangting"
    return installed if installed.is_dir() else files("shouwang").joinpath("..", "examples", "wangting")


def load_town(settings: Settings, town: Path, types: Mapping[str, DeviceType], devices: int, clock: Clock) -> str:
    """Import the example town and make the dispatcher's account; the account's password.

    Only `devices` of its devices are put in service (0: all). Contacts over channels that the demonstration does not
    have are left out. The account is the town's first dispatcher's, who can be sent a test message.
    """
    engine = open_database(settings)
    import_town(engine, town, (*TOWN_SHEETS, *RESPONDER_SHEETS), types, clock.now())
    password = secrets.token_urlsafe(9)
    with writing(engine) as connection:
        if devices:
            scale_devices(connection, types, devices, clock.now())
        connection.execute(delete(contact).where(contact.c.channel.not_in(list(settings.channels))))
        who = select(func.min(person.c.code)).where(person.c.role == "dispatcher")
        create_account(connection, DISPATCHER, "dispatcher", password, connection.scalar(who), now=clock.now())
    engine.dispose()
    return password


def scale_devices(connection: Connection, types: Mapping[str, DeviceType], count: int, now: int) -> None:
    """Leave `count` devices in service, of every type in turn; beyond the town's own, add copies of them."""
    rows = connection.execute(select(device).order_by(device.c.code)).all()
    resting = [row.code for row in _by_turns(rows)[count:]]
    for start in range(0, len(resting), _PART):
        part = device.c.code.in_(resting[start : start + _PART])
        connection.execute(update(device).where(part).values(state="commissioning"))
    copies = [_copy(rows[number % len(rows)], number // len(rows), now) for number in range(len(rows), count)]
    enrol(connection, types, copies)
    raise_version(connection)


def _by_turns(rows: Sequence[Row]) -> list[Row]:  # type: ignore[type-arg]
    """The first of each type, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    turns = []
    for row in rows:
        turns.append((seen[row.type], row.code, row))
        seen[row.type] += 1
    return [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])]


def _copy(row: Row, number: int, now: int) -> NewDevice:  # type: ignore[type-arg]
    return NewDevice(f"{row.code}-{number}", row.type, row.gateway, row.site, state="in_service", in_service_at=now)


def simulated_gateways(registry: Registry, script: Script, rate: float) -> list[SimulatedGateway]:
    """Every gateway with its devices in service, at their own intervals, or faster to send `rate` messages a second.

    Raises DemoError when `rate` would make devices slower than they may be.
    """
    served = [index for index, state in enumerate(registry.state) if state == "in_service"]
    if not served:
        raise DemoError("no device is in service")
    own = sum(SECOND / int(registry.interval[index]) for index in served)
    if rate and rate < own:
        raise DemoError(
            f"{len(served)} devices send {own:.0f} messages a second at their own pace, more than --rate {rate:g}; "
            "slower ones would count as silent: choose fewer --devices or a higher --rate"
        )
    pace = own / rate if rate else 1.0
    found: dict[str, SimulatedGateway] = {}
    for index in served:
        code, name = registry.gateway_codes[registry.gateway[index]], registry.device_codes[index]
        password = secrets.token_urlsafe(12)
        gateway = found.setdefault(code, SimulatedGateway(code, password, [], script.deaths.get(code, 0)))
        simulated = script.devices.get(name) or simulated_device(registry.types[registry.type_code[index]], name)
        gateway.devices.append((simulated, max(1, int(registry.interval[index] * pace))))
    return list(found.values())


def add_stray(gateways: Sequence[SimulatedGateway], types: Mapping[str, DeviceType]) -> None:
    """Let one of them also speak for a detector that nobody registered, to show what a refusal looks like."""
    living = next((gateway for gateway in gateways if not gateway.dies_at), None)
    if living:
        living.devices.append((simulated_device(types["gas"], _STRAY), _STRAY_INTERVAL))
