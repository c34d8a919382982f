"""Positions at the edge: what an import says in its own datum becomes WGS84, and what can't be a position is told."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from devices.geometry import Position, bd09_to_wgs84, gcj02_to_wgs84, in_china

DATUMS: Mapping[str, Callable[[float, float], Position] | None] = {
    "wgs84": None,
    "cgcs2000": None,
    "gcj02": gcj02_to_wgs84,
    "bd09": bd09_to_wgs84,
}
"""How each datum becomes WGS84; None: it is that already."""

_DECIMALS = 7  # a centimetre


def in_wgs84(values: dict[str, Any], crs: str) -> Iterator[tuple[str, str]]:
    """Convert `lng` and `lat`, or `polygon`, in place; yields (column, reason) when the datum is unknown."""
    if crs not in DATUMS:
        yield "crs", f"unknown datum {crs!r}; known are {', '.join(DATUMS)}"
        return
    convert = DATUMS[crs]
    if convert is None:
        return
    if values.get("lng") is not None and values.get("lat") is not None:
        values["lng"], values["lat"] = _rounded(convert(values["lng"], values["lat"]))
    if values.get("polygon"):
        geometry = json.loads(values["polygon"])
        geometry["coordinates"] = _converted(geometry["coordinates"], convert)
        values["polygon"] = json.dumps(geometry, separators=(",", ":"))


def _rounded(position: Position) -> Position:
    return round(position[0], _DECIMALS), round(position[1], _DECIMALS)


def _converted(coordinates: list[Any], convert: Callable[[float, float], Position]) -> list[Any]:
    if isinstance(coordinates[0], list):
        return [_converted(part, convert) for part in coordinates]
    return list(_rounded(convert(coordinates[0], coordinates[1])))


def position_complaints(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(column, reason) for a half position and for one that looks like latitude before longitude."""
    lng, lat = values.get("lng"), values.get("lat")
    if (lng is None) != (lat is None) and {"lng", "lat"} <= set(values):
        yield ("lng" if lng is None else "lat"), "lng and lat belong together"
    if lng is None or lat is None:
        return
    if (lng, lat) == (0, 0):
        yield "lng", "0, 0 is no position of a town"
    elif not in_china(lng, lat) and in_china(lat, lng):
        yield "lng", f"lng {lng} and lat {lat} are swapped"
