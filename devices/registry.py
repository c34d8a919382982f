"""The registry in memory: what ingest and the detectors look up, loaded by plain SQL into dicts and arrays."""

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.clock import SECOND
from core.database import reading
from devices.canary import BEAT, CANARY, CANARY_TYPE
from devices.device_types import DeviceType

_DEVICES = (
    "SELECT code, gateway, type, site, state, COALESCE(state_until, 0), in_service_at, CAST(attributes AS TEXT)"
    " FROM device ORDER BY code"
)
_SITES = "SELECT code, CAST(attributes AS TEXT) FROM site WHERE CAST(attributes AS TEXT) <> '{}' ORDER BY code"
_SERIES = "SELECT number, device, metric FROM series ORDER BY number"


class RegistryError(ValueError):
    """The registered devices don't fit the device types, or there is no registry yet."""


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway that is not retired; `index` is its place in `Registry.gateway_codes`.

    `attributes` are the options of its format; `disabled_at` (µs, 0: it is not) is when it was shut out.
    """

    index: int
    code: str
    format: str
    site: str
    in_service_at: int
    password_hash: str
    disabled_at: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Registry:
    """The town's gateways, devices and series at one version; spans and times in µs.

    Over device indexes: `gateway` (int32 index, -1 when it is retired), `type_code`, `site`, `state`, `state_until`
    (0 without an end), `in_service_at`, `interval`, `silence`. Over series numbers: `device` (int32 index, -1 for a
    number that no device has), `metric` (int32 index in `metrics`), `low`, `high` (-inf, inf for a metric that its type
    lost), `late`. A device's attribute `interval_s` overrides its type's interval. `canary` is the series number of the
    platform's own device, which pages nobody; -1 without one. `attributes` (of devices) and `site_attributes` hold only
    those that have any.
    """

    id: str
    version: int
    types: Mapping[str, DeviceType]
    gateways: dict[str, GatewayRow]
    gateway_codes: list[str]
    device_codes: list[str]
    device_index: dict[str, int]
    gateway: npt.NDArray[np.int32]
    type_code: list[str]
    site: list[str]
    state: list[str]
    state_until: npt.NDArray[np.int64]
    in_service_at: npt.NDArray[np.int64]
    interval: npt.NDArray[np.int64]
    silence: npt.NDArray[np.int64]
    attributes: dict[str, dict[str, Any]]
    metrics: list[str]
    series_of: dict[str, dict[str, int]]
    device: npt.NDArray[np.int32]
    metric: npt.NDArray[np.int32]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    late: npt.NDArray[np.int64]
    canary: int = -1
    site_attributes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def attributes_of(self, device_index: int) -> dict[str, Any]:
        """What is known of a device: its own attributes over its site's."""
        own = self.attributes.get(self.device_codes[device_index], {})
        return {**self.site_attributes.get(self.site[device_index], {}), **own}

    @property
    def town_gateways(self) -> list[GatewayRow]:
        """Those of the town: all but the canary's."""
        return [row for row in self.gateways.values() if row.code != CANARY or self.canary < 0]

    @property
    def town_devices(self) -> int:
        """How many devices the town has: all but the canary."""
        return len(self.device_codes) - (self.canary >= 0)

    def in_service(self, device_index: int, now: int) -> bool:
        """Does the device page people: in service, or in a maintenance whose end has passed?"""
        state = self.state[device_index]
        return state == "in_service" or (state == "maintenance" and bool(self.state_until[device_index] <= now))


def load_registry(engine: Engine, types: Mapping[str, DeviceType]) -> Registry:
    """Read the whole registry in one transaction; about a second for 1,000,000 series.

    Raises RegistryError when there is none yet or a device has an unknown type.
    """
    with reading(engine) as connection:
        identity = next(_rows(connection, "SELECT id, version, next_series, canary FROM registry"), None)
        if identity is None:
            raise RegistryError("the database has no registry yet: import a town first")
        places = {code: json.loads(attributes) for code, attributes in _rows(connection, _SITES)}
        gateways, rows, numbers = _gateways(connection), _rows(connection, _DEVICES), _rows(connection, _SERIES)
        canary = -1 if CANARY in gateways else identity[3]
        if canary >= 0:
            types = {**types, CANARY_TYPE.code: CANARY_TYPE}
            gateways[CANARY] = GatewayRow(len(gateways), CANARY, "v1", "", 0, "")
            rows = chain(rows, [(CANARY, CANARY, CANARY_TYPE.code, "", "commissioning", 0, 0, "{}")])
            numbers = chain(numbers, [(canary, CANARY, BEAT)])
        devices = _devices(rows, types, gateways)
        series = _series(numbers, identity[2], devices, types)
    found = {**devices, **series}
    return Registry(
        identity[0], identity[1], types, gateways, list(gateways), **found, canary=canary, site_attributes=places
    )


