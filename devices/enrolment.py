"""Enrolment: devices enter the registry, get their series numbers and change state, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from devices.device_types import DeviceType
from devices.tables import device, registry, series

STATES = ("commissioning", "in_service", "maintenance", "retired")


class EnrolmentError(ValueError):
    """A device that can't be enrolled or changed as asked; the text says why."""


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device to enrol; without a position it stands where its site is. `in_service_at` in µs UTC."""

    code: str
    type: str
    gateway: str
    site: str
    name: str = ""
    lng: float | None = None
    lat: float | None = None
    component_code: str = ""
    serial: str = ""
    state: str = "commissioning"
    in_service_at: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)


def ensure_registry(connection: Connection) -> str:
    """The registry's id; made on the first call of a database's life, version 1, series numbers from 0."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    first = dialect.insert(registry).values(one=1, id=str(uuid4()), version=1, next_series=0)
    connection.execute(first.on_conflict_do_nothing())
    return str(connection.execute(select(registry.c.id)).scalar_one())


def lock_registry(connection: Connection) -> None:
    """Hold the registry's row until the transaction ends, so that no one else enrols meanwhile."""
    ensure_registry(connection)
    connection.execute(select(registry.c.one).with_for_update()).one()


def raise_version(connection: Connection) -> int:
    """Count the registry's version up by one and return it."""
    raised = update(registry).values(version=registry.c.version + 1).returning(registry.c.version)
    return int(connection.execute(raised).scalar_one())


def enrol(connection: Connection, types: Mapping[str, DeviceType], devices: Sequence[NewDevice]) -> list[int]:
    """Insert devices with one series a metric; returns the new series numbers, device by device, metric by metric.

    Raises EnrolmentError on an unknown type or state or a code that is taken, before anything is written.
    """
    lock_registry(connection)
    if not devices:
        return []
    taken = set(connection.execute(select(device.c.code)).scalars())
    for new in devices:
        if new.type not in types:
            raise EnrolmentError(f"device {new.code}: unknown type {new.type!r}")
        if new.state not in STATES:
            raise EnrolmentError(f"device {new.code}: unknown state {new.state!r}")
        if new.code in taken:
            raise EnrolmentError(f"device {new.code} is enrolled already")
        taken.add(new.code)
    connection.execute(insert(device), [_row(new) for new in devices])
    return number_series(connection, types, [(new.code, new.type) for new in devices])


def _row(new: NewDevice) -> dict[str, Any]:
    return {name: getattr(new, name) for name in NewDevice.__slots__}


def number_series(
    connection: Connection, types: Mapping[str, DeviceType], devices: Sequence[tuple[str, str]]
) -> list[int]:
    """Give the next free numbers to each (device code, type)'s metrics that have none; raises the version if any.

    Numbers are dense and never used twice: a metric that a type loses keeps its number, and one that it gains gets a
    new one. Call it under `lock_registry`.
    """
    known = {(code, metric) for code, metric in connection.execute(select(series.c.device, series.c.metric))}
    wanted = [(code, metric) for code, kind in devices for metric in types[kind].metrics]
    missing = [pair for pair in dict.fromkeys(wanted) if pair not in known]
    if not missing:
        return []
    first = connection.execute(select(registry.c.next_series)).scalar_one()
    numbers = list(range(first, first + len(missing)))
    rows = [{"number": n, "device": code, "metric": metric} for n, (code, metric) in zip(numbers, missing, strict=True)]
    connection.execute(insert(series), rows)
    connection.execute(update(registry).values(next_series=first + len(missing)))
    raise_version(connection)
    return numbers


def complete_series(connection: Connection, types: Mapping[str, DeviceType]) -> list[int]:
    """Number the series of all devices that have none yet: after an import, or when a type has gained a metric."""
    lock_registry(connection)
    enrolled = connection.execute(select(device.c.code, device.c.type).order_by(device.c.code))
    return number_series(connection, types, [(code, kind) for code, kind in enrolled if kind in types])


def set_state(connection: Connection, code: str, state: str, until: int | None, now: int) -> int:
    """Put a device into a state; returns the registry's new version.

    A maintenance needs an end `until` (µs UTC) after `now`, the other states have none. A device that comes into
    service, also back from maintenance, counts its silence from `now`. Raises EnrolmentError.
    """
    if state not in STATES:
        raise EnrolmentError(f"unknown state {state!r}")
    if (state == "maintenance") != (until is not None):
        raise EnrolmentError("a maintenance needs an end, the other states have none")
    if until is not None and until <= now:
        raise EnrolmentError("the end of a maintenance must lie ahead")
    lock_registry(connection)
    before = connection.execute(select(device.c.state).where(device.c.code == code)).scalar_one_or_none()
    if before is None:
        raise EnrolmentError(f"unknown device {code!r}")
    changed: dict[str, Any] = {"state": state, "state_until": until}
    if state == "in_service" and before != "in_service":
        changed["in_service_at"] = now
    connection.execute(update(device).where(device.c.code == code).values(changed))
    return raise_version(connection)


def replace_hardware(connection: Connection, code: str, serial: str) -> int:
    """A new piece of hardware stands in for the old one: its serial changes, code and series stay; new version.

    Raises EnrolmentError when the device is unknown or already has that serial.
    """
    lock_registry(connection)
    before = connection.execute(select(device.c.serial).where(device.c.code == code)).scalar_one_or_none()
    if before is None:
        raise EnrolmentError(f"unknown device {code!r}")
    if before == serial:
        raise EnrolmentError(f"device {code} has serial {serial!r} already")
    connection.execute(update(device).where(device.c.code == code).values(serial=serial))
    return raise_version(connection)
