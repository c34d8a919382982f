"""What stands around a ticket, on both databases."""

from typing import Any

from sqlalchemy import Engine, insert, update

from alerts.moves import move
from alerts.quiet_tables import storm
from alerts.tables import ticket
from alerts.tickets import read_ticket
from console.case import Case, case_of
from core.clock import DAY, ManualClock
from core.database import reading, writing
from detectors.words import Severity
from tests.console.console_scene import Town


def scene(engine: Engine, clock: ManualClock) -> Town:
    """Two warnings of one kind in one grid, and a third elsewhere."""
    town = Town(engine, clock)
    for device in ("WTR-0001", "WTR-0002", "WTR-0003"):
        town.alert(device, "flood.road", Severity.WARNING, 8.0, 5.0)
    return town


def do(town: Town, number: int, action: str, **more: Any) -> None:
    with writing(town.engine) as connection:
        move(connection, town.view, number, action, "disp", town.clock.now(), role="dispatcher", **more)


def case(town: Town, number: int) -> Case:
    with reading(town.engine) as connection:
        return case_of(connection, read_ticket(connection, number))


def test_a_merged_ticket_and_its_target_name_each_other(engine: Engine, clock: ManualClock) -> None:
    town = scene(engine, clock)
    do(town, 1, "merge", into=2)
    assert [(each["id"], each["as_what"]) for each in case(town, 1).related] == [(2, "merged_into")]
    assert [(each["id"], each["as_what"]) for each in case(town, 2).related] == [(1, "merged_in")]
    assert case(town, 1).mergeable == []


def test_a_ticket_that_follows_another_is_named_by_both(engine: Engine, clock: ManualClock) -> None:
    town = scene(engine, clock)
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == 3).values(linked_to=1, site="S01"))
    assert [(each["id"], each["as_what"]) for each in case(town, 1).related] == [(3, "followed_by")]
    assert [(each["id"], each["as_what"]) for each in case(town, 3).related] == [(1, "follows")]


def test_what_may_be_the_same_matter_is_offered_to_merge_into(engine: Engine, clock: ManualClock) -> None:
    town = scene(engine, clock)
    assert case(town, 1).mergeable == []
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == 2).values(grid="G01"))
        connection.execute(update(ticket).where(ticket.c.id == 3).values(site="S01", hazard="gas"))
    assert [each["id"] for each in case(town, 1).mergeable] == [3, 2]
    do(town, 2, "void", opinion="重复")
    assert [each["id"] for each in case(town, 1).mergeable] == [3]


def test_requests_wait_until_they_are_answered(engine: Engine, clock: ManualClock) -> None:
    town = scene(engine, clock)
    do(town, 1, "accept")
    do(town, 1, "ask_suspension", opinion="等待配件", until=clock.now() + DAY)
    assert set(case(town, 1).waiting) == {"suspension"}
    do(town, 1, "suspend", opinion="同意")
    found = case(town, 1)
    assert found.waiting == {}
    assert [each["state"] for each in found.requests] == ["granted"]
    assert found.escalation is not None
    assert found.escalation["why"] == "suspended"
    assert {each["state"] for each in found.timers if each["ended_at"] is None} == {"paused"}


def test_a_storms_incident_knows_its_storm(engine: Engine, clock: ManualClock) -> None:
    town = scene(engine, clock)
    row = {"hazard": "flood", "began_at": 5, "last_at": 6, "ticket": 1, "sites": 12, "alerts": 14, "why": {}}
    with writing(engine) as connection:
        connection.execute(insert(storm).values(id=7, **row))
        connection.execute(update(ticket).where(ticket.c.id == 1).values(storm=7))
    found = case(town, 1).storm
    assert found is not None
    assert (found["sites"], found["alerts"]) == (12, 14)
    assert case(town, 2).storm is None