def _rows(connection: Connection, statement: str) -> Iterator[Sequence[Any]]:
    """The driver's own tuples: a million of SQLAlchemy's rows cost a second more."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
        while batch := cursor.fetchmany(20_000):
            yield from batch
    finally:
        cursor.close()


def _gateways(connection: Connection) -> dict[str, GatewayRow]:
    statement = (
        "SELECT code, format, COALESCE(site, ''), in_service_at, password_hash, disabled_at, CAST(attributes AS TEXT)"
        " FROM gateway WHERE retired = 0 ORDER BY code"
    )
    found: dict[str, GatewayRow] = {}
    for code, its_format, site, since, password_hash, disabled_at, attributes in _rows(connection, statement):
        options = json.loads(attributes)
        found[code] = GatewayRow(len(found), code, its_format, site, since, password_hash, disabled_at, options)
    return found


def _devices(
    rows: Iterable[Sequence[Any]], types: Mapping[str, DeviceType], gateways: Mapping[str, GatewayRow]
) -> dict[str, Any]:
    columns: tuple[list[str], ...] = ([], [], [], [])
    codes, type_code, site, state = columns
    gateway, until, since = array("i"), array("q"), array("q")
    attributes: dict[str, dict[str, Any]] = {}
    shared: dict[str, str] = {}
    for code, its_gateway, its_type, its_site, its_state, its_until, its_since, its_attributes in rows:
        codes.append(code)
        gateway.append(gateways[its_gateway].index if its_gateway in gateways else -1)
        type_code.append(sys.intern(its_type))
        site.append(shared.setdefault(its_site, its_site))
        state.append(sys.intern(its_state))
        until.append(its_until)
        since.append(its_since)
        if its_attributes != "{}":
            attributes[code] = json.loads(its_attributes)
    _refuse_unknown(type_code, types)
    device_index = dict(zip(codes, range(len(codes)), strict=True))
    interval, silence = _paces(type_code, types, attributes, device_index)
    return {
        "device_codes": codes,
        "device_index": device_index,
        "gateway": np.array(gateway, np.int32),
        "type_code": type_code,
        "site": site,
        "state": state,
        "state_until": np.array(until, np.int64),
        "in_service_at": np.array(since, np.int64),
        "interval": interval,
        "silence": silence,
        "attributes": attributes,
    }


def _refuse_unknown(type_code: Sequence[str], types: Mapping[str, DeviceType]) -> None:
    unknown = set(type_code) - set(types)
    if unknown:
        found = ", ".join(f"{code} ({type_code.count(code)} devices)" for code in sorted(unknown))
        raise RegistryError(f"no device type file for {found}")


def _paces(
    type_code: Sequence[str],
    types: Mapping[str, DeviceType],
    attributes: Mapping[str, Mapping[str, Any]],
    device_index: Mapping[str, int],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    of_type = {code: kind.interval_s * SECOND for code, kind in types.items()}
    interval = np.array([of_type[code] for code in type_code], np.int64)
    for code, own in attributes.items():
        if "interval_s" in own:
            interval[device_index[code]] = int(own["interval_s"] * SECOND)
    factor = np.array([types[code].silence_factor for code in type_code], np.int64)
    return interval, interval * factor


def _series(
    rows: Iterable[Sequence[Any]], count: int, devices: Mapping[str, Any], types: Mapping[str, DeviceType]
) -> dict[str, Any]:
    device_index: dict[str, int] = devices["device_index"]
    codes: list[str] = devices["device_codes"]
    device, metric = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    series_of: dict[str, dict[str, int]] = {code: {} for code in codes}
    metric_index: dict[str, int] = {}
    numbers, owners, kinds = array("i"), array("i"), array("i")
    last, index = "", -1
    own: dict[str, int] = {}
    for number, code, name in rows:
        if code != last:  # a device's numbers mostly follow each other
            last, index = code, device_index[code]
            own = series_of[code]
        own[sys.intern(name)] = number
        numbers.append(number)
        owners.append(index)
        kinds.append(metric_index.setdefault(name, len(metric_index)))
    device[numbers], metric[numbers] = owners, kinds
    limits = _limits(device, metric, devices["type_code"], list(metric_index), types)
    return {"metrics": list(metric_index), "series_of": series_of, "device": device, "metric": metric, **limits}


def _limits(
    device: npt.NDArray[np.int32],
    metric: npt.NDArray[np.int32],
    type_code: Sequence[str],
    metrics: Sequence[str],
    types: Mapping[str, DeviceType],
) -> dict[str, Any]:
    """Each series' range and lateness, looked up in a table of types by metrics; a hole's are -inf, inf, 0."""
    place = {code: index for index, code in enumerate(types)}
    low = np.full((len(place) + 1, len(metrics) + 1), -np.inf)
    high = np.full_like(low, np.inf)
    late = np.array([*(kind.late_s * SECOND for kind in types.values()), 0], np.int64)
    for code, kind in types.items():
        for index, name in enumerate(metrics):
            if name in kind.metrics:
                low[place[code], index] = kind.metrics[name].low
                high[place[code], index] = kind.metrics[name].high
    kinds = np.array([*(place[code] for code in type_code), len(place)], np.int32)[device]
    return {"low": low[kinds, metric], "high": high[kinds, metric], "late": late[kinds]}
