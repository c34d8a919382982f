"""Which sites are near a point, without looking at all of them."""

from collections.abc import Iterable
from math import cos, floor, radians

_CELL = 0.005
"""Degrees: half a kilometre, so that a look at a few hundred metres touches few cells."""
_METRES_A_DEGREE = 110_000  # less than any degree of latitude, so that a box is never too small


class Nearby:
    """Sites by the cells in which they or one of their devices stand; positions are (site, lng, lat), WGS84.

    >>> sites = Nearby([("S1", 120.0, 31.0), ("S2", 120.0, 31.002), ("S3", 120.1, 31.0)])
    >>> sorted(sites.sites(120.0, 31.0, 300.0))
    ['S1', 'S2']
    """

    def __init__(self, positions: Iterable[tuple[str, float, float]]) -> None:
        self._cells: dict[tuple[int, int], list[tuple[str, float, float]]] = {}
        for each in positions:
            self._cells.setdefault((floor(each[1] / _CELL), floor(each[2] / _CELL)), []).append(each)

    def sites(self, lng: float, lat: float, metres: float) -> set[str]:
        """Every site in a box that holds the circle: some a little further away, none within it missing."""
        north = metres / _METRES_A_DEGREE
        east = north / cos(radians(lat))
        west, south = floor((lng - east) / _CELL), floor((lat - north) / _CELL)
        across = range(west, floor((lng + east) / _CELL) + 1)
        upward = range(south, floor((lat + north) / _CELL) + 1)
        return {
            site
            for x in across
            for y in upward
            for site, its_lng, its_lat in self._cells.get((x, y), ())
            if abs(its_lng - lng) <= east and abs(its_lat - lat) <= north
        }
