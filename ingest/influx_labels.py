"""What InfluxDB is told about each series: its measurement, tags and field, read from the town's tables.

The measurement is the device's type; the tags are device, site, kind (of the site), grid and village, a grid or village
left out where there is none. Nothing here names a person.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from core.database import reading
from devices.canary import BEAT, CANARY, CANARY_TYPE
from devices.geometry import Grids
from devices.tables import device, grid, registry, site
from ingest.store import StoreUnavailable

PLACE = ("grid", "kind", "site", "village")
"""The tags that tell where a device stands, in the order in which line protocol wants them."""


class Labelled(NamedTuple):
    """One device: its code (see `tag`) and type, its gateway, and its PLACE, empty where there is none."""

    code: str
    type: str
    gateway: str
    place: tuple[str, str, str, str]


@dataclass(frozen=True)
class Labels:
    """Every device and series of the registry at `version`.

    Over series numbers: `device` (int32 index in `devices`, -1 for a number that no device has) and `metric` (int32
    index in `metrics`).
    """

    version: int
    devices: Sequence[Labelled]
    metrics: Sequence[str]
    device: npt.NDArray[np.int32]
    metric: npt.NDArray[np.int32]
    index: dict[str, int] = field(init=False, repr=False)
    prefixes: list[str] = field(init=False, repr=False)
    _keys: npt.NDArray[np.int64] = field(init=False, repr=False)
    _numbers: npt.NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = np.flatnonzero(self.device >= 0)
        keys = self.device[known].astype(np.int64) * len(self.metrics) + self.metric[known]
        order = np.argsort(keys)
        derived = {
            "index": {labelled.code: index for index, labelled in enumerate(self.devices)},
            "prefixes": [prefix(labelled) for labelled in self.devices],
            "_keys": keys[order],
            "_numbers": known[order],
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def known(self, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which of these series numbers a device has."""
        inside = (numbers >= 0) & (numbers < len(self.device))
        inside[inside] = self.device[numbers[inside]] >= 0
        return inside

    def number(self, device_index: int, metric: str) -> int:
        """The series number of a device's metric, -1 when there is none."""
        if metric not in self.metrics or not len(self._keys):
            return -1
        key = device_index * len(self.metrics) + self.metrics.index(metric)
        place = min(int(np.searchsorted(self._keys, key)), len(self._keys) - 1)
        return int(self._numbers[place]) if self._keys[place] == key else -1

    def by_type(self, numbers: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.int32]]:
        """These series, those that a device has, by the device's type."""
        parts: dict[str, list[int]] = {}
        for number in numbers[self.known(numbers)].tolist():
            parts.setdefault(self.devices[self.device[number]].type, []).append(number)
        return {kind: np.array(found, np.int32) for kind, found in sorted(parts.items())}


def prefix(labelled: Labelled) -> str:
    r"""The beginning of a device's lines: measurement and tags, and the space behind them.

    >>> prefix(Labelled("GAS 1", "gas", "GW-1", ("G01", "road", "RD,1", "")))
    'gas,device=GAS\\ 1,grid=G01,kind=road,site=RD\\,1 '
    """
    tags = [("device", labelled.code), *zip(PLACE, labelled.place, strict=True)]
    told = "".join(f",{name}={escaped(value)}" for name, value in tags if value)
    return f"{escaped(labelled.type)}{told} "


def tag(text: str) -> str:
    r"""The text as a tag can hold it: in one line, and not ending in a backslash.

    >>> tag("GAS\n1\\")
    'GAS 1'
    """
    return " ".join(text.splitlines()).rstrip("\\")


def escaped(text: str) -> str:
    """The text of a measurement or tag within a line."""
    return text.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")


def labels_of(engine: Engine) -> Callable[[], Labels]:
    """The labels now: read again when the registry's version moved. Raises StoreUnavailable without the database."""
    kept: list[Labels] = []

    def labels() -> Labels:
        try:
            with reading(engine) as connection:
                version = connection.execute(select(registry.c.version)).scalar_one()
                if not kept or kept[0].version != version:
                    kept[:] = [_load(connection, version)]
        except DBAPIError as error:
            raise StoreUnavailable(f"the database that knows the devices does not answer: {error.orig}") from error
        return kept[0]

    return labels


def _load(connection: Connection, version: int) -> Labels:
    codes, devices = _devices(connection)
    place = {code: index for index, code in enumerate(codes)}
    metrics: dict[str, int] = {}
    numbers, owners, kinds = array("i"), array("i"), array("i")
    for its_numbers, its_codes, its_metrics in _series(connection):
        for metric in its_metrics:
            metrics.setdefault(metric, len(metrics))
        numbers.extend(its_numbers)
        owners.extend(map(place.__getitem__, its_codes))
        kinds.extend(map(metrics.__getitem__, its_metrics))
    canary = connection.execute(select(registry.c.canary)).scalar_one()
    if canary >= 0 and CANARY not in place:
        devices.append(Labelled(CANARY, CANARY_TYPE.code, CANARY, ("", "", "", "")))
        numbers.append(canary)
        owners.append(len(devices) - 1)
        kinds.append(metrics.setdefault(BEAT, len(metrics)))
    over_series = np.full((2, max(numbers, default=-1) + 1), -1, np.int32)
    over_series[:, np.array(numbers, np.int64)] = owners, kinds
    return Labels(version, devices, list(metrics), over_series[0], over_series[1])


def _series(connection: Connection) -> Iterator[tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]]:
    """Numbers, devices and metrics, page by page; the driver's own tuples: SQLAlchemy's rows cost thrice as much."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("SELECT number, device, metric FROM series")
        while page := cursor.fetchmany(20_000):
            numbers, codes, metrics = zip(*page, strict=True)
            yield numbers, codes, metrics
    finally:
        cursor.close()


def _devices(connection: Connection) -> tuple[list[str], list[Labelled]]:
    """Every device's registered code and what InfluxDB is told of it."""
    columns = (device.c.code, device.c.type, device.c.gateway, device.c.site, site.c.kind, site.c.grid)
    own_position = (device.c.lng, device.c.lat)
    asked = select(*columns, *own_position).join(site, site.c.code == device.c.site).order_by(device.c.code)
    rows = connection.execute(asked).all()
    villages = {row.code: row.village for row in connection.execute(select(grid.c.code, grid.c.village))}
    grids = _grids_of(connection, rows)
    return [row.code for row in rows], [
        Labelled(tag(row.code), row.type, row.gateway, (where or "", row.kind, tag(row.site), villages.get(where, "")))
        for row, where in zip(rows, grids, strict=True)
    ]


def _grids_of(connection: Connection, rows: Sequence[Any]) -> list[str | None]:
    """Each device's grid: the one that contains its own position, else its site's."""
    found = [row.grid for row in rows]
    placed = [index for index, row in enumerate(rows) if row.lng is not None and row.lat is not None]
    if placed:
        kept = select(grid.c.code, grid.c.polygon).where(grid.c.retired == 0)
        grids = Grids.of((row.code, row.polygon) for row in connection.execute(kept))
        positions = [rows[index].lng for index in placed], [rows[index].lat for index in placed]
        for index, containing in zip(placed, grids.containing_each(*positions), strict=True):
            found[index] = containing
    return found
