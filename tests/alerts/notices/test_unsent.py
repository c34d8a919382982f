"""What is not sent is shown with its reason, and where life is at stake somebody else hears at once."""

from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, update

from alerts.channels import Limit, Outcome
from alerts.event_tables import change
from alerts.notices import enqueue
from alerts.sender import Sender
from alerts.tables import contact, notice, ticket
from alerts.tickets import read_ticket
from alerts.unsent import expire, refuse_unknown
from alerts.words import Recipient
from core.clock import DAY, HOUR, MINUTE, ManualClock
from core.database import reading, writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import Scene
from tests.alerts.notices.notice_rows import (
    NOW,
    ScriptedChannel,
    notices,
    owner,
    put_ticket,
    put_town,
    queue,
    to_person,
    to_robot,
)

BAD_KEY = Outcome("failed", "93000", "the robot's key is wrong")


def plan(engine: Engine, key: int, *steps: tuple[str, int]) -> None:
    """The ticket's stored assignment: persons by step."""
    chosen = [{"kind": "person", "code": code, "chosen": True, "step": step} for code, step in steps]
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == key).values(assignment={"candidates": chosen}))


def states(engine: Engine) -> list[tuple[str, str, str]]:
    return [(row.recipient, row.state, row.error) for row in notices(engine)]


def changes(engine: Engine) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        return [row.what for row in connection.execute(change.select().order_by(change.c.id)) if row.kind == "notice"]


@pytest.mark.parametrize("life_safety", [True, False])
def test_a_notice_refused_to_a_group_goes_to_the_next_step_at_once(
    engine: Engine, clock: ManualClock, life_safety: bool
) -> None:
    key = queue(engine, to_robot("key-a"), to_robot("key-b", "T-02"), life_safety=life_safety)
    plan(engine, key, ("P-09", 1))
    sender = Sender(engine, [ScriptedChannel(answers=[BAD_KEY, BAD_KEY])], clock, owner())
    while sender.step(clock.now()):
        pass
    refused = "refused_for_good 93000 the robot's key is wrong"
    assert states(engine) == [("T-01", "failed", refused), ("T-02", "failed", refused), ("P-09", "queued", "")]
    assert {what["state"] for what in changes(engine)} == {"failed"}


def test_a_person_is_told_on_each_channel_in_turn_then_the_next_step(engine: Engine, clock: ManualClock) -> None:
    key = queue(engine, to_person(channel="app"))
    plan(engine, key, ("P-01", 0), ("P-09", 1))
    mine = contact.c.owner == "P-01"
    with writing(engine) as connection:
        connection.execute(delete(contact).where(mine))
        for channel in ("app", "sms", "voice"):
            row = {"owner_kind": "person", "owner": "P-01", "channel": channel, "address": f"{channel}-1"}
            connection.execute(insert(contact).values(**row))
    channels = [ScriptedChannel(name, answers=[BAD_KEY]) for name in ("app", "sms", "voice")]
    sender = Sender(engine, channels, clock, owner())
    while sender.step(clock.now()):
        pass
    told = [(row.recipient, row.channel, row.state, row.instead_of) for row in notices(engine)]
    assert told == [
        ("P-01", "app", "failed", None),
        ("P-01", "sms", "failed", 1),
        ("P-01", "voice", "failed", 2),
        ("P-09", "phone", "queued", 3),
    ]
    assert notices(engine)[1].address == "sms-1"


@pytest.mark.parametrize("accepted", [0, 1], ids=["before the news", "since"])
def test_nobody_else_is_told_of_what_somebody_has_accepted_since(
    engine: Engine, clock: ManualClock, accepted: int
) -> None:
    key = queue(engine, to_robot(), now=clock.now())
    plan(engine, key, ("P-09", 1))
    with writing(engine) as connection:
        at = {"status": "accepted", "accepted_at": clock.now() + accepted}
        connection.execute(update(ticket).where(ticket.c.id == key).values(**at))
    Sender(engine, [ScriptedChannel(answers=[BAD_KEY])], clock, owner()).step(clock.now())
    told = [row.recipient for row in notices(engine)]
    assert told == (["T-01"] if accepted else ["T-01", "P-09"])


