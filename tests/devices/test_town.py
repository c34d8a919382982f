"""Import and export of the town: what changes, what is retired, what comes out again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, func, insert, select

from core.clock import HOUR, SECOND
from core.database import open_engine, reading, writing
from devices.cells import code as code_cell
from devices.cells import free_text
from devices.enrolment import set_state
from devices.geometry import distance_m, wgs84_to_gcj02
from devices.registry import load_registry
from devices.sheets import Column as SheetColumn
from devices.sheets import Sheet, Values
from devices.tables import device, gateway, grid, series, site, village
from devices.town import ImportRefused, export_town, import_town
from devices.town_sheets import TOWN_SHEETS
from tests.devices.town_folder import (
    NOW,
    TYPES,
    bring_in,
    grids,
    rewrite,
    spoil,
    square,
    write_town,
)

SHEETS = tuple(sheet.name for sheet in TOWN_SHEETS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_town(tmp_path / "town")


def rows(engine: Engine, table: Table) -> dict[str, dict[str, Any]]:
    with reading(engine) as connection:
        return {row["code"]: dict(row) for row in connection.execute(select(table)).mappings()}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without(code: str) -> Any:
    return lambda rows: [row for row in rows if row["code"] != code]


def test_a_first_import_adds_everything(engine: Engine, folder: Path) -> None:
    plan = bring_in(engine, folder)
    assert {name: len(plan.sheets[name].added) for name in SHEETS} == {
        "villages": 1,
        "grids": 2,
        "enterprises": 1,
        "sites": 2,
        "gateways": 1,
        "devices": 2,
    }
    assert plan.applied
    assert plan.changes
    loaded = load_registry(engine, TYPES)
    assert loaded.series_of == {
        "GAS-1": {"gas_lel": 0, "battery": 1},
        "WTR-1": {"depth_cm": 2, "battery": 3},
    }
    assert loaded.state == ["commissioning", "in_service"]
    assert loaded.in_service_at.tolist() == [0, NOW]
    assert loaded.gateways["GW-1"].in_service_at == NOW
    assert loaded.gateways["GW-1"].password_hash == "", "may not connect until a password is issued"


def test_a_site_gets_the_grid_that_contains_it(engine: Engine, folder: Path) -> None:
    spoil(folder, "enterprises.csv", "91350100M000100Y43", lng="120.411", lat="31.441")
    spoil(folder, "sites.csv", "EN-1", lng="120.5", grid="")
    bring_in(engine, folder)
    assert {code: row["grid"] for code, row in rows(engine, site).items()} == {"RD-1": "G01", "EN-1": None}


def test_the_same_folder_again_changes_nothing(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    version = load_registry(engine, TYPES).version
    for prune in (False, True):
        plan = bring_in(engine, folder, prune=prune, now=NOW + HOUR)
        assert not plan.changes
        assert plan.sheets["devices"].unchanged == 2
    assert load_registry(engine, TYPES).version == version


def test_a_preview_writes_nothing(engine: Engine, folder: Path) -> None:
    plan = bring_in(engine, folder, apply=False)
    assert plan.changes
    assert not plan.applied
    assert rows(engine, village) == {}
    bring_in(engine, folder)
    before = rows(engine, device)
    spoil(folder, "devices.csv", "GAS-1", serial="B7")
    plan = bring_in(engine, folder, apply=False)
    assert [(change.key, change.columns) for change in plan.sheets["devices"].changed] == [
        ("GAS-1", {"serial": ("A2", "B7")})
    ]
    assert rows(engine, device) == before


def test_a_replacement_keeps_its_series(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    before = load_registry(engine, TYPES)
    spoil(folder, "devices.csv", "GAS-1", serial="B7")
    bring_in(engine, folder)
    after = load_registry(engine, TYPES)
    assert after.series_of == before.series_of
    assert after.version > before.version


def test_coming_into_service_counts_from_now(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    spoil(folder, "devices.csv", "GAS-1", state="in_service")
    bring_in(engine, folder, now=NOW + HOUR)
    since = {code: row["in_service_at"] for code, row in rows(engine, device).items()}
    assert since == {"GAS-1": NOW + HOUR, "WTR-1": NOW}


def test_a_maintenance_has_an_end_in_local_time(engine: Engine, folder: Path) -> None:
    spoil(folder, "devices.csv", "GAS-1", state="maintenance", state_until="2026-09-21 23:13:20")
    bring_in(engine, folder)
    assert rows(engine, device)["GAS-1"]["state_until"] == NOW + HOUR


def test_prune_retires_and_never_deletes(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    rewrite(folder, "devices.csv", without("GAS-1"))
    rewrite(folder, "sites.csv", without("EN-1"))
    assert not bring_in(engine, folder).changes, "without prune what is absent stays"
    plan = bring_in(engine, folder, prune=True)
    assert (plan.sheets["devices"].retired, plan.sheets["sites"].retired) == (["GAS-1"], ["EN-1"])
    assert rows(engine, device)["GAS-1"]["state"] == "retired"
    assert rows(engine, site)["EN-1"]["retired"] == 1
    assert load_registry(engine, TYPES).series_of["GAS-1"] == {"gas_lel": 0, "battery": 1}
    assert not bring_in(engine, folder, prune=True).changes


def test_what_was_retired_comes_back_with_its_series(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    (folder / "devices.csv").rename(folder / "kept.csv")
    rewrite(folder, "sites.csv", without("EN-1"))
    with writing(engine) as connection:
        set_state(connection, "GAS-1", "retired", None, NOW)
    bring_in(engine, folder, prune=True)
    (folder / "kept.csv").rename(folder / "devices.csv")
    again = write_town(folder)
    spoil(again, "devices.csv", "GAS-1", state="in_service")
    plan = bring_in(engine, again, now=NOW + HOUR)
    assert [(change.key, change.columns) for change in plan.sheets["sites"].changed] == [("EN-1", {"retired": (1, 0)})]
    loaded = load_registry(engine, TYPES)
    assert loaded.series_of["GAS-1"] == {"gas_lel": 0, "battery": 1}
    assert loaded.in_service_at[0] == NOW + HOUR


def test_prune_leaves_a_sheet_alone_whose_file_is_absent(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    (folder / "devices.csv").unlink()
    assert not bring_in(engine, folder, prune=True).changes


def test_a_column_that_is_absent_is_left_alone(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    (folder / "sites.csv").write_text("code,name\nEN-1,新名\n", encoding="utf-8")
    before = rows(engine, site)["EN-1"]
    bring_in(engine, folder)
    assert rows(engine, site)["EN-1"] == before | {"name": "新名"}


def test_a_moved_grid_moves_the_sites_that_no_file_holds(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    for name in SHEETS:
        if name != "grids":
            (folder / f"{name}.csv").unlink(missing_ok=True)
    swapped = grids(G01=square(120.41), G02=square(120.40))
    (folder / "grids.geojson").write_text(swapped, encoding="utf-8")
    plan = bring_in(engine, folder)
    assert {change.key: change.columns["grid"] for change in plan.sheets["sites"].changed} == {
        "EN-1": ("G02", "G01"),
        "RD-1": ("G01", "G02"),
    }
    assert rows(engine, site)["RD-1"]["grid"] == "G02"


def test_positions_in_gcj02_become_wgs84(engine: Engine, folder: Path) -> None:
    there = wgs84_to_gcj02(120.405, 31.445)
    text = (folder / "sites.csv").read_text(encoding="utf-8").splitlines()
    text = [f"{line},{crs}" for line, crs in zip(text, ("crs", "GCJ02", ""), strict=True)]
    (folder / "sites.csv").write_text("\n".join(text), encoding="utf-8")
    spoil(folder, "sites.csv", "RD-1", lng=repr(there[0]), lat=repr(there[1]))
    bring_in(engine, folder)
    kept = rows(engine, site)
    assert distance_m(kept["RD-1"]["lng"], kept["RD-1"]["lat"], 120.405, 31.445) < 0.1
    assert (kept["EN-1"]["lng"], kept["EN-1"]["lat"]) == (120.415, 31.445), "an empty cell means the import's own"


@pytest.mark.parametrize("crs", ["gcj02", "bd09"])
def test_a_whole_folder_in_another_datum(engine: Engine, folder: Path, crs: str) -> None:
    spoil(folder, "sites.csv", "EN-1", grid="")
    bring_in(engine, folder, crs=crs)
    kept = rows(engine, site)["RD-1"]
    assert 400 < distance_m(kept["lng"], kept["lat"], 120.405, 31.445) < 1500
    assert kept["grid"] == "G01", "grids and sites moved together"
    west = min(lng for lng, _ in json.loads(rows(engine, grid)["G01"]["polygon"])["coordinates"][0])
    assert 0.003 < 120.40 - west < 0.02


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(engine: Engine, folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    bring_in(engine, folder)
    assert rows(engine, village)["V1"]["name"] == "新埂村"


def test_export_import_export_is_the_same_to_the_byte(
    engine: Engine, folder: Path, tmp_path: Path, sqlite_template: Path
) -> None:
    spoil(
        folder,
        "sites.csv",
        "RD-1",
        name="'=SUM(A1)",
        address='文字 "引号", 逗号',
        attributes='{"b": [1, null], "a": 0.1}',
    )
    spoil(folder, "devices.csv", "GAS-1", state="maintenance", state_until="2026-09-21T23:13:20.000007+08:00")
    bring_in(engine, folder)
    assert rows(engine, site)["RD-1"]["name"] == "=SUM(A1)"
    export_town(engine, tmp_path / "once", TOWN_SHEETS)

    shutil.copy(sqlite_template, tmp_path / "other.db")
    other = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    bring_in(other, tmp_path / "once", prune=True)
    export_town(other, tmp_path / "twice", TOWN_SHEETS)
    other.dispose()
    assert files_of(tmp_path / "once") == files_of(tmp_path / "twice")
    assert not bring_in(engine, tmp_path / "once", prune=True).changes


def test_an_export_leaves_out_what_is_retired(engine: Engine, folder: Path, tmp_path: Path) -> None:
    bring_in(engine, folder)
    with writing(engine) as connection:
        set_state(connection, "GAS-1", "retired", None, NOW)
    export_town(engine, tmp_path / "out", TOWN_SHEETS)
    assert "GAS-1" not in (tmp_path / "out" / "devices.csv").read_text(encoding="utf-8")
    assert not bring_in(engine, tmp_path / "out", prune=True).changes


def test_a_type_that_gains_a_metric_gets_a_series_at_the_next_import(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    with writing(engine) as connection:
        connection.execute(series.delete().where(series.c.device == "GAS-1", series.c.metric == "battery"))
    assert list(load_registry(engine, TYPES).series_of["GAS-1"]) == ["gas_lel"]
    bring_in(engine, folder)
    assert load_registry(engine, TYPES).series_of["GAS-1"] == {"gas_lel": 0, "battery": 4}


# Sheets of others -----------------------------------------------------------------------------------------------------

other = MetaData()
crew = Table(
    "crew",
    other,
    Column("code", String(20), primary_key=True),
    Column("grid", String(20)),
    Column("retired", Integer, default=0),
)
reach = Table(
    "reach",
    other,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("owner_kind", String(12)),
    Column("owner", String(20)),
    Column("address", String(40)),
)

CREWS = Sheet(
    "crews",
    crew,
    ("code",),
    (SheetColumn("code", code_cell(20), required=True), SheetColumn("grid", code_cell(20), refers="grids")),
    retirement=("retired", 1),
)


def _owner_sheet(values: Values) -> str | None:
    return {"crew": "crews", "site": "sites"}.get(values["owner_kind"])


REACHES = Sheet(
    "reaches",
    reach,
    ("owner_kind", "owner"),
    (
        SheetColumn("owner_kind", code_cell(12), required=True),
        SheetColumn("owner", code_cell(20), required=True, refers=_owner_sheet),
        SheetColumn("address", free_text(40)),
    ),
)
WITH_OTHERS = (*TOWN_SHEETS, CREWS, REACHES)


@pytest.fixture
def wider(engine: Engine, folder: Path) -> Engine:
    """The engine with the tables of others, and their files in the folder."""
    with writing(engine) as connection:
        other.create_all(connection)
    (folder / "crews.csv").write_text("code,grid\nC1,G01\nC2,G02\n", encoding="utf-8")
    (folder / "reaches.csv").write_text("owner_kind,owner,address\ncrew,C1,a\nsite,RD-1,b\n", encoding="utf-8")
    return engine


def test_sheets_of_others_are_imported_and_exported_too(wider: Engine, folder: Path, tmp_path: Path) -> None:
    plan = import_town(wider, folder, WITH_OTHERS, TYPES, NOW)
    assert plan.sheets["reaches"].added == ["crew/C1", "site/RD-1"]
    export_town(wider, tmp_path / "out", WITH_OTHERS)
    assert (tmp_path / "out" / "crews.csv").read_bytes() == (folder / "crews.csv").read_bytes()
    assert (tmp_path / "out" / "reaches.csv").read_bytes() == (folder / "reaches.csv").read_bytes()
    rewrite(folder, "reaches.csv", lambda rows: [row | {"address": row["address"] + "2"} for row in rows])
    import_town(wider, folder, WITH_OTHERS, TYPES, NOW)
    with reading(wider) as connection:
        assert connection.execute(select(func.count()).select_from(reach)).scalar() == 2


def test_a_contact_does_not_hold_back_its_retired_owner(wider: Engine, folder: Path, tmp_path: Path) -> None:
    import_town(wider, folder, WITH_OTHERS, TYPES, NOW)
    rewrite(folder, "crews.csv", without("C1"))
    rewrite(folder, "reaches.csv", lambda rows: rows[1:])
    assert import_town(wider, folder, WITH_OTHERS, TYPES, NOW, prune=True).sheets["crews"].retired == ["C1"]
    export_town(wider, tmp_path / "out", WITH_OTHERS)
    assert (tmp_path / "out" / "reaches.csv").read_text(encoding="utf-8") == "owner_kind,owner,address\nsite,RD-1,b\n"


def test_a_reference_by_kind_is_checked(wider: Engine, folder: Path) -> None:
    (folder / "reaches.csv").write_text("owner_kind,owner,address\ncrew,RD-1,a\n", encoding="utf-8")
    with pytest.raises(ImportRefused, match=r"reaches\.csv, row 2, owner: unknown RD-1: not among the crews"):
        import_town(wider, folder, WITH_OTHERS, TYPES, NOW)


def test_sheets_stand_in_the_order_of_their_references(engine: Engine, folder: Path) -> None:
    with pytest.raises(ValueError, match="refers to grids, which must come before"):
        import_town(engine, folder, (CREWS, *TOWN_SHEETS), TYPES, NOW)


def test_the_database_may_hold_more_than_the_folder(engine: Engine, folder: Path) -> None:
    bring_in(engine, folder)
    with writing(engine) as connection:
        connection.execute(insert(gateway).values(code="GW-2", in_service_at=NOW - SECOND))
    spoil(folder, "devices.csv", "GAS-1", gateway="GW-2")
    bring_in(engine, folder)
    assert rows(engine, device)["GAS-1"]["gateway"] == "GW-2"
