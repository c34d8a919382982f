"""The sheets of the town's responders, in the order of their references: stations, teams, people, contacts."""

from collections.abc import Iterator

from alerts.tables import contact, person, station, team
from devices.cells import FLAG, LATITUDE, LONGITUDE, PHONE, choice, code, free_text, listing
from devices.sheets import Column, Complaint, Row, Sheet, Values
from devices.town_rows import Town

_TEXT = free_text()
_OWNERS = {"person": "people", "team": "teams", "station": "stations"}
_BELONGS = {"patroller": "team", "officer": "station"}


def _owner_sheet(values: Values) -> str | None:
    return _OWNERS.get(values["owner_kind"] or "")


def _check_person(row: Row, _town: Town) -> Iterator[Complaint]:
    column = _BELONGS.get(row.values["role"] or "")
    if column and row.values[column] is None:
        yield column, f"a {row.values['role']} belongs to a {column}"


STATIONS = Sheet(
    "stations",
    station,
    ("code",),
    (
        Column("code", code(20), required=True),
        Column("name", _TEXT, required=True),
        Column("name_en", _TEXT),
        Column("lng", LONGITUDE, required=True, empty=None),
        Column("lat", LATITUDE, required=True, empty=None),
        Column("checkpoint", FLAG, empty=False),
        Column("phone", PHONE),
        Column("service_grids", listing(code(20)), empty=[], refers="grids"),
    ),
    retirement=("retired", 1),
)

TEAMS = Sheet(
    "teams",
    team,
    ("code",),
    (
        Column("code", code(20), required=True),
        Column("name", _TEXT, required=True),
        Column("grid", code(20), required=True, refers="grids"),
    ),
    retirement=("retired", 1),
)

PEOPLE = Sheet(
    "people",
    person,
    ("code",),
    (
        Column("code", code(20), required=True),
        Column("name", _TEXT, required=True),
        Column("role", choice("patroller", "officer", "leader", "dispatcher"), required=True),
        Column("phone", PHONE),
        Column("wecom_userid", code(64)),
        Column("team", code(20), empty=None, refers="teams"),
        Column("station", code(20), empty=None, refers="stations"),
        Column("shift", choice("day", "evening", "night", "all"), required=True),
        Column("skills", listing(code(24)), empty=[]),
    ),
    retirement=("retired", 1),
    check=_check_person,
)

CONTACTS = Sheet(
    "contacts",
    contact,
    ("owner_kind", "owner", "channel"),
    (
        Column("owner_kind", choice(*_OWNERS), required=True),
        Column("owner", code(20), required=True, refers=_owner_sheet),
        Column("channel", code(20), required=True),
        Column("address", _TEXT, required=True),
    ),
)

RESPONDER_SHEETS = (STATIONS, TEAMS, PEOPLE, CONTACTS)
