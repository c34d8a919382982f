"""InfluxQL about series: the statements, and their answers as columns.

A device that was moved has its readings under several sets of tags. Queries ask by device and take the places apart,
so that a (series, at) that stands under two of them counts once: the one under the present place.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.influx_labels import PLACE, Labels
from ingest.influx_wire import Answer, InfluxWire, nanoseconds
from ingest.store import Curve, RollUp, Rows
from ingest.words import Block

_DEVICES_A_STATEMENT = 100
_STATEMENTS_A_REQUEST = 50
_PLACES = ", ".join(f'"{name}"' for name in PLACE)

Table = npt.NDArray[np.float64]


class Cell(NamedTuple):
    """The values of one device under one place: `table` has a column for each of `fields` behind that of times (µs)."""

    device: int
    present: bool
    fields: list[str]
    table: Table


def text(value: str) -> str:
    r"""A string of InfluxQL.

    >>> text("it's")
    "'it\\'s'"
    """
    return "'" + value.replace("\\", r"\\").replace("'", r"\'").replace("\n", r"\n") + "'"


def named(name: str) -> str:
    """An identifier of InfluxQL."""
    return '"' + name.replace("\\", r"\\").replace('"', r"\"") + '"'


def within(since: int, until: int) -> str:
    """The condition since <= time < until, µs."""
    return f"time >= {nanoseconds(since)} AND time < {nanoseconds(until)}"


class InfluxQueries:
    """Reads one bucket of a server, in the words of `labels`."""

    def __init__(self, wire: InfluxWire, bucket: str, labels: Labels) -> None:
        self._wire, self._bucket, self._labels = wire, bucket, labels

    def rows(self, series: npt.NDArray[np.int32], since: int, until: int) -> Rows:
        """The values of these series with since <= at < until."""
        found = self._columns(series, since, until, ("",))
        return Rows(found[0], found[1], found[2][:, 0])

    def rollup(self, series: npt.NDArray[np.int32], since: int, until: int) -> RollUp:
        """The buckets of these series with since <= start < until."""
        numbers, start, values = self._columns(series, since, until, ("_min", "_mean", "_max", "_count"))
        return RollUp(numbers, start, values[:, 0], values[:, 1], values[:, 2], values[:, 3].astype(np.int64))

    def readings(self, series: npt.NDArray[np.int32], since: int, until: int) -> Block:
        """The readings of these series with since <= at < until by `at`, which stands for their receipt too."""
        numbers, at, values = self._columns(series, since, until, ("", "_q"), needed=1)
        order = np.argsort(at, kind="stable")
        at, quality = at[order], np.nan_to_num(values[order, 1]).astype(np.uint16)
        return Block(numbers[order], at, at, values[order, 0], quality)

    def _columns(
        self, series: npt.NDArray[np.int32], since: int, until: int, endings: Sequence[str], needed: int | None = None
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], Table]:
        """Series, times, and a value for each ending of the metric's name, ordered by series and time.

        Only the first `needed` must be there, by default all; the others may be NaN.
        """
        parts: list[tuple[bool, npt.NDArray[np.int32], npt.NDArray[np.int64], Table]] = []
        for cell in self.cells(series, since, until, endings):
            for place in range(0, len(cell.fields), len(endings)):
                number = self._labels.number(cell.device, cell.fields[place].removesuffix(endings[0]))
                values = cell.table[:, place + 1 : place + 1 + len(endings)]
                there = ~np.isnan(values[:, :needed]).any(
                    axis=1
                )  # a point may be seen while its fields are being written
                at = cell.table[there, 0].astype(np.int64)
                parts.append((cell.present, np.full(len(at), number, np.int32), at, values[there]))
        parts.sort(key=lambda part: part[0])
        numbers = np.concatenate([np.empty(0, np.int32), *(part[1] for part in parts)])
        at = np.concatenate([np.empty(0, np.int64), *(part[2] for part in parts)])
        values = np.concatenate([np.empty((0, len(endings))), *(part[3] for part in parts)])
        order = np.lexsort((at, numbers))  # stable: the present place comes last
        keep = np.ones(len(order), np.bool_)
        keep[:-1] = (np.diff(numbers[order]) != 0) | (np.diff(at[order]) != 0)
        wanted = order[keep]
        wanted = wanted[np.isin(numbers[wanted], series)]
        return numbers[wanted], at[wanted], values[wanted]

    def cells(
        self, series: npt.NDArray[np.int32], since: int, until: int, endings: Sequence[str] = ("",)
    ) -> Iterator[Cell]:
        """The values of the devices of these series within a span, field by field and place by place."""
        if since >= until:
            return
        statements, fields = self._statements(series, within(since, until), endings)
        for first in range(0, len(statements), _STATEMENTS_A_REQUEST):
            asked = statements[first : first + _STATEMENTS_A_REQUEST]
            for number, answer in self._wire.query(self._bucket, asked):
                yield from self._cell(answer, fields[first + number])

    def _statements(
        self, series: npt.NDArray[np.int32], span: str, endings: Sequence[str]
    ) -> tuple[list[str], list[list[str]]]:
        labels = self._labels
        statements, fields = [], []
        for kind, numbers in labels.by_type(series).items():
            metrics = [labels.metrics[index] for index in np.unique(labels.metric[numbers]).tolist()]
            its_fields = [f"{metric}{ending}" for metric in metrics for ending in endings]
            selected = ", ".join(map(named, its_fields))
            for some in self._some_devices(numbers):
                where = f'WHERE {some} AND {span} GROUP BY "device", {_PLACES}'
                statements.append(f"SELECT {selected} FROM {named(kind)} {where}")
                fields.append(its_fields)
        return statements, fields

    def _cell(self, answer: Answer, fields: list[str]) -> Iterator[Cell]:
        index = self._labels.index.get(answer.tags.get("device", ""))
        if index is None or not answer.values:
            return
        place = tuple(answer.tags.get(name, "") for name in PLACE)
        table = np.array(answer.values, np.float64)  # null becomes NaN; µs are exact up to 2255
        yield Cell(index, place == self._labels.devices[index].place, fields, table)

    def newest(self, series: npt.NDArray[np.int32] | None = None) -> Iterator[tuple[int, int, float, int]]:
        """The newest reading of each of these series, or of all, that has one: series, at, value, quality."""
        labels = self._labels
        asked = [
            (metric, f'SELECT last({named(metric)}), {named(metric + "_q")} FROM {named(kind)} {some}GROUP BY "device"')
            for kind, metric, some in self._groups(series)
        ]
        for first in range(0, len(asked), _STATEMENTS_A_REQUEST):
            some_asked = asked[first : first + _STATEMENTS_A_REQUEST]
            for number, answer in self._wire.query(self._bucket, [statement for _, statement in some_asked]):
                index = labels.index.get(answer.tags.get("device", ""), -1)
                found = labels.number(index, some_asked[number][0]) if index >= 0 else -1
                for at, value, quality in answer.values:
                    if found >= 0 and value is not None:
                        yield found, int(at), float(value), int(quality or 0)

    def _groups(self, series: npt.NDArray[np.int32] | None) -> Iterator[tuple[str, str, str]]:
        """The measurements and metrics of these series, with a condition where only some devices are meant."""
        labels = self._labels
        all_known = np.flatnonzero(labels.device >= 0).astype(np.int32)
        for kind, numbers in labels.by_type(all_known if series is None else series).items():
            metrics = [labels.metrics[index] for index in np.unique(labels.metric[numbers]).tolist()]
            somes = [""] if series is None else [f"WHERE {some} " for some in self._some_devices(numbers)]
            yield from ((kind, metric, some) for metric in metrics for some in somes)

    def _some_devices(self, numbers: npt.NDArray[np.int32]) -> list[str]:
        """Conditions that together select the devices of these series."""
        labels = self._labels
        tests = [
            f'"device" = {text(labels.devices[index].code)}' for index in np.unique(labels.device[numbers]).tolist()
        ]
        parts = (tests[first : first + _DEVICES_A_STATEMENT] for first in range(0, len(tests), _DEVICES_A_STATEMENT))
        return [f"({' OR '.join(part)})" for part in parts]

    def counts(self, series: int, since: int, until: int) -> list[int]:
        """How many readings a series has within a span, for each place where its device stood."""
        field, source = self._one(series)
        asked = f"SELECT count({field}) FROM {source} AND {within(since, until)} GROUP BY {_PLACES}"
        return [int(answer.values[0][1]) for _, answer in self._wire.query(self._bucket, [asked])]

    def curve(self, series: int, since: int, until: int, width: int) -> Curve:
        """Least, mean and greatest value of buckets of `width` µs from `since`, each at its end."""
        field, source = self._one(series)
        buckets = f"GROUP BY time({width}u, {since % width}u) fill(none)"
        asked = f"SELECT min({field}), mean({field}), max({field}) FROM {source} AND {within(since, until)} {buckets}"
        rows = [row for _, answer in self._wire.query(self._bucket, [asked]) for row in answer.values]
        table = np.array(rows, np.float64).reshape(-1, 4)
        at = np.minimum(table[:, 0].astype(np.int64) + width, until) - 1
        return Curve(at, table[:, 1], table[:, 2], table[:, 3])

    def _one(self, series: int) -> tuple[str, str]:
        labelled = self._labels.devices[self._labels.device[series]]
        metric = self._labels.metrics[self._labels.metric[series]]
        return named(metric), f'{named(labelled.type)} WHERE "device" = {text(labelled.code)}'


def count_all(wire: InfluxWire, bucket: str, before: int) -> int:
    """How many values, quality flags aside, stand before a moment."""
    asked = f"SELECT count(*) FROM /.*/ WHERE time < {nanoseconds(before)}"
    return sum(
        int(count)
        for _, answer in wire.query(bucket, [asked])
        for row in answer.values
        for name, count in zip(answer.columns[1:], row[1:], strict=True)
        if count and not name.endswith("_q")
    )
