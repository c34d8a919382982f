"""A channel in the platform's own database: claim, message and record stand or fall together."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import OperationalError

from alerts.channels import OutgoingNotice
from alerts.channels.phone_page import PhonePage
from alerts.local_sending import AT_ONCE
from alerts.notices import enqueue
from alerts.sender import Sender
from alerts.tables import delivery, phone_message
from core.clock import HOUR, ManualClock
from core.database import reading, writing
from tests.alerts.notices.notice_rows import notices, owner, put_ticket, put_town, queue, to_person


class _Broken(PhonePage):
    def deliver(self, connection: Connection, notices: Sequence[OutgoingNotice]) -> None:
        super().deliver(connection, notices)
        raise OperationalError("the connection is gone", None, Exception())


def _sender(engine: Engine, clock: ManualClock, kind: type[PhonePage] = PhonePage) -> Sender:
    return Sender(engine, [kind("phone", engine, "http://c")], clock, owner())


def _messages(engine: Engine) -> int:
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(phone_message)) or 0


def test_several_people_are_told_in_one_transaction(engine: Engine, clock: ManualClock) -> None:
    queue(engine, *(to_person(code) for code in ("P-01", "P-02", "P-09")))
    assert _sender(engine, clock).step(clock.now()) == 3
    assert [(row.state, row.attempts, row.provider_id, row.claimed_by) for row in notices(engine)] == [
        ("accepted", 1, str(row.id), None) for row in notices(engine)
    ]
    with reading(engine) as connection:
        attempts = connection.execute(select(delivery.c.notice, delivery.c.id, delivery.c.outcome)).all()
        links = connection.scalars(select(phone_message.c.link)).all()
    assert {(row.id, row.attempt) for row in notices(engine)} == {(row.notice, row.id) for row in attempts}
    assert {row.outcome for row in attempts} == {"accepted"}
    assert len(set(links)) == 3


def test_a_transaction_takes_a_few_and_the_next_the_others(engine: Engine, clock: ManualClock) -> None:
    with writing(engine) as connection:
        put_town(connection)
        row = put_ticket(connection)
        for number in range(AT_ONCE + 1):
            enqueue(connection, row, None, [to_person()], f"cause-{number}", clock.now(), clock.now())
    sender = _sender(engine, clock)
    assert [sender.step(clock.now()) for _ in range(3)] == [AT_ONCE, 1, 0]
    assert _messages(engine) == AT_ONCE + 1


def test_what_fails_halfway_leaves_everything_as_it_was(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person())
    with pytest.raises(OperationalError):
        _sender(engine, clock, _Broken).step(clock.now())
    assert (_messages(engine), [row.state for row in notices(engine)]) == (0, ["queued"])
    assert _sender(engine, clock).step(clock.now()) == 1
    assert (_messages(engine), [row.state for row in notices(engine)]) == (1, ["accepted"])


def test_what_is_too_old_is_not_delivered(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person())
    assert _sender(engine, clock).step(clock.now() + HOUR) == 0
    assert (_messages(engine), [row.state for row in notices(engine)]) == (0, ["expired"])
