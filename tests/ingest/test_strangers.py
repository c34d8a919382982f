"""A device that nobody enrolled is known from its letters, enrolled under its own or another name, and replayed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select

from core.clock import SECOND, ManualClock
from core.database import writing
from core.journal import Offset
from devices import tables
from devices.device_types import load_device_types
from devices.enrolment import NewDevice, enrol
from devices.registry import load_registry
from ingest.admission import admitted_devices
from ingest.dead_letters import keep, list_dead_letters
from ingest.formats.items import Measured
from ingest.formats.v1 import telemetry
from ingest.gate import Gate
from ingest.strangers import (
    Fit,
    Stranger,
    StrangerRefused,
    enrol_stranger,
    fitting,
    letters_of,
    measured,
    stranger_of,
)
from ingest.tables import dead_letter
from ingest.words import Message, Reject

NOW = ManualClock().now()
TYPES = load_device_types()
ODD = Stranger("GW-1", "a81758fffe%5_")
OTHER = Stranger("GW-1", "a81758fffeX5Y")


def letter(stranger: Stranger, values: dict[str, float | bool], at: int, ending: str = "") -> Reject:
    payload = telemetry([Measured(stranger.name, values, at)])
    detail = f"device {stranger.name} is not registered{ending}"
    return Reject("sw/v1/GW-1/telemetry", payload, NOW + at, stranger.gateway, "unknown_device", detail, len(values))


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A town of one gateway and one site; letters of two devices whose names look alike to LIKE."""
    rejects = [
        letter(ODD, {"gas_lel": 3.0}, 1),
        letter(OTHER, {"depth_cm": 3.0}, 2),
        letter(ODD, {"battery": 90.0}, 3, " (from application/1/device/x/event/up)"),
        Reject("t", b"\xff", NOW, "GW-1", "unknown_device", f"device {ODD.name} is not registered"),
        Reject("t", b"{}", NOW, "GW-1", "not_decodable", f"device {ODD.name} is not registered"),
    ]
    with writing(engine) as connection:
        village = {"code": "V1", "name": "示例村"}
        connection.execute(insert(tables.village), [village])
        connection.execute(insert(tables.site), [{"code": "S1", "kind": "site", "name": "甲", "lng": 120, "lat": 31}])
        connection.execute(insert(tables.gateway), [{"code": "GW-1"}])
        enrol(connection, TYPES, [NewDevice("GAS-1", "gas", "GW-1", "S1")])
        keep(connection, [(Offset(0, n), each) for n, each in enumerate(rejects, 1)], Offset(0, 9))
        yield connection


def new(**changes: Any) -> NewDevice:
    return replace(NewDevice("GAS-7", "gas", "GW-1", "S1", state="in_service"), **changes)


def test_a_letter_tells_whom_it_is_about(connection: Connection) -> None:
    found = [stranger_of(each) for each in reversed(list_dead_letters(connection))]
    assert found == [ODD, OTHER, ODD, ODD, None]
    assert letters_of(connection, ODD) == 3
    assert letters_of(connection, OTHER) == 1
    assert measured(connection, ODD) == ["battery", "gas_lel"]
    assert measured(connection, OTHER) == ["depth_cm"]


def test_types_that_know_what_it_measures_come_first() -> None:
    assert fitting(TYPES, ["gas_lel", "battery"])[0] == Fit("gas", 2, 2)
    assert fitting(TYPES, ["depth_cm"])[0].type == "water_depth"
    assert fitting(TYPES, ["no_such_thing"]) == []


def test_under_another_code_it_keeps_its_name_as_alias_and_its_letters_come_again(
    engine: Engine, connection: Connection
) -> None:
    before = connection.scalar(select(tables.registry.c.version))
    version, asked = enrol_stranger(connection, TYPES, ODD, new(), NOW + SECOND)
    assert version > (before or 0)
    assert asked == 3
    row = connection.execute(select(tables.device).where(tables.device.c.code == "GAS-7")).one()
    assert (row.attributes, row.in_service_at, row.state) == ({"alias": ODD.name}, NOW + SECOND, "in_service")
    waiting = select(dead_letter.c.detail).where(dead_letter.c.replay_asked_at.is_not(None))
    assert all(ODD.name in detail for detail in connection.execute(waiting).scalars())


def test_the_gate_then_knows_it_by_that_name(engine: Engine, connection: Connection) -> None:
    enrol_stranger(connection, TYPES, ODD, new(), NOW, replay=False)
    connection.commit()
    admitted = admitted_devices(load_registry(engine, TYPES))["GW-1"]
    assert admitted.code(ODD.name) == "GAS-7"
    assert "gas_lel" in admitted.series[ODD.name]


def test_its_letters_are_heard_when_they_come_again(engine: Engine, connection: Connection) -> None:
    first = list_dead_letters(connection)[-1]
    enrol_stranger(connection, TYPES, ODD, new(), NOW)
    connection.commit()
    registry = load_registry(engine, TYPES)
    again = Message(first.topic, first.payload, NOW + 90 * SECOND, replayed_from=first.received_at)
    judged = Gate(registry).judge([again])
    assert judged.rejects == []
    assert judged.block.series.tolist() == [registry.series_of["GAS-7"]["gas_lel"]]


def test_under_its_own_name_it_needs_no_alias(connection: Connection) -> None:
    _, asked = enrol_stranger(
        connection, TYPES, OTHER, new(code=OTHER.name, type="water_depth", state="commissioning"), NOW
    )
    row = connection.execute(select(tables.device).where(tables.device.c.code == OTHER.name)).one()
    assert (row.attributes, row.in_service_at, asked) == ({}, 0, 1)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"code": ""}, "code"),
        ({"code": "no spaces"}, "code"),
        ({"code": "GAS-1"}, "taken"),
        ({"type": "volcano"}, "type"),
        ({"site": "S9"}, "site"),
        ({"gateway": "GW-2"}, "gateway"),
        ({"state": "asleep"}, "refused"),
    ],
)
def test_what_can_not_be_is_refused_by_name(connection: Connection, changes: dict[str, str], what: str) -> None:
    with pytest.raises(StrangerRefused) as refused:
        enrol_stranger(connection, TYPES, ODD, new(**changes), NOW)
    assert refused.value.what == what
    assert str(refused.value)
