"""Devices that nobody enrolled, known from the dead letters that they left; how one becomes a device of the town."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from devices.device_types import DeviceType
from devices.enrolment import EnrolmentError, NewDevice, enrol, raise_version
from devices.tables import device, gateway, site
from ingest.admission import ALIAS
from ingest.dead_letters import DeadLetter
from ingest.tables import dead_letter

REASON = "unknown_device"
"""Why the gate refuses what a device sends that nobody enrolled."""
_DETAIL = "device {} is not registered"
_NAMED = re.compile(r"device (.+) is not registered(?: \(from .*\))?", re.DOTALL)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOOKED_AT = 50


class Stranger(NamedTuple):
    """A device as its gateway spells it."""

    gateway: str
    name: str


class Fit(NamedTuple):
    """How many of the names that a stranger measured under a device type knows."""

    type: str
    known: int
    of: int


class StrangerRefused(ValueError):
    """A stranger that can't be enrolled as asked; `what` is why, in one word."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(text)
        self.what = what


def stranger_of(letter: DeadLetter) -> Stranger | None:
    """The device that a letter is about, None where it was refused for another reason."""
    found = _NAMED.fullmatch(letter.detail) if letter.reason == REASON else None
    return Stranger(letter.gateway, found[1]) if found else None


def letters_of(connection: Connection, stranger: Stranger) -> int:
    """How many of the stranger's letters were not replayed yet."""
    waiting = select(func.count()).where(_of(stranger), dead_letter.c.replayed_at.is_(None))
    return connection.scalar(waiting) or 0


def measured(connection: Connection, stranger: Stranger) -> list[str]:
    """The names under which the stranger's last letters give values, sorted."""
    last = select(dead_letter.c.payload).where(_of(stranger)).order_by(dead_letter.c.id.desc()).limit(_LOOKED_AT)
    names = {name for payload in connection.execute(last).scalars() for name in _values(bytes(payload), stranger.name)}
    return sorted(names)


def _of(stranger: Stranger) -> ColumnElement[bool]:
    columns, detail = dead_letter.c, _DETAIL.format(stranger.name)
    named = or_(columns.detail == detail, columns.detail.startswith(f"{detail} (from ", autoescape=True))
    return (columns.gateway == stranger.gateway) & (columns.reason == REASON) & named


def _values(payload: bytes, name: str) -> list[str]:
    """The metrics of one device in a payload of version 1, the form in which parts of any convention are kept."""
    try:
        content: Any = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    if not isinstance(content, dict):
        return []
    readings = content.get("readings", [{**content, "device": name}])
    its = [r for r in readings if isinstance(r, dict) and r.get("device") == name] if isinstance(readings, list) else []
    return [metric for reading in its if isinstance(reading.get("values"), dict) for metric in reading["values"]]


def fitting(types: Mapping[str, DeviceType], names: Sequence[str]) -> list[Fit]:
    """The types that know any of these names, the best first: most known, then fewest metrics that it would lack.

    >>> metric = {"code": "t", "unit": "", "name_zh": "t", "name_en": "t", "low": 0, "high": 9, "spellings": ["temp"]}
    >>> one = {"code": "one", "name_zh": "a", "name_en": "a", "interval_s": 9, "metrics": {"t": metric}}
    >>> fitting({"one": msgspec.convert(one, DeviceType)}, ["hum", "temp"])
    [Fit(type='one', known=1, of=2)]
    """
    fits = []
    for code, kind in types.items():
        known = {spelt for metric in kind.metrics.values() for spelt in (metric.code, *metric.spellings)}
        fits.append((Fit(code, len(known & set(names)), len(names)), len(kind.metrics)))
    fits.sort(key=lambda fit: (-fit[0].known, fit[1], fit[0].type))
    return [fit for fit, _ in fits if fit.known]


def enrol_stranger(
    connection: Connection,
    types: Mapping[str, DeviceType],
    stranger: Stranger,
    new: NewDevice,
    now: int,
    replay: bool = True,
) -> tuple[int, int]:
    """Enrol and, where asked, have its letters replayed, in the caller's transaction: registry version, letters asked.

    Under a code of its own the device keeps the stranger's name as its alias. Raises StrangerRefused.
    """
    _refuse(connection, types, stranger, new)
    attributes = new.attributes if new.code == stranger.name else {**new.attributes, ALIAS: stranger.name}
    begun = now if new.state == "in_service" else 0
    try:
        enrol(connection, types, [replace(new, attributes=attributes, in_service_at=begun)])
    except EnrolmentError as error:
        raise StrangerRefused("refused", str(error)) from error
    version = raise_version(connection)
    if not replay:
        return version, 0
    waiting = update(dead_letter).where(_of(stranger), dead_letter.c.replayed_at.is_(None))
    return version, connection.execute(waiting.values(replay_asked_at=now)).rowcount


def _refuse(connection: Connection, types: Mapping[str, DeviceType], stranger: Stranger, new: NewDevice) -> None:
    if not _CODE.fullmatch(new.code):
        raise StrangerRefused("code", f"{new.code!r} is no code: letters, digits, - _ . only, at most 64")
    if new.type not in types:
        raise StrangerRefused("type", f"there is no device type {new.type!r}")
    if new.gateway != stranger.gateway or not _stands(connection, gateway, new.gateway):
        raise StrangerRefused("gateway", f"there is no gateway {new.gateway!r} in service")
    if not _stands(connection, site, new.site):
        raise StrangerRefused("site", f"there is no site {new.site!r}")
    if connection.scalar(select(device.c.code).where(device.c.code == new.code)) is not None:
        raise StrangerRefused("taken", f"device {new.code} is enrolled already")


def _stands(connection: Connection, table: Any, code: str) -> bool:
    found = connection.scalar(select(table.c.code).where(table.c.code == code, table.c.retired == 0))
    return found is not None
