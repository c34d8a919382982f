"""The sheets of the town itself, in the order of their references."""

from collections.abc import Iterator

from devices.cells import (
    ATTRIBUTES,
    CREDIT_CODE,
    LATITUDE,
    LONGITUDE,
    MOMENT,
    PHONE,
    choice,
    code,
    digits,
    free_text,
    listing,
    whole,
)
from devices.enrolment import STATES
from devices.geometry import distance_m
from devices.sheets import POLYGON, Column, Complaint, Row, Sheet, Values
from devices.tables import device, enterprise, gateway, grid, site, village
from devices.town_rows import Town

FARTHEST_M = 100_000
"""A position farther than this from the middle of the town is a mistake."""

_TEXT = free_text()
_ATTRIBUTES = Column("attributes", ATTRIBUTES, empty={})


def _locate(row: Row, town: Town) -> Iterator[Complaint]:
    """Set the grid by containment; a grid that the file gives must be that one."""
    lng, lat = row.values["lng"], row.values["lat"]
    if lng is None or lat is None:
        return
    found, given = town.grids.containing(lng, lat), row.values["grid"]
    if "grid" in row.given and given != found:
        yield "grid", f"the position lies in {found or 'no grid'}, not in {given}"
    if found is None and town.grids.centre is not None:
        away = distance_m(lng, lat, *town.grids.centre)
        if away > FARTHEST_M:
            yield "lng", f"the position {lng}, {lat} is {away / 1000:.0f} km from the town"
    row.values["grid"] = found


def _check_site(row: Row, town: Town) -> Iterator[Complaint]:
    yield from _locate(row, town)
    kind = row.values["kind"]
    if kind and (kind == "enterprise") != (row.values["enterprise"] is not None):
        yield "enterprise", "a site of kind enterprise names its enterprise, any other names none"


def _check_device(row: Row, town: Town) -> Iterator[Complaint]:
    kind, state = row.values["type"], row.values["state"]
    if kind and kind not in town.types:
        yield "type", f"unknown type {kind!r}; known are {', '.join(sorted(town.types))}"
    if row.before is not None and row.before["type"] != kind:
        yield "type", f"is {row.before['type']} since its enrolment; enrol a device of type {kind} under a new code"
    if (state == "maintenance") != (row.values["state_until"] is not None):
        yield "state_until", "a maintenance needs an end, the other states have none"
    pace = row.values["attributes"].get("interval_s", 1)
    if isinstance(pace, bool) or not isinstance(pace, int | float) or not 0 < pace <= 366 * 86_400:
        yield "attributes", "interval_s must be a number of seconds above 0"


def _gateway_in_service(row: Row, now: int) -> Values:
    return {"in_service_at": now} if row.before is None else {}


def _device_in_service(row: Row, now: int) -> Values:
    before = row.before["state"] if row.before else None
    if row.values["state"] == "in_service" and before != "in_service":
        return {"in_service_at": now}
    return {"in_service_at": 0} if row.before is None else {}


VILLAGES = Sheet(
    "villages",
    village,
    ("code",),
    (Column("code", code(20), required=True), Column("name", _TEXT, required=True), Column("name_en", _TEXT)),
)

GRIDS = Sheet(
    "grids",
    grid,
    ("code",),
    (
        Column("code", code(20), required=True),
        Column("village", code(20), required=True, refers="villages"),
        Column("name", _TEXT, required=True),
        Column("name_en", _TEXT),
        Column("polygon", POLYGON, required=True),
    ),
    retirement=("retired", 1),
    geojson=True,
)

ENTERPRISES = Sheet(
    "enterprises",
    enterprise,
    ("code",),
    (
        Column("code", CREDIT_CODE, required=True),
        Column("name", _TEXT, required=True),
        Column("hazards", listing(code(24)), empty=[]),
        Column("responsible", _TEXT),
        Column("phone", PHONE),
        Column("address", _TEXT),
        Column("lng", LONGITUDE, empty=None),
        Column("lat", LATITUDE, empty=None),
        Column("grid", code(20), empty=None, refers="grids"),
    ),
    retirement=("retired", 1),
    check=_locate,
)

SITES = Sheet(
    "sites",
    site,
    ("code",),
    (
        Column("code", code(40), required=True),
        Column("kind", choice("site", "enterprise", "road"), required=True),
        Column("name", _TEXT, required=True),
        Column("name_en", _TEXT),
        Column("lng", LONGITUDE, required=True, empty=None),
        Column("lat", LATITUDE, required=True, empty=None),
        Column("grid", code(20), empty=None, refers="grids"),
        Column("importance", whole(1, 5), empty=3),
        Column("contact", _TEXT),
        Column("phone", PHONE),
        Column("address", _TEXT),
        Column("enterprise", CREDIT_CODE, empty=None, refers="enterprises"),
        _ATTRIBUTES,
    ),
    retirement=("retired", 1),
    check=_check_site,
)

GATEWAYS = Sheet(
    "gateways",
    gateway,
    ("code",),
    (
        Column("code", code(40), required=True),
        Column("name", _TEXT),
        Column("site", code(40), empty=None, refers="sites"),
        Column("format", code(32), empty="v1"),
        _ATTRIBUTES,
    ),
    retirement=("retired", 1),
    complete=_gateway_in_service,
)
"""Without passwords: a new gateway may not connect until one is issued."""

DEVICES = Sheet(
    "devices",
    device,
    ("code",),
    (
        Column("code", code(64), required=True),
        Column("name", _TEXT),
        Column("type", code(40), required=True),
        Column("gateway", code(40), required=True, refers="gateways"),
        Column("site", code(40), required=True, refers="sites"),
        Column("lng", LONGITUDE, empty=None),
        Column("lat", LATITUDE, empty=None),
        Column("component_code", digits(16)),
        Column("serial", free_text(64)),
        Column("state", choice(*STATES), empty="commissioning"),
        Column("state_until", MOMENT, empty=None),
        _ATTRIBUTES,
    ),
    retirement=("state", "retired"),
    check=_check_device,
    complete=_device_in_service,
)

TOWN_SHEETS = (VILLAGES, GRIDS, ENTERPRISES, SITES, GATEWAYS, DEVICES)
