"""One sender and scripted channels: order, retries, limits, expiry, and what is recorded."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError

from alerts.channels import Channel, Limit, Outcome
from alerts.channels.phone_page import PhonePage
from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot
from alerts.event_tables import change
from alerts.links import resolve
from alerts.notices import acknowledge, enqueue
from alerts.sender import Sender
from alerts.tables import phone_message
from core.clock import HOUR, MINUTE, SECOND, ManualClock
from core.database import reading, writing
from tests.alerts.notices.notice_rows import (
    NOW,
    Rule,
    ScriptedChannel,
    deliveries,
    notices,
    owner,
    put_alert,
    put_ticket,
    put_town,
    queue,
    to_person,
    to_robot,
)
from tests.fakes.wecom_robot import WecomRobot as FakeRobot


def _sender(engine: Engine, clock: ManualClock, *channels: Channel) -> Sender:
    return Sender(engine, channels, clock, owner())


def _send_all(sender: Sender, clock: ManualClock) -> int:
    made = 0
    while sender.step(clock.now()):
        made += 1
    return made


@pytest.fixture
def robot(clock: ManualClock) -> Iterator[FakeRobot]:
    with FakeRobot(seconds=lambda: clock.now() / SECOND) as server:
        yield server


def test_an_accepted_notice_is_recorded_with_its_delivery(engine: Engine, clock: ManualClock) -> None:
    channel = ScriptedChannel(answers=[Outcome("accepted", "0", provider_id="m-1")])
    channel.during = lambda: assert_claimed_before_the_request(engine)
    queue(engine, to_robot())
    assert _send_all(_sender(engine, clock, channel), clock) == 1
    (row,), (tried,) = notices(engine), deliveries(engine)
    assert (row.state, row.attempts, row.provider_id, row.claimed_by) == ("accepted", 1, "m-1", None)
    assert (row.requested_at, row.accepted_at) == (clock.now(), clock.now())
    assert (tried.outcome, tried.code, tried.channel, tried.address) == ("accepted", "0", "robot", "key-a")


def assert_claimed_before_the_request(engine: Engine) -> None:
    (row,), (tried,) = notices(engine), deliveries(engine)
    assert (row.state, row.attempt, row.claimed_by) == ("sending", tried.id, str(owner()))
    assert (tried.outcome, tried.finished_at) == ("sending", None)


def test_life_safety_goes_first_then_severity_then_the_longest_due(engine: Engine, clock: ManualClock) -> None:
    kinds = [(False, 2, 0), (False, 3, 0), (True, 3, 0), (False, 4, 0), (True, 4, -1), (True, 4, -2)]
    with writing(engine) as connection:
        put_town(connection)
        for number, (life_safety, severity, due) in enumerate(kinds):
            ticket = put_ticket(connection, number, life_safety=life_safety, severity=severity)
            enqueue(connection, ticket, None, [to_robot()], "dispatched", NOW, NOW + due * SECOND)
    channel = ScriptedChannel()
    _send_all(_sender(engine, clock, channel), clock)
    assert [sent.facts.number[-1] for sent in channel.sent] == ["5", "4", "2", "3", "1", "0"]


def test_a_retry_comes_later_and_then_succeeds(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    sender = _sender(engine, clock, channel := ScriptedChannel(answers=[Outcome("retry", "-1", "busy")]))
    assert _send_all(sender, clock) == 1
    assert (notices(engine)[0].state, notices(engine)[0].error) == ("queued", "try_again -1 busy")
    clock.advance(2 * SECOND)
    assert _send_all(sender, clock) == 1
    assert notices(engine)[0].state == "accepted"
    assert [tried.outcome for tried in deliveries(engine)] == ["retry", "accepted"]
    assert len(channel.sent) == 2


def test_a_refusal_is_shown_with_its_code_and_not_repeated(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    sender = _sender(engine, clock, ScriptedChannel(answers=[Outcome("failed", "40058", "bad parameter")]))
    assert _send_all(sender, clock) == 1
    (row,) = notices(engine)
    assert (row.state, row.error, row.accepted_at) == ("failed", "refused_for_good 40058 bad parameter", None)


def test_a_200_with_an_error_in_its_body_is_never_recorded_as_sent(
    engine: Engine, clock: ManualClock, robot: FakeRobot
) -> None:
    robot.keys = frozenset({"other"})
    queue(engine, to_robot())
    with open_client() as client:
        _send_all(_sender(engine, clock, WecomRobot("robot", client, "http://c", robot.url)), clock)
    (row,), (tried,) = notices(engine), deliveries(engine)
    assert (row.state, tried.outcome, tried.code) == ("failed", "failed", "93000")
    assert robot.messages == []


def test_after_downtime_what_is_too_late_is_shown_and_not_sent(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot(), severity=3)
    clock.advance(16 * MINUTE)
    assert _send_all(_sender(engine, clock, channel := ScriptedChannel()), clock) == 0
    assert (notices(engine)[0].state, notices(engine)[0].error) == ("expired", "not_sent_in_time")
    assert channel.sent == []


def test_a_retry_that_would_come_too_late_expires(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot(), severity=3)
    waiting = Outcome("retry", "503", retry_after=20 * MINUTE)
    _send_all(_sender(engine, clock, ScriptedChannel(answers=[waiting])), clock)
    assert notices(engine)[0].state == "expired"


def test_what_is_due_in_the_morning_waits(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot(), due_at=NOW + 10 * HOUR, severity=2)
    sender = _sender(engine, clock, ScriptedChannel())
    assert _send_all(sender, clock) == 0
    clock.advance(10 * HOUR)
    assert _send_all(sender, clock) == 1


def _queue_tickets(engine: Engine, *addresses: str) -> None:
    with writing(engine) as connection:
        put_town(connection)
        for number, key in enumerate(addresses):
            ticket = put_ticket(connection, number)
            enqueue(
                connection,
                ticket,
                put_alert(connection, ticket, subject_id=f"G{number}"),
                [to_robot(key)],
                "x",
                NOW,
                NOW,
            )


def test_the_robots_limit_holds_over_restarts_and_holds_up_no_other_address(
    engine: Engine, clock: ManualClock, robot: FakeRobot
) -> None:
    _queue_tickets(engine, *["key-a"] * 45, "key-b")
    sent: list[int] = []
    with open_client() as client:
        channel = WecomRobot("robot", client, "http://c", robot.url)
        channel.most_in_one = 1
        for seconds in range(150):
            restarted = _sender(engine, clock, channel)
            sent += [seconds] * _send_all(restarted, clock)
            clock.advance(SECOND)
    assert {seconds: sent.count(seconds) for seconds in set(sent)} == {0: 21, 60: 20, 120: 5}
    assert [tried.code for tried in deliveries(engine)] == ["0"] * 46
    assert [row.state for row in notices(engine)] == ["accepted"] * 46
    assert len(robot.messages) == 46


def test_when_a_robots_limit_is_short_one_message_lists_several(
    engine: Engine, clock: ManualClock, robot: FakeRobot
) -> None:
    _queue_tickets(engine, *["key-a"] * 45)
    with open_client() as client:
        sender = _sender(engine, clock, WecomRobot("robot", client, "http://c", robot.url))
        for _ in range(10):
            _send_all(sender, clock)
            clock.advance(SECOND)
    assert [row.state for row in notices(engine)] == ["accepted"] * 45
    assert {tried.code for tried in deliveries(engine)} == {"0"}
    assert sum(tried.notices for tried in deliveries(engine)) == 45
    assert len(robot.messages) <= 20
    for row in notices(engine):
        (named,) = [message for message in robot.messages if re.search(rf"通知 {row.id}\b", message["content"])]
        assert row.body["number"] in named["content"]


def test_over_the_rate_the_whole_address_waits_a_minute_and_others_do_not(
    engine: Engine, clock: ManualClock, robot: FakeRobot
) -> None:
    _queue_tickets(engine, "key-a", "key-a", "key-b")
    robot.limit = 1  # somebody else uses the robot too
    with open_client() as client:
        sender = _sender(engine, clock, WecomRobot("robot", client, "http://c", robot.url))
        assert _send_all(sender, clock) == 3
        assert [tried.code for tried in deliveries(engine)] == ["0", "45009", "0"]
        robot.limit = 20
        clock.advance(MINUTE - 1)
        assert _send_all(sender, clock) == 0
        clock.advance(1)
        assert _send_all(sender, clock) == 1
    assert [row.state for row in notices(engine)] == ["accepted"] * 3


def test_a_held_address_waits_with_its_new_notices_too(engine: Engine, clock: ManualClock) -> None:
    held = Outcome("retry", "503", retry_after=30 * SECOND, holds_address=True)
    channel = ScriptedChannel(answers=[held])
    _queue_tickets(engine, "key-a", "key-a")
    sender = _sender(engine, clock, channel)
    assert _send_all(sender, clock) == 1
    clock.advance(30 * SECOND)
    assert _send_all(sender, clock) == 2


def test_a_request_under_way_counts_against_the_limit(engine: Engine, clock: ManualClock) -> None:
    _queue_tickets(engine, "key-a", "key-a")
    channel = ScriptedChannel(limit=Limit(1, MINUTE))
    other = Sender(engine, [channel], clock, owner(thread="second"))
    made: list[int] = []
    channel.during = lambda: made.append(other.step(clock.now()))
    _sender(engine, clock, channel).step(clock.now())
    assert made == [0]


def test_a_phone_message_carries_a_link_that_resolves(engine: Engine, clock: ManualClock) -> None:
    ticket = queue(engine, to_person())
    _send_all(_sender(engine, clock, PhonePage("phone", engine, "http://c")), clock)
    with reading(engine) as connection:
        (message,) = connection.execute(select(phone_message))
        assert resolve(connection, message.link.removeprefix("http://c/t/"), clock.now()) == ("P-01", ticket)
    assert (message.person, message.notice) == ("P-01", notices(engine)[0].id)


def test_a_channel_to_many_gets_no_personal_link(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person(channel="robot"))
    _send_all(_sender(engine, clock, channel := ScriptedChannel()), clock)
    assert channel.sent[0].link == ""


def test_pages_hear_of_every_state(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    _send_all(_sender(engine, clock, ScriptedChannel(answers=[Outcome("retry")])), clock)
    with reading(engine) as connection:
        (heard,) = connection.execute(select(change))
    assert (heard.kind, heard.id_of, heard.what["state"]) == ("notice", notices(engine)[0].id, "queued")


def test_reading_while_it_is_sent_stays_acknowledged(engine: Engine, clock: ManualClock) -> None:
    ticket = queue(engine, to_person(channel="robot"))

    def act() -> None:
        with writing(engine) as connection:
            acknowledge(connection, ticket, "P-01", clock.now())

    channel = ScriptedChannel()
    channel.during = act
    _send_all(_sender(engine, clock, channel), clock)
    assert (notices(engine)[0].state, deliveries(engine)[0].outcome) == ("acknowledged", "accepted")


def test_a_result_that_the_database_did_not_take_is_recorded_later_and_not_sent_again(
    engine: Engine, clock: ManualClock
) -> None:
    queue(engine, to_robot())
    channel = ScriptedChannel()
    down = [False]
    channel.during = lambda: down.__setitem__(0, True)

    @event.listens_for(engine, "before_cursor_execute")
    def refuse(*_: object) -> None:
        if down[0]:
            raise OperationalError("", {}, Exception("the database is away"))

    sender = _sender(engine, clock, channel)
    for _ in range(3):
        with pytest.raises(OperationalError):
            sender.step(clock.now())
    down[0] = False
    channel.during = lambda: None
    assert sender.recover(clock.now()) == 0
    clock.advance(MINUTE)
    assert _send_all(sender, clock) == 0
    assert len(channel.sent) == 1
    assert (notices(engine)[0].state, deliveries(engine)[0].outcome) == ("accepted", "accepted")


def test_a_channel_that_is_not_this_senders_is_left_alone(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot(), to_person())
    _send_all(_sender(engine, clock, ScriptedChannel("phone")), clock)
    assert [row.state for row in notices(engine)] == ["queued", "accepted"]


def test_an_idle_sender_writes_nothing(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot(), due_at=NOW + HOUR)
    sender = _sender(engine, clock, ScriptedChannel())
    sender.step(clock.now())
    written: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        written.append(statement.split(maxsplit=1)[0])

    assert sender.step(clock.now()) == 0
    assert set(written) <= {"SELECT", "BEGIN"}


def test_the_enqueued_rule_reaches_the_text(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person())
    _send_all(_sender(engine, clock, PhonePage("phone", engine, "http://c")), clock)
    with reading(engine) as connection:
        text = connection.execute(select(phone_message.c.text)).scalar_one()
    assert Rule.advice_zh in text
    assert "52 %LEL" in text