def test_news_that_goes_out_on_the_next_channel_anyhow_is_not_told_twice(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person(channel="app"), to_person(channel="phone"))
    with writing(engine) as connection:
        row = {"owner_kind": "person", "owner": "P-02", "channel": "app", "address": "x"}
        connection.execute(insert(contact).values(**row))
    sender = Sender(engine, [ScriptedChannel("app", answers=[BAD_KEY])], clock, owner())
    assert sender.step(clock.now()) == 1
    assert [(row.channel, row.state) for row in notices(engine)] == [("app", "failed"), ("phone", "queued")]


def test_what_a_full_limit_would_hold_until_too_late_goes_another_way_at_once(
    engine: Engine, clock: ManualClock
) -> None:
    with writing(engine) as connection:
        put_town(connection)
        for number in range(3):
            row = put_ticket(connection, number, dispatched_at=clock.now())
            enqueue(connection, row, None, [to_person(channel="sms")], "dispatched", clock.now(), clock.now())
        connection.execute(insert(contact).values(owner_kind="person", owner="P-01", channel="sms", address="1"))
        connection.execute(update(contact).where(contact.c.channel == "phone", contact.c.owner == "P-01").values(id=99))
    sender = Sender(engine, [channel := ScriptedChannel("sms", limit=Limit(2, DAY))], clock, owner())
    while sender.step(clock.now()):
        pass
    assert len(channel.sent) == 2
    assert [(row.channel, row.state, row.error) for row in notices(engine)][2:] == [
        ("sms", "expired", "limit_until_too_late"),
        ("phone", "queued", ""),
    ]


def test_nobody_is_rung_for_what_is_not_urgent(engine: Engine, clock: ManualClock) -> None:
    class Voice(ScriptedChannel):
        urgent_only = True

    queue(engine, to_person(channel="voice"), life_safety=False, severity=3, hazard="noise")
    with writing(engine) as connection:
        grave = put_ticket(connection, 8, severity=4, life_safety=False)
        enqueue(connection, grave, None, [to_person(channel="voice")], "dispatched", NOW, NOW)
    sender = Sender(engine, [channel := Voice("voice")], clock, owner())
    while sender.step(clock.now()):
        pass
    assert [sent.facts.number[-1] for sent in channel.sent] == ["8"]
    assert [(row.channel, row.state, row.error) for row in notices(engine)] == [
        ("voice", "expired", "not_urgent_enough_to_ring"),
        ("voice", "accepted", ""),
        ("phone", "queued", ""),
    ]


def test_a_notice_for_a_channel_that_settings_do_not_have_fails_and_goes_on_until_one_is_known(
    engine: Engine, clock: ManualClock
) -> None:
    key = queue(engine, to_person("P-01", channel="pigeon"))
    plan(engine, key, ("P-02", 1), ("P-09", 2))
    with writing(engine) as connection:
        connection.execute(update(contact).where(contact.c.owner != "P-09").values(channel="drum"))
        assert refuse_unknown(connection, ["phone", "robot"], clock.now()) == 3
        assert refuse_unknown(connection, ["phone", "robot"], clock.now()) == 0
    found = [(row.recipient, row.channel, row.state, row.error) for row in notices(engine)]
    assert found == [
        ("P-01", "pigeon", "failed", "no_such_channel"),
        ("P-01", "drum", "failed", "no_such_channel"),
        ("P-02", "drum", "failed", "no_such_channel"),
        ("P-09", "phone", "queued", ""),
    ]
    assert changes(engine) == [{"state": "failed", "reason": "no_such_channel"}] * 3


