"""Positions: datums, distances, and the grid that contains a point. Degrees, longitude first, WGS84 unless named.

CGCS2000 equals WGS84 here. GCJ-02 and BD-09 follow the widely published formulas of `eviltransform`; their inverses
are iterated to well below 0.1 m.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from math import asin, atan2, cos, hypot, pi, radians, sin, sqrt
from typing import Any, Self

import numpy as np
import shapely

EARTH_RADIUS_M = 6_371_008.8
_SEMI_MAJOR = 6_378_245.0  # Krasovsky 1940, as GCJ-02 uses it
_ECCENTRICITY_2 = 0.00669342162296594323
_BD_TURN = pi * 3000 / 180

Position = tuple[float, float]


def in_china(lng: float, lat: float) -> bool:
    """Inside the rectangle where GCJ-02 is defined; outside it every conversion is the identity."""
    return 72.004 <= lng <= 137.8347 and 0.8293 <= lat <= 55.8271


def wgs84_to_gcj02(lng: float, lat: float) -> Position:
    """WGS84 to GCJ-02 (AMap, Tencent).

    >>> tuple(round(degrees, 5) for degrees in wgs84_to_gcj02(120.435, 31.445))
    (120.43965, 31.4432)
    """
    if not in_china(lng, lat):
        return lng, lat
    x, y = lng - 105.0, lat - 35.0
    wave = (20 * sin(6 * x * pi) + 20 * sin(2 * x * pi)) * 2 / 3
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + wave
    north += (20 * sin(y * pi) + 40 * sin(y / 3 * pi)) * 2 / 3
    north += (160 * sin(y / 12 * pi) + 320 * sin(y * pi / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + wave
    east += (20 * sin(x * pi) + 40 * sin(x / 3 * pi)) * 2 / 3
    east += (150 * sin(x / 12 * pi) + 300 * sin(x / 30 * pi)) * 2 / 3
    magic = 1 - _ECCENTRICITY_2 * sin(radians(lat)) ** 2
    meridian = _SEMI_MAJOR * (1 - _ECCENTRICITY_2) / (magic * sqrt(magic))
    parallel = _SEMI_MAJOR / sqrt(magic) * cos(radians(lat))
    return lng + east * 180 / (parallel * pi), lat + north * 180 / (meridian * pi)


def gcj02_to_wgs84(lng: float, lat: float) -> Position:
    """GCJ-02 to WGS84, within millimetres."""
    return _inverse(wgs84_to_gcj02, lng, lat)


def gcj02_to_bd09(lng: float, lat: float) -> Position:
    """GCJ-02 to BD-09 (Baidu)."""
    if not in_china(lng, lat):
        return lng, lat
    radius = hypot(lng, lat) + 0.00002 * sin(lat * _BD_TURN)
    angle = atan2(lat, lng) + 0.000003 * cos(lng * _BD_TURN)
    return radius * cos(angle) + 0.0065, radius * sin(angle) + 0.006


def bd09_to_wgs84(lng: float, lat: float) -> Position:
    """BD-09 to WGS84, within millimetres."""
    return gcj02_to_wgs84(*_inverse(gcj02_to_bd09, lng, lat))


def _inverse(forward: Callable[[float, float], Position], lng: float, lat: float) -> Position:
    """Step back by the offset at the guess until it settles: the offset changes by less than 1 % a step."""
    if not in_china(lng, lat):
        return lng, lat
    guess = lng, lat
    for _ in range(10):
        there = forward(*guess)
        off = there[0] - lng, there[1] - lat
        guess = guess[0] - off[0], guess[1] - off[1]
        if abs(off[0]) + abs(off[1]) < 1e-9:
            break
    return guess


def distance_m(lng: float, lat: float, to_lng: float, to_lat: float) -> float:
    """Great-circle distance in metres on a sphere of the mean radius; within 0.6 % of the ellipsoid's.

    >>> round(distance_m(120.435, 31.445, 120.435, 31.455))
    1112
    """
    half = sin(radians(to_lat - lat) / 2) ** 2
    half += cos(radians(lat)) * cos(radians(to_lat)) * sin(radians(to_lng - lng) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, half)))


class Grids:
    """The town's grids, asked which one contains a point; `centre` is the middle of the box around them all."""

    def __init__(self, codes: Sequence[str], polygons: Sequence[Any]) -> None:
        self.codes = tuple(codes)
        self._tree = shapely.STRtree(polygons)
        self.centre: Position | None = None
        if self.codes:
            west, south, east, north = shapely.total_bounds(polygons).tolist()
            self.centre = (west + east) / 2, (south + north) / 2

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str | dict[str, Any]]]) -> Self:
        """Grids from (code, GeoJSON geometry as text or dict). Raises ValueError for what is no geometry."""
        by_code = sorted((code, as_geometry(polygon)) for code, polygon in rows)
        return cls([code for code, _ in by_code], [polygon for _, polygon in by_code])

    def containing(self, lng: float, lat: float) -> str | None:
        """The code of the grid that contains the point, None outside all; on a shared edge the smallest code.

        >>> square = '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}'
        >>> Grids.of([("G01", square)]).containing(0.5, 1.0)
        'G01'
        """
        return self.containing_each([lng], [lat])[0]

    def containing_each(self, lng: Sequence[float], lat: Sequence[float]) -> list[str | None]:
        """`containing` for many points at once."""
        points, found = self._tree.query(shapely.points(lng, lat), predicate="intersects")
        first = np.full(len(lng), len(self.codes))
        np.minimum.at(first, points, found)
        codes = (*self.codes, None)
        return [codes[index] for index in first]


def middle_of(polygon: str | dict[str, Any] | None) -> Position | None:
    """A point inside a GeoJSON (multi)polygon: its centroid, or one that surely is inside; None for no geometry.

    >>> middle_of('{"type":"Polygon","coordinates":[[[0,0],[2,0],[2,2],[0,2],[0,0]]]}')
    (1.0, 1.0)
    """
    if not polygon:
        return None
    try:
        shape = as_geometry(polygon)
    except ValueError:
        return None
    centroid = shape.centroid
    inside = centroid if shape.contains(centroid) else shape.representative_point()
    return inside.x, inside.y


def as_geometry(polygon: str | dict[str, Any]) -> Any:
    """A shapely geometry from GeoJSON. Raises ValueError when it is not a valid, non-empty (multi)polygon."""
    text = polygon if isinstance(polygon, str) else json.dumps(polygon)
    try:
        made = shapely.from_geojson(text)
    except shapely.errors.GEOSException as error:
        raise ValueError(f"no GeoJSON geometry: {error}") from error
    if shapely.get_type_id(made) not in (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON):
        raise ValueError("must be a Polygon or MultiPolygon")
    if made.is_empty or not made.is_valid:
        raise ValueError(f"polygon is not valid: {shapely.is_valid_reason(made)}")
    return made
