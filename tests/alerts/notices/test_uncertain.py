"""A sender that is killed, times out or competes: at most one uncertain notice, none silently queued, none twice."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from alerts.channels import Limit, Outcome
from alerts.notices import acknowledge, enqueue
from alerts.owners import LEASE, Owner
from alerts.sender import RECOVER_EVERY, Sender
from alerts.tables import ticket
from core.clock import HOUR, MINUTE, SECOND, ManualClock, SystemClock
from core.database import open_engine, writing
from tests.alerts.notices.notice_rows import (
    AskableScriptedChannel,
    KilledError,
    ListingScriptedChannel,
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
from tests.fakes.wecom_robot import Answer
from tests.fakes.wecom_robot import WecomRobot as FakeRobot

NO_ANSWER = Outcome("uncertain", "ReadTimeout", "no answer")
NEXT = owner(pid=1, started=8)


def _kill_in_the_middle(
    engine: Engine, clock: ManualClock, channel: ScriptedChannel, mine: Owner | None = None
) -> None:
    """A sender ends between its request and the record of its result."""
    channel.answers.append(KilledError())
    with pytest.raises(KilledError):
        Sender(engine, [channel], clock, mine or owner()).step(clock.now())


def _plan_next_step(engine: Engine, key: int) -> None:
    chosen = [{"kind": "person", "code": "P-09", "chosen": True, "step": 1, "name": "", "reason": ""}]
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == key).values(assignment={"candidates": chosen}))


def test_a_kill_leaves_exactly_one_uncertain_notice_and_none_silently_queued(
    engine: Engine, clock: ManualClock
) -> None:
    queue(engine, to_robot("key-a"), to_robot("key-b", "T-02"))
    _kill_in_the_middle(engine, clock, ScriptedChannel())
    assert [row.state for row in notices(engine)] == ["sending", "queued"]
    successor = Sender(engine, [ScriptedChannel()], clock, NEXT)
    assert successor.recover(clock.now()) == 1
    assert [row.state for row in notices(engine)] == ["uncertain", "queued"]
    assert notices(engine)[0].claimed_by == str(NEXT)
    assert [(tried.outcome, tried.finished_at) for tried in deliveries(engine)] == [("uncertain", clock.now())]
    assert successor.recover(clock.now()) == 0


def _queue_list(engine: Engine, clock: ManualClock) -> None:
    """Three notices for one address, the last no matter of life and death."""
    with writing(engine) as connection:
        put_town(connection)
        for number, life_safety in enumerate((True, True, False)):
            row = put_ticket(connection, number, life_safety=life_safety, dispatched_at=clock.now())
            made = put_alert(connection, row, subject_id=f"GAS-{number}")
            enqueue(connection, row, made, [to_robot()], "dispatched", clock.now(), clock.now())


def test_a_killed_list_is_uncertain_as_a_whole_and_only_life_safety_is_repeated(
    engine: Engine, clock: ManualClock
) -> None:
    _queue_list(engine, clock)
    channel = ListingScriptedChannel(limit=Limit(2, MINUTE))
    _kill_in_the_middle(engine, clock, channel)
    (tried,) = deliveries(engine)
    assert (tried.notices, tried.notice) == (3, 1)
    assert [(row.state, row.attempt) for row in notices(engine)] == [("sending", tried.id)] * 3
    successor = Sender(engine, [channel], clock, NEXT)
    assert successor.recover(clock.now()) == 3
    assert [row.state for row in notices(engine)] == ["uncertain"] * 3
    while successor.step(clock.now()) or clock.now() < notices(engine)[0].due_at + 2 * MINUTE:
        clock.advance(SECOND)
    assert [[each.id for each in sent] for sent in channel.lists] == [[1, 2, 3], [1, 2]]
    assert [each.repeated for each in channel.lists[1]] == [True, True]
    assert [(row.state, row.repeated) for row in notices(engine)] == [
        ("accepted", True),
        ("accepted", True),
        ("uncertain", False),
    ]
    assert notices(engine)[2].claimed_by is None


def test_a_list_is_not_taken_for_deduplicated(engine: Engine, clock: ManualClock) -> None:
    """It may not come about again as it was, so that the provider would take the next one for another message."""
    _queue_list(engine, clock)
    channel = ListingScriptedChannel(limit=Limit(2, MINUTE), deduplicates=True, answers=[NO_ANSWER])
    sender = Sender(engine, [channel], clock, owner())
    while sender.step(clock.now()) or clock.now() < notices(engine)[0].due_at + 2 * MINUTE:
        clock.advance(SECOND)
    assert [row.repeated for row in notices(engine)] == [True, True, False]


def test_a_refused_list_fails_each_of_its_notices(engine: Engine, clock: ManualClock) -> None:
    _queue_list(engine, clock)
    channel = ListingScriptedChannel(limit=Limit(2, MINUTE), answers=[Outcome("failed", "93000")])
    assert Sender(engine, [channel], clock, owner()).step(clock.now()) == 1
    assert [row.state for row in notices(engine)] == ["failed"] * 3
    assert [(tried.outcome, tried.notices) for tried in deliveries(engine)] == [("failed", 3)]


def test_life_safety_is_repeated_once_and_says_so(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    channel = ScriptedChannel()
    _kill_in_the_middle(engine, clock, channel)
    successor = Sender(engine, [channel], clock, NEXT)
    assert successor.step(clock.now()) == 1
    assert [sent.repeated for sent in channel.sent] == [False, True]
    (row,) = notices(engine)
    assert (row.state, row.repeated, row.attempts) == ("accepted", True, 2)
    assert [tried.outcome for tried in deliveries(engine)] == ["uncertain", "accepted"]


def test_life_safety_is_not_repeated_twice(engine: Engine, clock: ManualClock) -> None:
    key = queue(engine, to_robot())
    _plan_next_step(engine, key)
    sender = Sender(engine, [channel := ScriptedChannel(answers=[NO_ANSWER] * 9)], clock, owner())
    for _ in range(20):
        sender.step(clock.now())
        clock.advance(RECOVER_EVERY)
    assert len(channel.sent) == 2
    first, second = notices(engine)
    assert (first.state, first.error, first.claimed_by) == ("uncertain", "repeated_already", None)
    assert (second.recipient, second.channel, second.cause, second.state) == ("P-09", "phone", "uncertain", "queued")


def test_any_other_notice_goes_to_the_next_step_instead(engine: Engine, clock: ManualClock) -> None:
    key = queue(engine, to_robot("key-a"), to_robot("key-b", "T-02"), life_safety=False, hazard="noise", severity=3)
    _plan_next_step(engine, key)
    sender = Sender(engine, [channel := ScriptedChannel(answers=[NO_ANSWER] * 2)], clock, owner())
    for _ in range(5):
        sender.step(clock.now())
    assert len(channel.sent) == 2
    assert [row.state for row in notices(engine)] == ["uncertain", "uncertain", "queued"]
    assert notices(engine)[2].body["cause"] == "uncertain"


def test_without_a_next_step_it_is_shown_as_uncertain(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot(), life_safety=False)
    sender = Sender(engine, [channel := ScriptedChannel(answers=[NO_ANSWER])], clock, owner())
    for _ in range(5):
        sender.step(clock.now())
    (row,) = notices(engine)
    assert (row.state, row.error, len(channel.sent)) == ("uncertain", "not_life_safety", 1)


def test_a_provider_that_deduplicates_gets_it_again_without_a_mark(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    channel = ScriptedChannel(deduplicates=True, answers=[NO_ANSWER])
    sender = Sender(engine, [channel], clock, owner())
    assert (sender.step(clock.now()), sender.step(clock.now())) == (1, 1)
    assert [(sent.id, sent.repeated) for sent in channel.sent] == [(1, False), (1, False)]
    assert notices(engine)[0].state == "accepted"


@pytest.mark.parametrize(
    ("answers", "state", "requests"),
    [
        ([Outcome("accepted")], "accepted", 1),
        ([Outcome("failed")], "accepted", 2),
        ([NO_ANSWER, NO_ANSWER, Outcome("accepted")], "accepted", 1),
        ([NO_ANSWER] * 99, "uncertain", 1),
    ],
    ids=["has_it", "has_it_not", "answers_later", "never_answers"],
)
def test_a_provider_that_can_be_asked_is_asked(
    engine: Engine, clock: ManualClock, answers: list[Outcome], state: str, requests: int
) -> None:
    queue(engine, to_robot(), severity=3)
    channel = AskableScriptedChannel("robot", answers, answers=[NO_ANSWER])
    sender = Sender(engine, [channel], clock, owner())
    for _ in range(70):
        sender.step(clock.now())
        clock.advance(RECOVER_EVERY)
    (row,) = notices(engine)
    assert (row.state, len(channel.sent), row.repeated, row.claimed_by) == (state, requests, False, None)


def test_what_became_uncertain_too_long_ago_is_not_sent(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    channel = ScriptedChannel()
    _kill_in_the_middle(engine, clock, channel)
    clock.advance(61 * MINUTE)
    Sender(engine, [channel], clock, NEXT).step(clock.now())
    (row,) = notices(engine)
    assert (row.state, row.error, len(channel.sent)) == ("uncertain", "too_late_to_send", 1)


def test_acting_on_the_ticket_settles_an_uncertain_notice(engine: Engine, clock: ManualClock) -> None:
    key = queue(engine, to_person(channel="robot"))
    channel = ScriptedChannel()
    _kill_in_the_middle(engine, clock, channel)
    successor = Sender(engine, [channel], clock, NEXT)
    successor.recover(clock.now())
    with writing(engine) as connection:
        acknowledge(connection, key, "P-01", clock.now())
    assert successor.step(clock.now()) == 0
    assert notices(engine)[0].state == "acknowledged"


def test_a_sender_killed_before_it_settled_leaves_that_to_the_next(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    channel = ScriptedChannel()
    _kill_in_the_middle(engine, clock, channel)
    Sender(engine, [channel], clock, NEXT).recover(clock.now())
    third = Sender(engine, [channel], clock, owner(pid=1, started=9))
    assert third.step(clock.now()) == 1
    assert len(channel.sent) == 2


def test_a_living_sender_is_not_robbed(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    slow = ScriptedChannel()
    other = Sender(engine, [ScriptedChannel()], clock, owner(thread="second"))
    taken: list[int] = []
    slow.during = lambda: taken.extend([other.recover(clock.now() + 2 * LEASE), other.step(clock.now())])
    Sender(engine, [slow], clock, owner()).step(clock.now())
    assert taken == [0, 0]
    assert notices(engine)[0].state == "accepted"


def test_owners_named_as_living_keep_what_they_have(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    far = owner(host="town-2")
    _kill_in_the_middle(engine, clock, ScriptedChannel(), far)
    successor = Sender(engine, [ScriptedChannel()], clock, NEXT)
    assert successor.recover(clock.now() + LEASE, alive_owners=[str(far)]) == 0
    assert successor.recover(clock.now() + LEASE) == 1


def test_a_late_result_of_a_robbed_sender_counts(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot(), life_safety=False)
    slow = ScriptedChannel()
    robber = Sender(engine, [ScriptedChannel()], clock, owner(host="town-2"))
    robbed: list[int] = []
    slow.during = lambda: robbed.append(robber.recover(clock.now() + LEASE))
    Sender(engine, [slow], clock, owner(role="elsewhere")).step(clock.now())
    assert robbed == [1]
    assert (notices(engine)[0].state, deliveries(engine)[0].outcome) == ("accepted", "accepted")


def _compete(database_url: str, clock: ManualClock, channels: list[ScriptedChannel]) -> list[int]:
    """Let a sender for each channel send in its own thread until nothing is left; the ids that were requested."""
    start = threading.Barrier(len(channels))

    def work(number: int) -> None:
        own = open_engine(database_url)
        sender = Sender(own, [channels[number]], clock, owner(thread=f"t{number}"))
        start.wait()
        while sender.step(clock.now()):
            pass
        own.dispose()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(channels))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(notice.id for channel in channels for notice in channel.sent)


def _queue_thirty(engine: Engine, clock: ManualClock, one_address: bool) -> None:
    with writing(engine) as connection:
        put_town(connection)
        for number in range(30):
            row = put_ticket(connection, number)
            made = put_alert(connection, row, subject_id=f"GAS-{number}")
            to = to_robot("key-a" if one_address else f"key-{number}")
            enqueue(connection, row, made, [to], "dispatched", clock.now(), clock.now())


def test_two_senders_on_one_database_never_send_one_notice_twice(
    engine: Engine, database_url: str, clock: ManualClock
) -> None:
    _queue_thirty(engine, clock, one_address=False)
    sent = _compete(database_url, clock, [ScriptedChannel(), ScriptedChannel()])
    assert sent == [row.id for row in notices(engine)]
    assert [row.state for row in notices(engine)] == ["accepted"] * 30
    assert len(deliveries(engine)) == 30


def test_two_senders_together_keep_to_an_addresss_limit(engine: Engine, database_url: str, clock: ManualClock) -> None:
    """The second sender starts just when the first has counted what the address had."""
    _queue_thirty(engine, clock, one_address=True)
    first, second = (ScriptedChannel(limit=Limit(1, MINUTE)) for _ in range(2))
    own = open_engine(database_url)
    rival = Sender(own, [second], clock, owner(thread="second"))
    meanwhile = threading.Thread(target=lambda: rival.step(clock.now()))
    counted: list[str] = []

    @event.listens_for(engine, "after_cursor_execute")
    def interfere(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM delivery" in statement:
            counted.append(statement)
            if len(counted) == 2:  # the first count only looked whether there is anything to do
                meanwhile.start()
                meanwhile.join(0.5)

    Sender(engine, [first], clock, owner()).step(clock.now())
    meanwhile.join()
    own.dispose()
    assert len(first.sent) + len(second.sent) == 1


_PROCESS = """
import sys
from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot
from alerts.owners import this_process
from alerts.sender import Sender
from core.clock import SystemClock
from core.database import open_engine

