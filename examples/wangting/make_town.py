"""Write the synthetic township of Wangting: `python examples/wangting/make_town.py [FOLDER]`.

The same seed writes the same bytes. The town's name, its area and seven village codes are public; every polygon, site,
enterprise, person, phone number and device is invented.
"""

import csv
import io
import json
import random
import sys
from collections.abc import Iterator, Sequence
from math import hypot
from pathlib import Path
from typing import Any

import shapely

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from tiling import metres, tiles  # noqa: E402

from devices.credit_code import check_character, organisation_check  # noqa: E402

SEED = 320507100

VILLAGES = (
    ("320507100200", "新埂村", "Xingeng Village"),
    ("320507100201", "何家角村", "Hejiajiao Village"),
    ("320507100202", "宅基村", "Zhaiji Village"),
    ("320507100203", "迎湖村", "Yinghu Village"),
    ("320507100204", "项路村", "Xianglu Village"),
    ("320507100207", "四旺村", "Siwang Village"),
    ("320507100208", "华阳村", "Huayang Village"),
    ("320507100991", "示例第一社区", "Demo Community 1"),
    ("320507100992", "示例第二社区", "Demo Community 2"),
    ("320507100993", "示例第三社区", "Demo Community 3"),
)
INDUSTRIES = (
    ("化工", "gas;dust", 10),
    ("纺织", "electrical;smoke", 18),
    ("电子", "electrical", 20),
    ("机械", "electrical;dust", 22),
    ("食品", "gas;electrical", 8),
    ("木业", "smoke;dust", 8),
    ("仓储", "smoke;electrical", 9),
    ("建材", "dust;noise", 5),
)
PLACES = (
    ("农贸市场", "Market"),
    ("小区", "Residential Compound"),
    ("学校", "School"),
    ("养老院", "Care Home"),
    ("商场", "Mall"),
    ("出租公寓", "Rental Flats"),
    ("餐饮街", "Food Street"),
    ("影剧院", "Theatre"),
)
ROADS = ("道路", "桥下通道", "下穿隧道", "路口")
ROADS_EN = ("Road", "Underbridge", "Underpass", "Crossing")
SITES_A_GRID = (("enterprise", 3), ("road", 1), ("site", 2))
"""Six sites a grid; every second grid gives its third enterprise to a second road instead: 125, 75, 100."""

EQUIPMENT = {
    "enterprise": (("gas", 4), ("electrical", 3), ("smoke", 4), ("dust", 1), ("noise", 1)),
    "road": (("water_depth", 2), ("traffic", 2), ("manhole", 6), ("noise", 1)),
    "site": (("smoke", 4), ("electrical", 2), ("gas", 1), ("noise", 1)),
}
PREFIX = {
    "gas": "GAS",
    "smoke": "SMK",
    "electrical": "ELE",
    "water_depth": "WTR",
    "manhole": "MHL",
    "noise": "NOI",
    "dust": "DST",
    "traffic": "TRF",
}
NAMES = {
    "gas": "可燃气体",
    "smoke": "烟感",
    "electrical": "电气火灾",
    "water_depth": "积水",
    "manhole": "井盖",
    "noise": "噪声",
    "dust": "扬尘",
    "traffic": "车流",
}
NOISE_AREA = {"enterprise": "3", "road": "4a", "site": "2"}
"""The area class of GB 3096 for each kind of site, by which the noise rules choose a meter's limits."""

SHIFTS = ("day", "evening", "night", "day", "day", "evening", "night", "day", "day", "evening", "night", "day", "day")
PATROLLERS = 663

Record = dict[str, Any]


