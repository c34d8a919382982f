"""A small town as a folder of sheets, to be spoilt one cell at a time."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from core.clock import SECOND
from devices.device_types import load_device_types
from devices.town import Plan, import_town
from devices.town_sheets import TOWN_SHEETS

NOW = 1_790_000_000 * SECOND
TYPES = load_device_types()
WORKS = "91350100M000100Y43"

VILLAGES = "code,name,name_en\nV1,新埂村,Xingeng\n"
ENTERPRISES = (
    f"code,name,hazards,responsible,phone,address,lng,lat,grid\n{WORKS},示例厂,gas;dust,负责人 1,13900000001,,,,\n"
)
SITES = (
    "code,kind,name,name_en,lng,lat,grid,importance,contact,phone,address,enterprise,attributes\n"
    "RD-1,road,示例路,Demo Road,120.405,31.445,,2,联系人 1,13900000002,,,\n"
    f'EN-1,enterprise,示例厂区,Demo Works,120.415,31.445,G02,1,,,,{WORKS},"{{""area"": ""甲""}}"\n'
)
GATEWAYS = "code,name,site,format,attributes\nGW-1,网关,RD-1,v1,\n"
DEVICES = (
    "code,name,type,gateway,site,lng,lat,component_code,serial,state,state_until,attributes\n"
    "WTR-1,积水,water_depth,GW-1,RD-1,,,3205070102000001,A1,in_service,,\n"
    "GAS-1,可燃气体,gas,GW-1,EN-1,120.415,31.445,,A2,commissioning,,\n"
)


def square(west: float, south: float = 31.44) -> dict[str, Any]:
    """A grid's polygon of 0.01 by 0.01 degrees."""
    east, north = round(west + 0.01, 6), round(south + 0.01, 6)
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


def grids(**polygons: dict[str, Any]) -> str:
    """A feature collection of these grids, all of village V1."""
    features = [
        {"type": "Feature", "properties": {"code": code, "village": "V1", "name": code}, "geometry": polygon}
        for code, polygon in polygons.items()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def write_town(folder: Path) -> Path:
    """Two grids, a road and a works, one gateway, two devices."""
    folder.mkdir(exist_ok=True)
    files = {
        "villages.csv": VILLAGES,
        "grids.geojson": grids(G01=square(120.40), G02=square(120.41)),
        "enterprises.csv": ENTERPRISES,
        "sites.csv": SITES,
        "gateways.csv": GATEWAYS,
        "devices.csv": DEVICES,
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def spoil(folder: Path, file: str, code: str, /, **cells: str) -> None:
    """Change cells of the row with this code."""
    with (folder / file).open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    (row,) = (row for row in rows if row["code"] == code)
    row.update(cells)
    rewrite(folder, file, lambda _: rows)


def rewrite(folder: Path, file: str, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
    """Change a file's rows."""
    with (folder / file).open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    names = list(rows[0])
    with (folder / file).open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(change(rows))


def bring_in(engine: Engine, folder: Path, **options: Any) -> Plan:
    """Import the folder with the town's own sheets."""
    return import_town(engine, folder, TOWN_SHEETS, TYPES, options.pop("now", NOW), **options)