def test_a_known_channel_is_left_alone(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person())
    with writing(engine) as connection:
        assert refuse_unknown(connection, ["phone"], clock.now()) == 0
    assert states(engine) == [("P-01", "queued", "")]


@pytest.mark.parametrize("status", ["closed", "void", "false_alarm", "merged"])
def test_of_a_ticket_that_is_over_nothing_goes_out(engine: Engine, clock: ManualClock, status: str) -> None:
    key = queue(engine, to_robot())
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == key).values(status=status))
    sender = Sender(engine, [channel := ScriptedChannel()], clock, owner())
    assert sender.step(clock.now()) == 0
    assert channel.sent == []
    assert states(engine) == [("T-01", "expired", "ticket_over")]
    assert changes(engine) == [{"state": "expired", "reason": "ticket_over"}]


@pytest.mark.parametrize("first", [Outcome("retry", "-1", "busy"), Outcome("uncertain", "ReadTimeout", "no answer")])
def test_what_a_first_try_left_open_is_not_tried_again_after_the_end(
    engine: Engine, clock: ManualClock, first: Outcome
) -> None:
    key = queue(engine, to_robot())
    sender = Sender(engine, [channel := ScriptedChannel(answers=[first])], clock, owner())
    assert sender.step(clock.now()) == 1
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == key).values(status="closed"))
    clock.advance(MINUTE)
    assert sender.step(clock.now()) == 0
    assert len(channel.sent) == 1
    assert [row.error for row in notices(engine)] == ["ticket_over"]


def test_a_nights_warning_that_recovers_by_itself_is_not_told_in_the_morning(scene: Scene) -> None:
    scene.clock.advance(13 * HOUR)  # 23:00
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    scene.detect("PLANT-1", Change.CLEARED, rule="noise")
    assert scene.tickets[0]["result"] == "self_recovered"
    scene.clock.advance(9 * HOUR)
    sender = Sender(scene.engine, [channel := ScriptedChannel("phone")], scene.clock, owner())
    assert sender.step(scene.clock.now()) == 0
    assert channel.sent == []
    assert {row["error"] for row in scene.notices} == {"ticket_over"}


def test_recovery_of_life_safety_tells_nobody_anew_and_withdraws_nothing(scene: Scene) -> None:
    scene.detect("PLANT-1")
    before = scene.notices
    scene.detect("PLANT-1", Change.CLEARED)
    assert scene.notices == before
    sender = Sender(scene.engine, [ScriptedChannel("phone")], scene.clock, owner())
    while sender.step(scene.clock.now()):
        pass
    assert {row["state"] for row in scene.notices} == {"accepted"}


def test_who_no_longer_has_the_ticket_is_not_told_of_it(scene: Scene) -> None:
    scene.clock.advance(13 * HOUR)
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    first = {row["recipient"] for row in scene.notices}
    scene.clock.advance(HOUR)
    scene.move("reassign", "DISP-1", team="T-G18")
    scene.clock.advance(8 * HOUR)
    sender = Sender(scene.engine, [channel := ScriptedChannel("phone")], scene.clock, owner())
    while sender.step(scene.clock.now()):
        pass
    assert [sent.recipient for sent in channel.sent] == ["G18-01"]
    withdrawn = {row["recipient"] for row in scene.notices if row["error"] == "dispatched_anew"}
    assert withdrawn == first


def send_all(scene: Scene) -> list[tuple[str, str]]:
    """What goes out now: to whom and why."""
    sender = Sender(scene.engine, [channel := ScriptedChannel("phone")], scene.clock, owner())
    while sender.step(scene.clock.now()):
        pass
    return [(sent.recipient, sent.facts.cause) for sent in channel.sent]


