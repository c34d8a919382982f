"""Responders come in with the town's files, all faults at once, and go out again the same."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from alerts.responder_sheets import RESPONDER_SHEETS
from alerts.town_view import Contact, load_town_view
from core.database import reading, writing
from devices.device_types import load_device_types
from devices.enrolment import ensure_registry
from devices.town import ImportRefused, export_town, import_town
from devices.town_sheets import TOWN_SHEETS

SHEETS = (*TOWN_SHEETS, *RESPONDER_SHEETS)
RING = [[120.4, 31.4], [120.5, 31.4], [120.5, 31.5], [120.4, 31.5], [120.4, 31.4]]
GRID = {
    "type": "Feature",
    "properties": {"code": "G17", "village": "V1", "name": "十七"},
    "geometry": {"type": "Polygon", "coordinates": [RING]},
}
FILES = {
    "villages.csv": "code,name\nV1,村\n",
    "grids.geojson": json.dumps({"type": "FeatureCollection", "features": [GRID]}),
    "stations.csv": "code,name,lng,lat,checkpoint,service_grids\nST1,一站,120.43,31.44,1,G17\n",
    "teams.csv": "code,name,grid\nT17,十七队,G17\n",
    "people.csv": (
        "code,name,role,team,station,shift\n"
        "P1,网格员 G17-01,patroller,T17,,day\n"  # a number, nobody's name
        "P2,队员 ST1-01,officer,,ST1,all\n"
    ),
    "contacts.csv": "owner_kind,owner,channel,address\nperson,P1,phone,P1\nteam,T17,robot,r-17\n",
}


def folder_of(folder: Path, **changed: str) -> Path:
    for name, content in (FILES | {f"{stem}.csv": text for stem, text in changed.items()}).items():
        (folder / name).write_text(content, "utf-8")
    return folder


def load(engine: Engine, folder: Path, now: int = 1) -> None:
    with writing(engine) as connection:
        ensure_registry(connection)
    import_town(engine, folder, SHEETS, load_device_types(), now)


def test_responders_come_in_and_go_out(engine: Engine, tmp_path: Path) -> None:
    load(engine, folder_of(tmp_path))
    with reading(engine) as connection:
        town = load_town_view(connection)
    assert town.stations["ST1"].service_grids == ("G17",)
    assert (town.teams["T17"].grid, town.people["P1"].team, town.people["P2"].station) == ("G17", "T17", "ST1")
    assert town.contacts["team", "T17"] == (Contact("robot", "r-17"),)
    out = tmp_path / "out"
    export_town(engine, out, SHEETS)
    assert "P1,网格员 G17-01,patroller" in (out / "people.csv").read_text("utf-8-sig")
    assert import_town(engine, out, SHEETS, load_device_types(), 2).changes is False


def test_all_faults_are_told_at_once(engine: Engine, tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        people="code,name,role,team,station,shift\nP1,甲,patroller,,,day\nP2,乙,officer,,ST9,noon\n",
        contacts="owner_kind,owner,channel,address\nperson,P9,phone,x\n",
    )
    with pytest.raises(ImportRefused) as refused:
        load(engine, folder)
    found = {(problem.file, problem.row, problem.column) for problem in refused.value.problems}
    assert found >= {("people.csv", 2, "team"), ("people.csv", 3, "shift"), ("people.csv", 3, "station")}
    assert ("contacts.csv", 2, "owner") in found
