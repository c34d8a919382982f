"""Responders come in with the town's files, all faults at once, and go out again the same."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from alerts.responder_sheets import RESPONDER_SHEETS
from alerts.tables import duty
from alerts.town_view import Contact, load_town_view
from core.clock import HOUR, local
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


ROSTER = (
    "person,starts_at,ends_at\n"
    "P1,2026-09-21 08:00,2026-09-21 18:00\n"
    "P1,2026-09-22T08:00:00+08:00,2026-09-22 18:00\n"
    "P2,2026-09-21 22:00,2026-09-22 06:00\n"
)


def spans(engine: Engine) -> list[tuple[str, str, int]]:
    with reading(engine) as connection:
        found = connection.execute(select(duty.c.person, duty.c.starts_at, duty.c.ends_at).order_by(duty.c.id))
        return [(who, local(start).strftime("%m-%d %H:%M"), (end - start) // HOUR) for who, start, end in found]


def test_a_roster_comes_in_and_goes_out(engine: Engine, tmp_path: Path) -> None:
    load(engine, folder_of(tmp_path, duty=ROSTER))
    assert spans(engine) == [("P1", "09-21 08:00", 10), ("P1", "09-22 08:00", 10), ("P2", "09-21 22:00", 8)]
    out = tmp_path / "out"
    export_town(engine, out, SHEETS)
    assert "P2,2026-09-21T22:00:00+08:00,2026-09-22T06:00:00+08:00" in (out / "duty.csv").read_text("utf-8")
    assert import_town(engine, out, SHEETS, load_device_types(), 2).changes is False


def test_a_pruning_roster_replaces_its_own_days_and_no_others(engine: Engine, tmp_path: Path) -> None:
    load(engine, folder_of(tmp_path, duty=ROSTER))
    again = tmp_path / "again"
    again.mkdir()
    changed = "person,starts_at,ends_at\nP2,2026-09-21 20:00,2026-09-22 06:00\nP2,2026-09-22 02:00,2026-09-22 05:00\n"
    (again / "duty.csv").write_text(changed.replace("P2,2026-09-22 02", "P1,2026-09-22 02"), "utf-8")
    plan = import_town(engine, again, SHEETS, load_device_types(), 2, prune=True)
    assert plan.sheets["duty"].retired == ["P2/2026-09-21T22:00:00+08:00"]
    assert ("P1", "09-21 08:00", 10) in spans(engine), "a day that the file says nothing of"
    assert ("P2", "09-21 20:00", 10) in spans(engine)


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ("P2,2026-09-21 08:00,2026-09-21 07:00", "ends_at", "24 hours at most"),
        ("P2,2026-09-21 08:00,2026-09-23 07:00", "ends_at", "24 hours at most"),
        ("P1,2026-09-21 17:00,2026-09-21 20:00", "starts_at", "overlaps 2026-09-21T08:00:00+08:00"),
        ("P9,2026-09-21 08:00,2026-09-21 18:00", "person", "unknown P9"),
        ("P1,2026/9/21 8:00,2026-09-21 18:00", "starts_at", "is no time like"),
        ("P1,2026-09-21 08:00,", "ends_at", "must not be empty"),
        ("P1,2026-09-21 08:00,2026-09-21 18:00", "person", "P1/2026-09-21T08:00:00+08:00 stands in row 2 too"),
    ],
)
def test_a_roster_says_what_is_wrong_with_it(engine: Engine, tmp_path: Path, row: str, column: str, said: str) -> None:
    first = "person,starts_at,ends_at\nP1,2026-09-21 08:00,2026-09-21 18:00\n"
    with pytest.raises(ImportRefused) as refused:
        load(engine, folder_of(tmp_path, duty=f"{first}{row}\n"))
    assert any(
        (problem.file, problem.row, problem.column) == ("duty.csv", 3, column) and said in problem.reason
        for problem in refused.value.problems
    ), refused.value


def test_who_has_no_shift_works_by_day_and_everybody_may_have_quiet_hours(engine: Engine, tmp_path: Path) -> None:
    people = "code,name,role,team,quiet_hours\nP1,甲,patroller,T17,22:00 - 6:30\nP2,乙,leader,,\n"
    load(engine, folder_of(tmp_path, people=people))
    with reading(engine) as connection:
        town = load_town_view(connection)
    assert [(who.shift, who.quiet_hours) for who in town.people.values()] == [("day", "22:00-06:30"), ("day", "")]
    with pytest.raises(ImportRefused, match="no span of hours like 22:00-06:00"):
        load(engine, folder_of(tmp_path, people=people.replace("6:30", "25:00")))


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
