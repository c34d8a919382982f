"""The synthetic township: it tiles, it is whole, it is the generator's, and it comes out as it went in."""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import shapely
from sqlalchemy import Engine

from core.clock import SECOND
from devices.device_types import load_device_types
from devices.geometry import Grids, distance_m
from devices.registry import load_registry
from devices.town import export_town, import_town
from devices.town_sheets import TOWN_SHEETS

TOWN = Path(__file__).parents[2] / "examples" / "wangting"
TYPES = load_device_types()
CENTRE = (120.435, 31.445)


@cache
def sheet(name: str) -> list[dict[str, str]]:
    with (TOWN / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def polygons() -> dict[str, shapely.Polygon]:
    collection = json.loads((TOWN / "grids.geojson").read_text(encoding="utf-8"))
    return {
        feature["properties"]["code"]: shapely.from_geojson(json.dumps(feature["geometry"]))
        for feature in collection["features"]
    }


def in_metres(polygon: shapely.Geometry) -> shapely.Geometry:
    east = distance_m(120.43, CENTRE[1], 120.44, CENTRE[1]) / 0.01
    north = distance_m(CENTRE[0], 31.44, CENTRE[0], 31.45) / 0.01
    return shapely.transform(polygon, lambda points: (points - CENTRE) * np.array([east, north]))


def test_the_generator_writes_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(TOWN / "make_town.py"), str(tmp_path)], check=True, cwd=tmp_path, timeout=60)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert len(made) == 10
    for name in made:
        assert (tmp_path / name).read_bytes() == (TOWN / name).read_bytes(), name


def test_fifty_grids_tile_the_town_without_gap_or_overlap() -> None:
    grids = [in_metres(polygon) for polygon in polygons().values()]
    assert len(grids) == 50
    assert all(grid.is_valid for grid in grids)
    town = shapely.union_all(grids)
    assert isinstance(town, shapely.Polygon), "in one piece"
    assert not town.interiors, "no gap"
    assert sum(grid.area for grid in grids) == pytest.approx(town.area, abs=1e-3), "no overlap, in square metres"
    for place, grid in enumerate(grids):
        assert max(grid.intersection(later).area for later in (*grids[place + 1 :], shapely.Point())) < 1e-6
    assert town.area == pytest.approx(42.8e6, rel=0.01)
    assert np.mean([grid.area**0.5 for grid in grids]) == pytest.approx(925, rel=0.02)
    assert distance_m(*CENTRE, *shapely.union_all(list(polygons().values())).centroid.coords[0]) < 100


def test_neighbours_share_their_vertices() -> None:
    """Every vertex inside the town belongs to two grids or more, so no edge passes another's vertex by."""
    counted = Counter(point for grid in polygons().values() for point in set(grid.exterior.coords))
    rim = set(shapely.union_all(list(polygons().values())).exterior.coords)
    assert {point for point, grids in counted.items() if grids == 1} <= rim


def test_the_town_has_what_is_said_of_it() -> None:
    kinds = Counter(row["kind"] for row in sheet("sites"))
    assert kinds == {"enterprise": 125, "road": 75, "site": 100}
    counts = {
        name: len(sheet(name)) for name in ("villages", "enterprises", "gateways", "devices", "stations", "teams")
    }
    assert counts == {
        "villages": 10,
        "enterprises": 1000,
        "gateways": 150,
        "devices": 3250,
        "stations": 4,
        "teams": 50,
    }
    assert {row["type"] for row in sheet("devices")} <= set(TYPES)
    assert [row["checkpoint"] for row in sheet("stations")].count("1") == 2
    roles = Counter(row["role"] for row in sheet("people"))
    assert roles == {"patroller": 663, "officer": 40, "leader": 12, "dispatcher": 2}


def test_every_grid_and_every_station_has_someone_on_each_shift() -> None:
    people = sheet("people")
    manned = {
        (row["team"] or row["station"], row["shift"]) for row in people if row["role"] in ("patroller", "officer")
    }
    places = [row["code"] for row in (*sheet("teams"), *sheet("stations"))]
    assert manned == {(place, shift) for place in places for shift in ("day", "evening", "night")}
    assert {row["grid"] for row in sheet("teams")} == set(polygons())


def test_everything_stands_in_the_grid_that_it_names() -> None:
    grids = Grids.of((code, shapely.to_geojson(polygon)) for code, polygon in polygons().items())
    for name in ("enterprises", "sites"):
        for row in sheet(name):
            assert grids.containing(float(row["lng"]), float(row["lat"])) == row["grid"], row["code"]
    sites = {row["code"]: row for row in sheet("sites")}
    for row in sheet("devices"):
        assert grids.containing(float(row["lng"]), float(row["lat"])) == sites[row["site"]]["grid"]
    assert {row["grid"] for row in sites.values()} == set(polygons())
    assert all(grids.containing(float(row["lng"]), float(row["lat"])) for row in sheet("stations"))


def test_everyone_can_be_reached_and_no_one_is_real() -> None:
    people = sheet("people")
    assert all(re.search(r"[0-9]$", row["name"]) for row in people), "people are numbers"
    owners = {(row["owner_kind"], row["owner"]): row for row in sheet("contacts")}
    expected = {"person": people, "team": sheet("teams"), "station": sheet("stations")}
    assert set(owners) == {(kind, row["code"]) for kind, rows in expected.items() for row in rows}
    assert {row["channel"] for (kind, _), row in owners.items() if kind == "person"} == {"phone"}
    assert owners["team", "T-G01"]["address"] == "demo-G01"
    phones = [row["phone"] for name in ("people", "stations", "enterprises", "sites") for row in sheet(name)]
    assert all(re.fullmatch("1390000[0-9]{4}", phone) for phone in phones)
    assert len(set(phones)) == len(phones)
    for name in ("enterprises", "sites", "stations"):
        assert all(row["name"].startswith("示例") for row in sheet(name))


def test_it_comes_out_of_a_database_as_it_went_in(engine: Engine, tmp_path: Path) -> None:
    import_town(engine, TOWN, TOWN_SHEETS, TYPES, 1_790_000_000 * SECOND)
    export_town(engine, tmp_path / "out", TOWN_SHEETS)
    for each in TOWN_SHEETS:
        assert (tmp_path / "out" / each.file).read_bytes() == (TOWN / each.file).read_bytes(), each.file
    loaded = load_registry(engine, TYPES)
    assert len(loaded.device) == sum(len(TYPES[row["type"]].metrics) for row in sheet("devices"))
    assert (loaded.device >= 0).all()
    assert all(loaded.in_service(index, 1_790_000_000 * SECOND) for index in range(3250))