clock = SystemClock()
channel = WecomRobot("robot", open_client(), "http://c", sys.argv[2])
sender = Sender(open_engine(sys.argv[1]), [channel], clock, this_process("dispatch", clock.now()))
while True:
    sender.step(clock.now())
"""


@pytest.mark.parametrize("received", [True, False], ids=["after_the_provider_took_it", "before"])
def test_sigkill_in_the_middle_of_a_request(engine: Engine, database_url: str, received: bool) -> None:
    now = SystemClock().now()
    queue(engine, to_robot(), now=now, due_at=now)
    with FakeRobot() as robot:
        robot.script.append(Answer(None if received else b"{}", delay_s=3.0))
        first = _start(database_url, robot.url)
        _wait_until(lambda: robot.requests == 1 and len(robot.messages) == received)
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert [row.state for row in notices(engine)] == ["sending"]
        second = _start(database_url, robot.url)
        _wait_until(lambda: notices(engine)[0].state == "accepted")
        second.send_signal(signal.SIGKILL)
        second.wait()
        texts = [message["content"] for message in robot.messages]
    assert len(texts) == (2 if received else 1)
    assert "可能重复" in texts[-1]
    assert [tried.outcome for tried in deliveries(engine)] == ["uncertain", "accepted"]


def _start(*arguments: str) -> "subprocess.Popen[bytes]":
    root = Path(__file__).parents[3]
    return subprocess.Popen([sys.executable, "-c", _PROCESS, *arguments], cwd=root)


def _wait_until(true: Any, seconds: float = 30.0) -> None:
    end = monotonic() + seconds
    while not true():
        assert monotonic() < end, "it never came to pass"
        sleep(0.02)


def test_a_clock_that_was_set_back_keeps_nobody_from_taking_over(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_robot())
    successor = Sender(engine, [ScriptedChannel()], clock, NEXT)
    successor.recover(clock.now() + HOUR)
    _kill_in_the_middle(engine, clock, ScriptedChannel())
    successor.step(clock.now())
    assert notices(engine)[0].state != "sending"