class Phones:
    """Numbers of a range that is visibly invented: 1390000xxxx, one after another."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> str:
        self.last += 1
        return f"1390000{self.last:04}"


def make_grids() -> tuple[list[Record], dict[str, Any]]:
    """Fifty grids numbered by village, five a village, and their polygons by code."""
    rings = tiles(SEED)
    centres = [shapely.Polygon(ring).centroid for ring in rings]
    by_west = sorted(range(50), key=lambda cell: centres[cell].x)
    order = []
    for strip in range(5):
        order += sorted(by_west[strip * 10 : strip * 10 + 10], key=lambda cell: -centres[cell].y)
    grids, polygons = [], {}
    for number, cell in enumerate(order, 1):
        code, (village, name, name_en) = f"G{number:02}", VILLAGES[(number - 1) // 5]
        polygons[code] = shapely.Polygon(rings[cell])
        part = (number - 1) % 5 + 1
        geometry = {"type": "Polygon", "coordinates": [[list(point) for point in rings[cell]]]}
        grids.append(
            {
                "code": code,
                "village": village,
                "name": f"{name}第{part}网格",
                "name_en": f"{name_en}, Grid {part}",
                "geometry": geometry,
            }
        )
    return grids, polygons


def point_in(polygon: Any, chance: random.Random, apart: Sequence[tuple[float, float]] = ()) -> tuple[float, float]:
    """A point at least some 40 m inside the polygon and 60 m from others."""
    west, south, east, north = polygon.bounds
    inner = polygon.buffer(-0.0004)
    while True:
        lng, lat = round(chance.uniform(west, east), 6), round(chance.uniform(south, north), 6)
        x, y = metres(lng, lat)
        if inner.contains(shapely.Point(lng, lat)) and all(
            hypot(x - metres(*other)[0], y - metres(*other)[1]) > 60 for other in apart
        ):
            return lng, lat


def credit_code(number: int) -> str:
    """A well-formed code (91, the district, a made-up organisation) that no register holds."""
    organisation = f"MADM{number:04}"
    first = f"91320507{organisation}{organisation_check(organisation)}"
    return first + check_character(first)


def make_enterprises(polygons: dict[str, Any], phones: Phones, chance: random.Random) -> list[Record]:
    enterprises = []
    weights = [weight for _, _, weight in INDUSTRIES]
    for number in range(1, 1001):
        industry, hazards, _ = chance.choices(INDUSTRIES, weights)[0]
        grid = f"G{(number - 1) % 50 + 1:02}"
        lng, lat = point_in(polygons[grid], chance)
        enterprises.append(
            {
                "code": credit_code(number),
                "name": f"示例{industry}{number:04}厂",
                "hazards": hazards,
                "responsible": f"企业负责人 {number:04}",
                "phone": phones.next(),
                "address": f"望亭镇示例工业路{number}号",
                "lng": lng,
                "lat": lat,
                "grid": grid,
            }
        )
    return sorted(enterprises, key=lambda row: row["code"])


def _kinds(number: int) -> Iterator[str]:
    for kind, count in SITES_A_GRID:
        yield from [kind] * count if number % 2 else [kind] * (count + {"enterprise": -1, "road": 1}.get(kind, 0))


def make_sites(
    polygons: dict[str, Any], enterprises: Sequence[Record], phones: Phones, chance: random.Random
) -> list[Record]:
    free = {grid: [row for row in enterprises if row["grid"] == grid] for grid in polygons}
    counted = dict.fromkeys(EQUIPMENT, 0)
    sites = []
    for number, (grid, polygon) in enumerate(polygons.items(), 1):
        taken: list[tuple[float, float]] = []
        for kind in _kinds(number):
            counted[kind] += 1
            owner = free[grid].pop(0) if kind == "enterprise" else None
            place = (owner["lng"], owner["lat"]) if owner else point_in(polygon, chance, taken)
            taken.append(place)
            sites.append(_site(kind, counted[kind], grid, place, owner, phones, chance))
    return sorted(sites, key=lambda row: row["code"])


def _site(
    kind: str,
    number: int,
    grid: str,
    place: tuple[float, float],
    owner: Record | None,
    phones: Phones,
    chance: random.Random,
) -> Record:
    if owner:
        name, name_en = f"{owner['name']}厂区", f"Demo Works {number:03}"
    elif kind == "road":
        name, name_en = f"示例{ROADS[number % 4]}{number:03}", f"Demo {ROADS_EN[number % 4]} {number:03}"
    else:
        word, word_en = PLACES[number % len(PLACES)]
        name, name_en = f"示例{word}{number:03}", f"Demo {word_en} {number:03}"
    return {
        "code": f"{ {'enterprise': 'ENT', 'road': 'ROAD', 'site': 'SITE'}[kind] }-{number:03}",
        "kind": kind,
        "name": name,
        "name_en": name_en,
        "lng": place[0],
        "lat": place[1],
        "grid": grid,
        "importance": chance.choices((1, 2, 3), (1, 3, 6))[0],
        "contact": f"现场联系人 {kind[0].upper()}{number:03}",
        "phone": phones.next(),
        "address": owner["address"] if owner else f"望亭镇{name}",
        "enterprise": owner["code"] if owner else "",
        "attributes": "",
    }


def make_gateways(sites: Sequence[Record]) -> tuple[list[Record], dict[str, str]]:
    """One gateway for every two sites of a grid, at the first of them; and the gateway of each site."""
    gateways: list[Record] = []
    gateway_of: dict[str, str] = {}
    for grid in sorted({site["grid"] for site in sites}):
        here = [site for site in sites if site["grid"] == grid]
        for pair in (here[place : place + 2] for place in range(0, len(here), 2)):
            code = f"GW-{len(gateways) + 1:04}"
            name = f"{pair[0]['name']}网关"
            gateways.append({"code": code, "name": name, "site": pair[0]["code"], "format": "v1", "attributes": ""})
            gateway_of |= {site["code"]: code for site in pair}
    return gateways, gateway_of


def make_devices(
    sites: Sequence[Record], gateway_of: dict[str, str], polygons: dict[str, Any], chance: random.Random
) -> list[Record]:
    counted = dict.fromkeys(PREFIX, 0)
    devices = []
    for site in sites:
        for kind, count in EQUIPMENT[site["kind"]]:
            for _ in range(count):
                counted[kind] += 1
                lng, lat = _beside(site, polygons[site["grid"]], chance)
                devices.append(
                    {
                        "code": f"{PREFIX[kind]}-{counted[kind]:04}",
                        "name": f"{site['name']}{NAMES[kind]}{counted[kind]:04}",
                        "type": kind,
                        "gateway": gateway_of[site["code"]],
                        "site": site["code"],
                        "lng": lng,
                        "lat": lat,
                        "component_code": f"3205070102{counted[kind]:06}" if kind == "manhole" else "",
                        "serial": f"DEMO{chance.getrandbits(40):010X}",
                        "state": "in_service",
                        "state_until": "",
                        "attributes": f'{{"noise_class": "{NOISE_AREA[site["kind"]]}"}}' if kind == "noise" else "",
                    }
                )
    return sorted(devices, key=lambda row: row["code"])


def _beside(site: Record, polygon: Any, chance: random.Random) -> tuple[float, float]:
    """Within some 25 m of the site, in its grid."""
    lng = round(site["lng"] + chance.uniform(-0.00025, 0.00025), 6)
    lat = round(site["lat"] + chance.uniform(-0.00022, 0.00022), 6)
    assert polygon.contains(shapely.Point(lng, lat))
    return lng, lat


def make_stations(polygons: dict[str, Any], phones: Phones, chance: random.Random) -> list[Record]:
    """Four enforcement stations, one a quarter of the town; the first and the third have a checkpoint."""
    stations = []
    for number, grid in enumerate(("G08", "G14", "G33", "G38"), 1):
        lng, lat = point_in(polygons[grid], chance)
        stations.append(
            {
                "code": f"S{number}",
                "name": f"示例综合执法{number}站",
                "name_en": f"Demo Enforcement Station {number}",
                "lng": lng,
                "lat": lat,
                "checkpoint": 1 if number in (1, 3) else 0,
                "phone": phones.next(),
                "service_grids": "",
            }
        )
    return stations


def make_people(grids: Sequence[Record], phones: Phones) -> list[Record]:
    """663 patrollers with someone on each shift of every grid; officers, duty leaders and dispatchers."""
    people = []
    for place, grid in enumerate(grids):
        for number in range(1, PATROLLERS // 50 + (place < PATROLLERS % 50) + 1):
            code = f"{grid['code']}-{number:02}"
            shift = SHIFTS[(number - 1) % len(SHIFTS)]
            skill = "gas" if number <= 3 else ""
            people.append(_person(code, f"网格员 {code}", "patroller", shift, phones, f"T-{grid['code']}", "", skill))
    for station in ("S1", "S2", "S3", "S4"):
        for number in range(1, 11):
            code, shift = f"{station}-{number:02}", SHIFTS[number - 1]
            people.append(_person(code, f"执法队员 {code}", "officer", shift, phones, "", station, "enforcement"))
        for number, shift in enumerate(("day", "evening", "night"), 1):
            code = f"{station}-L{number}"
            people.append(_person(code, f"值班领导 {code}", "leader", shift, phones, "", station, ""))
    for number in (1, 2):
        people.append(_person(f"D-{number:02}", f"调度员 D-{number:02}", "dispatcher", "all", phones, "", "", ""))
    return sorted(people, key=lambda row: row["code"])


def _person(
    code: str, name: str, role: str, shift: str, phones: Phones, team: str, station: str, skills: str
) -> Record:
    return {
        "code": code,
        "name": name,
        "role": role,
        "phone": phones.next(),
        "wecom_userid": f"demo-{code.lower()}",
        "team": team,
        "station": station,
        "shift": shift,
        "skills": skills,
    }


def make_contacts(people: Sequence[Record], teams: Sequence[Record], stations: Sequence[Record]) -> list[Record]:
    """Everybody's demo phone, and one group robot a team and a station."""
    owners = [
        *(("person", row["code"], "phone", row["code"]) for row in people),
        *(("station", row["code"], "robot", f"demo-{row['code']}") for row in stations),
        *(("team", row["code"], "robot", f"demo-{row['grid']}") for row in teams),
    ]
    return [dict(zip(("owner_kind", "owner", "channel", "address"), owner, strict=True)) for owner in sorted(owners)]


