"""What an import refuses: every fault at once, with file, row, column and reason, and nothing half-imported."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from core.database import metadata, open_engine, reading
from devices import cells
from devices.town import ImportRefused
from tests.devices.town_folder import bring_in, grids, rewrite, spoil, square, write_town

WORKS = "91350100M000100Y43"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_town(tmp_path / "town")


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Engine:
    """Faults are found before any database is written: one engine is enough."""
    opened = open_engine(f"sqlite:///{tmp_path / 'town.db'}")
    metadata.create_all(opened, [table for name, table in metadata.tables.items() if name in TABLES])
    return opened


TABLES = ("registry", "village", "grid", "enterprise", "site", "gateway", "device", "series")


def count_rows(engine: Engine) -> int:
    with reading(engine) as connection:
        tables = (metadata.tables[name] for name in TABLES)
        return sum(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


def refusal(engine: Engine, folder: Path, **options: object) -> list[str]:
    """The problems of an import that must be refused and write nothing."""
    before = count_rows(engine)
    with pytest.raises(ImportRefused) as caught:
        bring_in(engine, folder, **options)
    assert count_rows(engine) == before
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("file", "code", "cells", "problem"),
    [
        ("devices.csv", "GAS-1", {"type": "gass"}, "row 3, type: unknown type 'gass'; known are benzene, canal"),
        ("devices.csv", "GAS-1", {"gateway": "GW-9"}, "row 3, gateway: unknown GW-9: not among the gateways"),
        ("devices.csv", "GAS-1", {"site": "X-9"}, "row 3, site: unknown X-9: not among the sites"),
        ("devices.csv", "GAS-1", {"site": ""}, "row 3, site: must not be empty"),
        ("devices.csv", "GAS-1", {"code": "WTR-1"}, "row 3, code: WTR-1 stands in row 2 too"),
        ("devices.csv", "GAS-1", {"code": "GAS 1"}, "row 3, code: 'GAS 1' is no code"),
        ("devices.csv", "GAS-1", {"code": "G" * 65}, "row 3, code: has 65 characters, at most 64 fit"),
        ("devices.csv", "GAS-1", {"state": "broken"}, "row 3, state: 'broken' is none of commissioning, in_service"),
        ("devices.csv", "GAS-1", {"state": "maintenance"}, "row 3, state_until: a maintenance needs an end"),
        ("devices.csv", "GAS-1", {"state_until": "soon"}, "row 3, state_until: 'soon' is no time like 2026-"),
        (
            "devices.csv",
            "GAS-1",
            {"state_until": "0001-01-01T00:00"},
            "row 3, state_until: '0001-01-01T00:00' is not between",
        ),
        ("devices.csv", "GAS-1", {"component_code": "123"}, "row 3, component_code: '123' is not 16 digits"),
        ("devices.csv", "GAS-1", {"lat": ""}, "row 3, lat: lng and lat belong together"),
        ("devices.csv", "GAS-1", {"lng": "120.4°"}, "row 3, lng: '120.4°' is no number"),
        ("devices.csv", "GAS-1", {"lng": "nan"}, "row 3, lng: 'nan' is no number"),
        ("devices.csv", "GAS-1", {"lng": "1_2"}, "row 3, lng: '1_2' is no number"),
        ("devices.csv", "GAS-1", {"lng": "220.4"}, "row 3, lng: 220.4 is no longitude"),
        ("devices.csv", "GAS-1", {"lng": "0", "lat": "0"}, "row 3, lng: 0, 0 is no position of a town"),
        ("devices.csv", "GAS-1", {"attributes": "{"}, "row 3, attributes: is no JSON: "),
        ("devices.csv", "GAS-1", {"attributes": "[1]"}, "row 3, attributes: must be a JSON object"),
        ("devices.csv", "GAS-1", {"attributes": '{"a": NaN}'}, "row 3, attributes: NaN is no JSON number"),
        ("devices.csv", "GAS-1", {"attributes": "[" * 3999}, "row 3, attributes: is no JSON: "),
        ("devices.csv", "GAS-1", {"attributes": '{"interval_s": 0}'}, "row 3, attributes: interval_s must be"),
        ("devices.csv", "GAS-1", {"attributes": '{"interval_s": "9"}'}, "row 3, attributes: interval_s must be"),
        ("devices.csv", "GAS-1", {"name": "=1+1"}, "row 3, name: begins with '=': a spreadsheet would run it"),
        ("devices.csv", "GAS-1", {"name": "@x"}, "row 3, name: begins with '@': a spreadsheet would run it"),
        ("devices.csv", "GAS-1", {"name": "长" * 501}, "row 3, name: has 501 characters, at most 500 fit"),
        ("devices.csv", "GAS-1", {"name": "a\nb"}, "row 3, name: holds a control character or a line break"),
        ("devices.csv", "GAS-1", {"name": "a\0b"}, "row 3, name: holds a control character or a line break"),
        ("sites.csv", "RD-1", {"lng": "31.445", "lat": "120.405"}, "row 2, lat: 120.405 is no latitude, are lng and"),
        ("sites.csv", "RD-1", {"lng": "43.8", "lat": "87.6"}, "row 2, lng: lng 43.8 and lat 87.6 are swapped"),
        ("sites.csv", "RD-1", {"lat": ""}, "row 2, lat: must not be empty"),
        ("sites.csv", "RD-1", {"lng": "121.9"}, "row 2, lng: the position 121.9, 31.445 is 141 km from the town"),
        ("sites.csv", "EN-1", {"grid": "G01"}, "row 3, grid: the position lies in G02, not in G01"),
        ("sites.csv", "EN-1", {"lng": "120.5"}, "row 3, grid: the position lies in no grid, not in G02"),
        ("sites.csv", "RD-1", {"kind": "bridge"}, "row 2, kind: 'bridge' is none of site, enterprise, road"),
        ("sites.csv", "RD-1", {"kind": "enterprise"}, "row 2, enterprise: a site of kind enterprise names its"),
        ("sites.csv", "RD-1", {"enterprise": WORKS}, "row 2, enterprise: a site of kind enterprise names its"),
        ("sites.csv", "RD-1", {"importance": "6"}, "row 2, importance: '6' is outside 1..5"),
        ("sites.csv", "RD-1", {"importance": "1.5"}, "row 2, importance: '1.5' is no whole number"),
        ("sites.csv", "RD-1", {"phone": "call me"}, "row 2, phone: 'call me' is no phone number"),
        ("enterprises.csv", WORKS, {"code": WORKS[:-1] + "4"}, "has a wrong check character: GB 32100 makes it 3"),
        ("enterprises.csv", WORKS, {"code": "91350100M"}, "row 2, code: '91350100M' is no unified social credit code"),
        ("enterprises.csv", WORKS, {"grid": "G09"}, "row 2, grid: unknown G09: not among the grids"),
        ("enterprises.csv", WORKS, {"hazards": "gas;du st"}, "row 2, hazards: 'du st' is no code"),
        ("gateways.csv", "GW-1", {"site": "X-9"}, "row 2, site: unknown X-9: not among the sites"),
        ("gateways.csv", "GW-1", {"format": "v 1"}, "row 2, format: 'v 1' is no code"),
    ],
)
def test_a_bad_cell_is_told(
    sqlite_engine: Engine, folder: Path, file: str, code: str, cells: dict[str, str], problem: str
) -> None:
    spoil(folder, file, code, **cells)
    found = refusal(sqlite_engine, folder)
    assert any(line.startswith(file) and problem in line for line in found), found


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("sites.csv", b"", "sites.csv: is empty: the header is missing"),
        (
            "sites.csv",
            "code,kind\nRD-1,道路".encode("gb18030"),
            "sites.csv: line 2 is not UTF-8; save the file as CSV UTF-8",
        ),
        ("sites.csv", b'code,name\nRD-1,"open', "sites.csv: unexpected end of data"),
        ("sites.csv", b"code,colour\nRD-1,red\n", "sites.csv, row 1, colour: unknown column; known are address"),
        ("sites.csv", b"code,code\nRD-1,RD-1\n", "sites.csv, row 1, code: stands twice in the header"),
        ("sites.csv", b"name\nx\n", "sites.csv, row 1, code: column is missing"),
        ("sites.csv", b"code,name\nRD-1\n", "sites.csv, row 2: has 1 cells, the header has 2"),
        ("sites.csv", b"code,name\nRD-7,x\n", "sites.csv, row 2, kind: column is missing, and RD-7 is new"),
        ("villages.csv", b"code,crs\nV1,wgs84\n", "villages.csv, row 1, crs: unknown column"),
        ("grids.geojson", b"[]", "grids.geojson: is no GeoJSON FeatureCollection: "),
        ("grids.geojson", b"{", "grids.geojson: is no GeoJSON FeatureCollection: "),
        ("grids.geojson", b'{"features":[{"properties":{}}]}', "grids.geojson: is no GeoJSON FeatureCollection: "),
        (
            "grids.geojson",
            grids(G01={"type": "Point", "coordinates": [120, 31]}).encode(),
            "grids.geojson, row 1, polygon: must be a Polygon or MultiPolygon",
        ),
        (
            "grids.geojson",
            grids(G01={"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]}).encode(),
            "grids.geojson, row 1, polygon: polygon is not valid: Self-intersection",
        ),
        ("grids.geojson", grids(G01=square(120.4)).replace("V1", "V9").encode(), "row 1, village: unknown V9"),
    ],
)
def test_a_bad_file_is_told(sqlite_engine: Engine, folder: Path, file: str, content: bytes, problem: str) -> None:
    (folder / file).write_bytes(content)
    found = refusal(sqlite_engine, folder)
    assert any(problem in line for line in found), found


def test_an_unknown_datum_is_told(sqlite_engine: Engine, folder: Path) -> None:
    found = refusal(sqlite_engine, folder, crs="beijing54")
    assert "sites.csv, row 2, crs: unknown datum 'beijing54'; known are wgs84, cgcs2000, gcj02, bd09" in found


def test_a_folder_without_sheets_is_told(sqlite_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert refusal(sqlite_engine, tmp_path / "none")[0].startswith("none: holds none of villages.csv, grids.geojson")


def test_all_faults_come_at_once_in_the_order_of_the_sheets(engine: Engine, folder: Path) -> None:
    spoil(folder, "devices.csv", "GAS-1", type="gass", gateway="GW-9", lng="x")
    spoil(folder, "villages.csv", "V1", name="")
    spoil(folder, "sites.csv", "EN-1", grid="G01")
    assert [line.split(": ")[0] for line in refusal(engine, folder)] == [
        "villages.csv, row 2, name",
        "sites.csv, row 3, grid",
        "devices.csv, row 3, lng",
        "devices.csv, row 3, type",
        "devices.csv, row 3, gateway",
    ]


def test_a_device_keeps_its_type(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    spoil(folder, "devices.csv", "GAS-1", type="smoke")
    assert refusal(engine, folder) == [
        "devices.csv, row 3, type: is gas since its enrolment; enrol a device of type smoke under a new code"
    ]


def test_prune_does_not_retire_what_is_still_used(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    rewrite(folder, "sites.csv", lambda rows: [row for row in rows if row["code"] != "EN-1"])
    expected = "refers to EN-1 of the sites, which is retired"
    assert refusal(engine, folder, prune=True) == [f"devices.csv, row 3, site: {expected}"]
    (folder / "devices.csv").unlink()
    assert refusal(engine, folder, prune=True) == [f"devices.csv, site: GAS-1 in the database: {expected}"]


SAFE = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=60).map(str.strip).filter(bool)


@given(SAFE)
def test_any_text_is_written_so_that_it_is_read_back_and_never_a_formula(value: str) -> None:
    kind = cells.free_text()
    written = kind.write(value)
    assert kind.parse(written) == value
    assert not written.startswith(("=", "+", "-", "@"))


@given(st.floats(-180, 180), st.integers(0, 2**53 // 2))
def test_numbers_and_times_are_read_back_to_the_bit(degrees: float, second: int) -> None:
    assert cells.LONGITUDE.parse(cells.LONGITUDE.write(round(degrees, 7))) == round(degrees, 7)
    moment = second % (4_000_000_000 * 1_000_000)
    assert cells.MOMENT.parse(cells.MOMENT.write(moment)) == moment


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_import_in_any_other_way(sqlite_engine: Engine, folder: Path, content: bytes) -> None:
    (folder / "sites.csv").write_bytes(b"code,kind,name,lng,lat\n" + content)
    with pytest.raises(ImportRefused):
        bring_in(sqlite_engine, folder)
