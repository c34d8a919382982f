"""The sheets of the town's responders, in the order of their references: stations, teams, people, contacts, duty."""

from collections.abc import Iterator

from alerts.tables import contact, duty, person, station, team
from core.clock import DAY
from devices.cells import FLAG, HOURS, LATITUDE, LONGITUDE, MOMENT, PHONE, choice, code, free_text, listing
from devices.sheets import Column, Complaint, Row, Sheet, Values
from devices.town_rows import Town

LONGEST_DUTY = DAY

_TEXT = free_text()
_OWNERS = {"person": "people", "team": "teams", "station": "stations"}
_BELONGS = {"patroller": "team", "officer": "station"}


def _owner_sheet(values: Values) -> str | None:
    return _OWNERS.get(values["owner_kind"] or "")


def _check_person(row: Row, _town: Town) -> Iterator[Complaint]:
    column = _BELONGS.get(row.values["role"] or "")
    if column and row.values[column] is None:
        yield column, f"a {row.values['role']} belongs to a {column}"


def _check_duty(row: Row, town: Town) -> Iterator[Complaint]:
    starts_at, ends_at = row.values["starts_at"], row.values["ends_at"]
    if starts_at is None or ends_at is None:
        return
    if not 0 < ends_at - starts_at <= LONGEST_DUTY:
        yield "ends_at", "a duty ends after it starts and takes 24 hours at most"
    for other in town.by("duty", "person")[row.values["person"]]:
        theirs = other.values["starts_at"], other.values["ends_at"]
        if other is not row and None not in theirs and theirs[0] < ends_at and starts_at < theirs[1]:
            where = f"row {other.number}" if other.number else "the database (prune to replace it)"
            yield "starts_at", f"overlaps {MOMENT.write(theirs[0])} to {MOMENT.write(theirs[1])} of {where}"


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
        Column("shift", choice("day", "evening", "night", "all"), empty="day"),
        Column("skills", listing(code(24)), empty=[]),
        Column("quiet_hours", HOURS),
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

DUTY = Sheet(
    "duty",
    duty,
    ("person", "starts_at"),
    (
        Column("person", code(20), required=True, refers="people"),
        Column("starts_at", MOMENT, required=True, empty=None),
        Column("ends_at", MOMENT, required=True, empty=None),
    ),
    check=_check_duty,
    span="starts_at",
)
"""The roster: on a local day for which a person has a row, it counts instead of the standing shift."""

RESPONDER_SHEETS = (STATIONS, TEAMS, PEOPLE, CONTACTS, DUTY)
