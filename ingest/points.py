"""What happened, as points beside the readings: the port, and its adapter for an InfluxDB."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from ingest.influx_labels import escaped, tag

if TYPE_CHECKING:
    from ingest.influx_wire import InfluxWire

_log = structlog.get_logger()


class Point(NamedTuple):
    """One row of a measurement at a moment (µs UTC), known by measurement, tags and moment: written again it is one.

    A tag without a text is left out. A field keeps its type for ever.
    """

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, float | int | str]
    at: int


class PointSink(Protocol):
    """Where points go. Raises StoreUnavailable when it can't take them now: give all of them again later."""

    def put(self, points: Sequence[Point]) -> None:
        """Keep the points, each instead of one that it equals in measurement, tags and moment."""
        ...


def line(point: Point) -> str:
    r"""The point in line protocol; whole numbers stay whole.

    >>> line(Point("alert", {"rule": "gas leak", "grid": ""}, {"id": 7, "value": 52.0, "action": 'a"b'}, 1000))
    'alert,rule=gas\\ leak id=7i,value=52.0,action="a\\"b" 1000'
    """
    tags = "".join(f",{name}={escaped(tag(text))}" for name, text in sorted(point.tags.items()) if tag(text))
    fields = ",".join(f"{name}={_field(value)}" for name, value in point.fields.items())
    return f"{escaped(point.measurement)}{tags} {fields} {point.at}"


def _field(value: float | int | str) -> str:
    if isinstance(value, str):
        return '"' + " ".join(value.splitlines()).replace("\\", r"\\").replace('"', r"\"") + '"'
    return f"{int(value)}i" if isinstance(value, int) else repr(value)


class InfluxPoints:
    """Points in the bucket of `wire`'s address, beside its readings."""

    def __init__(self, wire: "InfluxWire") -> None:
        self._wire = wire

    def put(self, points: Sequence[Point]) -> None:
        """Write them. What the server refuses for good is told and left out: the others are kept."""
        waiting = [list(points)]
        while waiting:
            piece = waiting.pop()
            refusal = self._wire.write(self._wire.address.bucket, ("\n".join(map(line, piece)) + "\n").encode())
            if refusal is None:
                continue
            if refusal.too_large and len(piece) > 1:
                waiting += [piece[: len(piece) // 2], piece[len(piece) // 2 :]]
            else:
                _log.warning("the readings store refuses events", events=len(piece), why=refusal.text)

    def close(self) -> None:
        """Release the connections."""
        self._wire.close()
