"""Merging, supervision, and acceptance by team and station both."""

from typing import Any

import pytest
from sqlalchemy import insert, update

from alerts import tables
from alerts.case_tables import photo, ticket_acceptance
from alerts.categories import Category, ensure_categories, put_category
from alerts.manual_tickets import Report, report
from alerts.moves import MoveRefused
from core.clock import HOUR, MINUTE
from core.database import writing
from detectors.words import Severity
from tests.alerts.desk_scene import Scene


def refused(scene: Scene, action: str, who: str, **more: Any) -> MoveRefused:
    with pytest.raises(MoveRefused) as caught:
        scene.move(action, who, **more)
    return caught.value


@pytest.fixture
def two(scene: Scene) -> Scene:
    """Ticket 1 about noise at PLANT, ticket 2 about flooding at FAR."""
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    scene.detect("FAR-1", rule="flood", severity=Severity.WARNING)
    return scene


def with_photo(scene: Scene, ticket: int, sha256: str) -> None:
    row = {"ticket": ticket, "stage": "accepted", "who": "G17-01", "received_at": 1, "note": "", "content": b"x"}
    with writing(scene.engine) as connection:
        connection.execute(insert(photo).values(**row, media_type="image/png", sha256=sha256))


def test_a_merged_ticket_goes_on_in_the_other(two: Scene) -> None:
    two.move("accept", "G17-01")
    for ticket, digest in ((1, "a"), (1, "b"), (2, "b")):
        with_photo(two, ticket, digest)
    assert two.move("merge", "DISP-1", into=2).status == "merged"
    merged, target = two.tickets
    assert (merged["merged_into"], merged["result"]) == (2, "merged")
    assert merged["closed_at"] is not None
    assert {alert["ticket"] for alert in two.alerts} == {2}
    assert [(row["ticket"], row["sha256"]) for row in two.rows(photo)] == [(2, "a"), (1, "b"), (2, "b")]
    assert target["status"] == "dispatched"
    assert two.log.count("merge") == two.log.count("merged_in") == 1
    told = [(each["recipient"], each["ticket"]) for each in two.notices if each["cause"] == "merged"]
    assert told == [("G17-01", 2)]
    assert two.move("merge", "DISP-1", into=2).status == "merged", "a double tap"


def test_the_target_becomes_as_grave_as_what_it_takes_in(two: Scene) -> None:
    two.detect("PLANT-2", rule="noise", severity=Severity.CRITICAL)
    two.move("merge", "DISP-1", into=2)
    target = two.tickets[1]
    assert target["severity"] == Severity.CRITICAL
    assert target["done_by"] == two.clock.now() + 2 * HOUR
    assert [each["cause"] for each in two.notices if each["ticket"] == 2][-1] == "joined"


def test_a_handled_target_goes_back_to_work_for_an_open_alert(two: Scene) -> None:
    for action in ("accept", "arrive", "handle"):
        two.move(action, "DISP-1", 2)
    two.move("merge", "DISP-1", into=2)
    assert two.tickets[1]["status"] == "accepted"
    assert two.tickets[1]["handled_at"] is None


def test_a_supervision_that_nobody_answered_is_owed_by_the_target(two: Scene) -> None:
    two.move("supervise", "LEAD-1", opinion="what is going on there?")
    two.move("merge", "DISP-1", into=2)
    target = two.tickets[1]
    assert (target["priority"], target["supervised_by"]) == (1, "LEAD-1")


@pytest.mark.parametrize(
    ("into", "reason"), [(1, "merge_into_itself"), (99, "unknown_ticket"), (None, "needs_into"), (3, "target_ended")]
)
def test_where_nothing_can_be_merged_into(two: Scene, into: int | None, reason: str) -> None:
    two.detect("ROAD-1", rule="noise", severity=Severity.WARNING)
    two.move("void", "DISP-1", 3, opinion="a test")
    assert refused(two, "merge", "DISP-1", into=into).reason == reason
    assert refused(two, "merge", "LEAD-1", into=2).reason == "not_allowed"


def test_life_safety_is_no_part_of_a_storm(two: Scene) -> None:
    two.detect("ROAD-1", severity=Severity.CRITICAL)
    with writing(two.engine) as connection:
        connection.execute(update(tables.ticket).where(tables.ticket.c.id == 2).values(storm=1))
    assert refused(two, "merge", "DISP-1", ticket=3, into=2).reason == "life_safety_stays_apart"
    assert two.move("merge", "DISP-1", ticket=3, into=1).status == "merged"
    assert two.tickets[0]["life_safety"]


@pytest.mark.parametrize(("column", "reason"), [("storm", "storm_takes_in"), ("drill", "drill_stays_apart")])
def test_an_incident_and_a_drill_are_not_merged(two: Scene, column: str, reason: str) -> None:
    with writing(two.engine) as connection:
        connection.execute(update(tables.ticket).where(tables.ticket.c.id == 1).values({column: 1}))
    assert refused(two, "merge", "DISP-1", into=2).reason == reason


