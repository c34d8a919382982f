"""Datums, distances and the containing grid, by property."""

import json

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from devices.geometry import (
    Grids,
    bd09_to_wgs84,
    distance_m,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    in_china,
    wgs84_to_gcj02,
)

# Away from the rectangle's rim, where a shifted point may fall outside and is then left alone.
INLAND = st.tuples(st.floats(73, 136.5), st.floats(2, 54.5))
ANYWHERE = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


def test_the_offset_at_wangting_is_about_485_metres() -> None:
    assert distance_m(120.435, 31.445, *wgs84_to_gcj02(120.435, 31.445)) == pytest.approx(485, abs=5)


def test_a_published_vector() -> None:
    """From the tests of eviltransform: the People's Square in Shanghai."""
    assert wgs84_to_gcj02(121.3953, 31.1774) == pytest.approx((121.3998, 31.1755), abs=2e-3)
    assert distance_m(116.404, 39.915, *wgs84_to_gcj02(116.404, 39.915)) == pytest.approx(556, abs=10)


@given(INLAND)
def test_gcj02_there_and_back_is_within_a_tenth_of_a_metre(position: tuple[float, float]) -> None:
    assert distance_m(*position, *gcj02_to_wgs84(*wgs84_to_gcj02(*position))) < 0.1


@given(INLAND)
def test_bd09_there_and_back_is_within_a_tenth_of_a_metre(position: tuple[float, float]) -> None:
    baidu = gcj02_to_bd09(*wgs84_to_gcj02(*position))
    assert distance_m(*position, *bd09_to_wgs84(*baidu)) < 0.1


@given(ANYWHERE.filter(lambda position: not in_china(*position)))
def test_outside_china_nothing_moves(position: tuple[float, float]) -> None:
    for convert in (wgs84_to_gcj02, gcj02_to_wgs84, gcj02_to_bd09, bd09_to_wgs84):
        assert convert(*position) == position


@given(ANYWHERE, ANYWHERE)
def test_distance_is_symmetric_and_within_half_the_earth(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert distance_m(*a, *b) == pytest.approx(distance_m(*b, *a), abs=1e-3)
    assert 0 <= distance_m(*a, *b) <= 20_015_200
    assert distance_m(*a, *a) == 0


def lattice(size: int) -> list[tuple[str, str]]:
    """`size` by `size` unit squares, numbered by row from the south-west."""
    squares = [(x, y) for y in range(size) for x in range(size)]
    return [(f"G{n:02}", shapely.to_geojson(shapely.box(x, y, x + 1, y + 1))) for n, (x, y) in enumerate(squares)]


LATTICE = Grids.of(lattice(4))


@given(st.floats(0, 4), st.floats(0, 4))
def test_every_point_of_the_tiling_has_the_grid_it_lies_in(x: float, y: float) -> None:
    assert LATTICE.containing(x, y) in {
        f"G{column + 4 * row:02}"
        for column, row in ((min(int(x), 3), min(int(y), 3)), (max(0, int(x) - 1), int(y)), (int(x), int(y) - 1))
    } | ({f"G{int(x) - 1 + 4 * (int(y) - 1):02}"} if x >= 1 and y >= 1 else set())


@pytest.mark.parametrize(
    ("x", "y", "code"),
    [(1.0, 0.5, "G00"), (0.5, 1.0, "G00"), (1.0, 1.0, "G00"), (3.0, 3.5, "G14"), (4.0, 4.0, "G15"), (4.1, 1.0, None)],
)
def test_a_shared_edge_belongs_to_the_smallest_code(x: float, y: float, code: str | None) -> None:
    assert LATTICE.containing(x, y) == code
    assert Grids.of(reversed(lattice(4))).containing(x, y) == code, "whatever the order of the rows"


def test_many_points_at_once_and_no_grids_at_all() -> None:
    assert LATTICE.containing_each([0.5, 9.0, 3.5], [0.5, 9.0, 3.5]) == ["G00", None, "G15"]
    assert LATTICE.containing_each([], []) == []
    assert Grids.of([]).containing(1, 1) is None


@pytest.mark.parametrize(
    ("polygon", "problem"),
    [
        ("nonsense", "no GeoJSON geometry"),
        ({"type": "Point", "coordinates": [1, 2]}, "must be a Polygon"),
        ({"type": "Polygon", "coordinates": []}, "not valid"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]}, "Self-intersection"),
    ],
)
def test_what_is_no_polygon_is_refused(polygon: str | dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Grids.of([("G01", polygon)])
    if isinstance(polygon, dict):
        with pytest.raises(ValueError, match=problem):
            Grids.of([("G01", json.dumps(polygon))])