def test_who_hears_at_night_that_a_warning_rose_is_not_told_of_it_in_the_morning(scene: Scene) -> None:
    scene.clock.advance(13 * HOUR)  # 23:00
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    waiting = {row["recipient"] for row in scene.notices}
    assert send_all(scene) == []
    scene.move("accept", "G17-01")
    scene.clock.advance(MINUTE)
    scene.detect("PLANT-1", Change.UPDATED, rule="noise", severity=Severity.ALARM)
    sooner = {row["recipient"] for row in scene.notices if row["cause"] == "raised"}
    assert waiting & sooner == {"G17-01"}
    assert set(send_all(scene)) == {(code, "raised") for code in sooner}
    superseded = {row["recipient"] for row in scene.notices if row["error"] == "superseded"}
    assert superseded == {"G17-01"}
    assert {row["state"] for row in scene.notices if row["error"] == "superseded"} == {"expired"}
    told = changes(scene.engine)
    assert told.count({"state": "expired", "reason": "superseded"}) == 1
    scene.clock.advance(9 * HOUR)
    assert set(send_all(scene)) == {(code, "dispatched") for code in waiting - sooner}


@pytest.mark.parametrize(
    ("sooner", "to", "cause", "gone"),
    [
        (HOUR, to_person(), "raised", True),
        (0, to_person(), "raised", False),
        (-HOUR, to_person(), "raised", False),
        (HOUR, to_person("P-02"), "raised", False),
        (HOUR, to_person(channel="sms"), "raised", False),
        (HOUR, Recipient("team", "P-01", "phone", "P-01"), "raised", False),
    ],
    ids=["sooner", "together", "later", "other_person", "other_channel", "other_kind"],
)
def test_only_what_goes_sooner_to_the_same_one_supersedes(
    engine: Engine, clock: ManualClock, sooner: int, to: Recipient, cause: str, gone: bool
) -> None:
    due = clock.now() + 9 * HOUR
    key = queue(engine, to_person(), now=clock.now(), due_at=due, dispatched_at=clock.now())
    with writing(engine) as connection:
        row = read_ticket(connection, key)
        assert enqueue(connection, row, None, [to], cause, clock.now(), due - sooner) == 1
        expired = expire(connection, clock.now())
    first, _second = notices(engine)
    assert expired == ([first.id] if gone else [])


@pytest.mark.parametrize(
    ("cause", "since", "gone"),
    [
        ("not_accepted", {"accepted_at": 1, "status": "accepted"}, True),
        ("not_accepted", {"accepted_at": -1, "status": "accepted"}, False),
        ("not_accepted", {"status": "suspended"}, True),
        ("not_arrived", {"accepted_at": 1, "status": "accepted"}, False),
        ("not_handled", {"handled_at": 1, "status": "handled"}, True),
        ("not_replied", {"replied_at": 1}, True),
        ("not_replied", {"status": "suspended"}, False),
        ("dispatched", {"accepted_at": 1, "status": "accepted"}, False),
    ],
)
def test_what_came_in_the_quiet_hours_is_not_asked_for_at_their_end(
    engine: Engine, clock: ManualClock, cause: str, since: dict[str, Any], gone: bool
) -> None:
    due = clock.now() + 9 * HOUR
    key = queue(engine, to_person(), now=clock.now(), due_at=due, dispatched_at=clock.now())
    values = {name: value if name == "status" else clock.now() + value for name, value in since.items()}
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == key).values(**values))
        connection.execute(update(notice).values(cause=cause))
        assert bool(expire(connection, clock.now() + HOUR)) == gone
    assert [row.error for row in notices(engine)] == ["done_since" if gone else ""]


def test_another_tickets_notice_supersedes_nothing(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person(), now=clock.now(), due_at=clock.now() + 9 * HOUR, dispatched_at=clock.now())
    with writing(engine) as connection:
        other = put_ticket(connection, number=8, dispatched_at=clock.now())
        assert enqueue(connection, other, None, [to_person()], "dispatched", clock.now(), clock.now()) == 1
        assert expire(connection, clock.now()) == []