def test_a_supervised_ticket_goes_first_and_wants_an_answer(two: Scene) -> None:
    two.move("accept", "G17-01")
    assert refused(two, "reply", "G17-01", opinion="soon").reason == "nothing_asked"
    assert refused(two, "supervise", "G17-01", opinion="?").reason == "not_allowed"
    assert two.move("supervise", "LEAD-1", opinion="what is going on there?").status == "accepted"
    ticket = two.tickets[0]
    assert (ticket["priority"], ticket["supervised_by"], ticket["replied_at"]) == (1, "LEAD-1", None)
    assert ticket["reply_by"] == two.clock.now() + 4 * HOUR
    assert "G17-01" in [each["recipient"] for each in two.notices if each["cause"] == "supervised"]
    two.clock.advance(MINUTE)
    two.move("reply", "G17-01", opinion="the pump is being changed")
    ticket = two.tickets[0]
    assert (ticket["replied_at"], ticket["priority"]) == (two.clock.now(), 1)
    assert [each["recipient"] for each in two.notices if each["cause"] == "replied"] == ["LEAD-1"]


def test_a_supervision_may_say_by_when_but_not_in_the_past(two: Scene) -> None:
    now = two.clock.now()
    assert refused(two, "supervise", "LEAD-1", opinion="?", until=now).reason == "reply_in_the_past"
    two.move("supervise", "LEAD-1", opinion="?", until=now + HOUR)
    two.move("supervise", "LEAD-1", opinion="?", until=now + HOUR)
    assert two.log.count("supervise") == 1, "a double tap"
    assert two.tickets[0]["reply_by"] == now + HOUR
    two.clock.advance(2 * MINUTE)
    two.move("reply", "DISP-1", opinion="soon")
    two.move("supervise", "LEAD-1", opinion="when?")
    assert two.tickets[0]["replied_at"] is None, "asked again"


@pytest.fixture
def both(scene: Scene) -> Scene:
    """A dispatched ticket of a category whose tickets team and station must both accept."""
    with writing(scene.engine) as connection:
        ensure_categories(connection)
        put_category(connection, Category("应急指挥", "Emergency command", "both", 8), "root", 1)
        said = Report("河堤渗水", "应急指挥", Severity.ALARM, site="PLANT")
        report(connection, scene.town, said, scene.clock.now(), "patrol", "G17-01")
    for action in ("verify", "register", "dispatch"):
        scene.move(action, "DISP-1")
    (ticket,) = scene.tickets
    assert (ticket["acceptance"], ticket["team"], ticket["station"]) == ("both", "T-G17", "ST1")
    return scene


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [("G17-01", "ST1-01", "waits_for_the_station"), ("ST1-01", "G17-01", "waits_for_the_team")],
)
def test_both_must_accept(both: Scene, first: str, second: str, waits: str) -> None:
    assert both.move("accept", first).status == "dispatched"
    assert both.tickets[0]["accepted_by"] is None
    assert both.rows(tables.ticket_log)[-1]["reason"] == waits
    before = both.log
    assert both.move("accept", first).status == "dispatched"
    assert both.log == before, "a double tap"
    assert refused(both, "arrive", first).reason == "not_from_here"
    assert both.move("accept", second).status == "accepted"
    assert both.tickets[0]["accepted_by"] == "G17-01", "it is the team's"
    assert [row["party_kind"] for row in both.rows(ticket_acceptance)] == (
        ["team", "station"] if first == "G17-01" else ["station", "team"]
    )


def test_a_second_of_the_same_party_hears_who_was_first(both: Scene) -> None:
    both.move("accept", "G17-01")
    late = refused(both, "accept", "G17-02")
    assert (late.reason, late.text) == ("already_accepted", "G17-01 已接单")


def test_the_desk_settles_it(both: Scene) -> None:
    both.move("accept", "G17-01")
    assert both.move("accept", "DISP-1").status == "accepted"
    assert both.tickets[0]["accepted_by"] == "G17-01"


def test_the_only_party_is_enough_and_a_new_dispatch_asks_anew(both: Scene) -> None:
    both.move("accept", "G17-01")
    both.clock.advance(MINUTE)
    both.move("reassign", "DISP-1", station="ST2")
    assert both.move("accept", "ST2-01").status == "accepted"
    assert both.tickets[0]["accepted_by"] == "ST2-01"


def reported(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        ensure_categories(connection)
        said = Report("仍有积水", "安全生产", site="FAR")
        report(connection, scene.town, said, scene.clock.now(), "patrol", "G18-01")


def test_a_report_made_after_the_handling_sends_the_ticket_back(scene: Scene) -> None:
    scene.detect("FAR-1", rule="flood", severity=Severity.WARNING)
    scene.handle(who="G18-01")
    scene.clock.advance(HOUR)
    reported(scene)
    scene.move("merge", "DISP-1", ticket=2, into=1)
    target = scene.tickets[0]
    assert (target["status"], target["handled_at"], target["on_scene_at"]) == ("accepted", None, None)
    (row,) = (each for each in scene.rows(tables.ticket_log) if each["action"] == "send_back")
    assert (row["reason"], row["details"]) == ("reported_after_handling", {"merged": 2})
    assert "G18-01" in {each["recipient"] for each in scene.notices if each["cause"] == "reported_again"}


def test_a_report_made_before_the_handling_is_what_was_handled(scene: Scene) -> None:
    scene.detect("FAR-1", rule="flood", severity=Severity.WARNING)
    reported(scene)
    scene.clock.advance(MINUTE)
    scene.handle(who="G18-01")
    scene.move("merge", "DISP-1", ticket=2, into=1)
    assert scene.tickets[0]["status"] == "handled"
    assert "send_back" not in scene.log
