"""Fifty polygons that tile a town without gap or overlap: Voronoi cells whose shared edges meander alike on both sides.

Plane coordinates are metres east and north of the town's centre.
"""

import random
from itertools import pairwise
from math import cos, hypot, pi, radians, sin

import shapely

CENTRE = (120.435, 31.445)
AREA_M2 = 42.8e6
_EAST = 111_320 * cos(radians(CENTRE[1]))  # metres a degree
_NORTH = 110_870

Point = tuple[float, float]


def degrees(point: Point) -> Point:
    """Longitude and latitude, to 0.1 m."""
    return round(CENTRE[0] + point[0] / _EAST, 6), round(CENTRE[1] + point[1] / _NORTH, 6)


def metres(lng: float, lat: float) -> Point:
    """The inverse of `degrees`."""
    return (lng - CENTRE[0]) * _EAST, (lat - CENTRE[1]) * _NORTH


def _seeds(chance: random.Random) -> list[Point]:
    """A shaken hexagonal lattice, the 50 that make the town first: those nearest to the centre by a wavy ellipse."""
    step = 960.0
    lattice = [
        ((column + 0.5 * (row % 2)) * step, row * step * 0.87) for row in range(-9, 10) for column in range(-9, 10)
    ]
    shaken = [(x + chance.uniform(-0.2, 0.2) * step, y + chance.uniform(-0.2, 0.2) * step) for x, y in lattice]
    return sorted(shaken, key=lambda point: hypot(point[0] / 1.22, point[1]))


def _neighbours(seeds: list[Point], cell: int) -> list[int]:
    """The seeds whose bisectors bound the cell, counter-clockwise: a big square cut by one half-plane after another."""
    x, y = seeds[cell]
    far = 1e5
    corners = [(x - far, y - far), (x + far, y - far), (x + far, y + far), (x - far, y + far)]
    edges = [-1, -2, -3, -4]  # edges[i] runs from corners[i] to corners[i + 1]
    by_distance = sorted(range(len(seeds)), key=lambda other: hypot(seeds[other][0] - x, seeds[other][1] - y))
    for other in by_distance[1:]:
        corners, edges = _cut(corners, edges, seeds[cell], seeds[other], other)
    return edges


def _cut(
    corners: list[Point], edges: list[int], here: Point, there: Point, label: int
) -> tuple[list[Point], list[int]]:
    """Keep what is nearer to `here` than to `there`; the new edge is labelled."""
    across = (there[0] - here[0], there[1] - here[1])
    middle = ((there[0] ** 2 - here[0] ** 2) + (there[1] ** 2 - here[1] ** 2)) / 2
    beyond = [x * across[0] + y * across[1] - middle for x, y in corners]
    kept: list[Point] = []
    labels: list[int] = []
    for place, corner in enumerate(corners):
        following = (place + 1) % len(corners)
        if beyond[place] <= 0:
            kept.append(corner)
            labels.append(edges[place])
        if (beyond[place] <= 0) != (beyond[following] <= 0):
            share = beyond[place] / (beyond[place] - beyond[following])
            kept.append(tuple(a + share * (b - a) for a, b in zip(corner, corners[following], strict=True)))
            labels.append(label if beyond[place] <= 0 else edges[place])
    return kept, labels


def _meeting_point(seeds: list[Point], cells: tuple[int, ...]) -> Point:
    """Where three cells meet, reckoned from their sorted seeds, so that all three get the same bits."""
    (ax, ay), (bx, by), (cx, cy) = (seeds[cell] for cell in sorted(cells))
    double = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    a, b, c = ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy
    return (a * (by - cy) + b * (cy - ay) + c * (ay - by)) / double, (
        a * (cx - bx) + b * (ax - cx) + c * (bx - ax)
    ) / double


def _meander(start: Point, end: Point, seed: str) -> list[Point]:
    """The edge's points from `start` up to but not with `end`, bent aside like a canal; the same from either side."""
    first, last = sorted((start, end))
    chance = random.Random(seed)
    phase, waves = chance.uniform(0, 2 * pi), chance.uniform(0.6, 1.6)
    length = hypot(last[0] - first[0], last[1] - first[1])
    aside = (first[1] - last[1]) / length, (last[0] - first[0]) / length
    inner = []
    for part in range(1, 8):
        share = part / 8
        swing = min(0.07 * length, 60) * sin(pi * share) * sin(phase + 2 * pi * waves * share)
        inner.append(tuple(first[k] + share * (last[k] - first[k]) + swing * aside[k] for k in (0, 1)))
    return [start, *(inner if start == first else reversed(inner))]


def tiles(seed: int, count: int = 50) -> list[list[Point]]:
    """`count` closed rings in degrees, counter-clockwise, that tile a town of 42.8 km² and share their vertices."""
    chance = random.Random(seed)
    seeds = _seeds(chance)
    rings = []
    for cell in range(count):
        around = _neighbours(seeds, cell)
        corners = [_meeting_point(seeds, (cell, before, after)) for before, after in pairwise([around[-1], *around])]
        sides = zip(corners, [*corners[1:], corners[0]], around, strict=True)
        ring = [
            point
            for start, end, other in sides
            for point in _meander(start, end, f"{seed}-{min(cell, other)}-{max(cell, other)}")
        ]
        rings.append(ring)
    town = shapely.union_all([shapely.Polygon(ring) for ring in rings])
    scale, middle = (AREA_M2 / town.area) ** 0.5, town.centroid
    scaled = [[((x - middle.x) * scale, (y - middle.y) * scale) for x, y in ring] for ring in rings]
    return [[degrees(point) for point in (*ring, ring[0])] for ring in scaled]