def write_csv(path: Path, rows: Sequence[Record]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="\n")


def write_geojson(path: Path, grids: Sequence[Record]) -> None:
    features = []
    for grid in grids:
        told = {"code": grid["code"], "village": grid["village"], "name": grid["name"], "name_en": grid["name_en"]}
        properties = json.dumps(told, ensure_ascii=False)
        geometry = json.dumps(grid["geometry"], separators=(",", ":"))
        features.append(f'{{"type":"Feature","properties":{properties},"geometry":{geometry}}}')
    text = '{"type":"FeatureCollection","features":[\n' + ",\n".join(features) + "\n]}\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def make_town(folder: Path) -> None:
    """Write all files of the township into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance, phones = random.Random(SEED), Phones()
    grids, polygons = make_grids()
    people = make_people(grids, phones)
    stations = make_stations(polygons, phones, chance)
    teams = [{"code": f"T-{row['code']}", "name": f"{row['name']}巡查队", "grid": row["code"]} for row in grids]
    enterprises = make_enterprises(polygons, phones, chance)
    sites = make_sites(polygons, enterprises, phones, chance)
    gateways, gateway_of = make_gateways(sites)
    devices = make_devices(sites, gateway_of, polygons, chance)
    write_geojson(folder / "grids.geojson", grids)
    for name, rows in (
        ("villages", [dict(zip(("code", "name", "name_en"), village, strict=True)) for village in VILLAGES]),
        ("enterprises", enterprises),
        ("sites", sites),
        ("gateways", gateways),
        ("devices", devices),
        ("stations", stations),
        ("teams", teams),
        ("people", people),
        ("contacts", make_contacts(people, teams, stations)),
    ):
        write_csv(folder / f"{name}.csv", rows)


if __name__ == "__main__":
    make_town(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
