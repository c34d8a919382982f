"""Receipts: what arrived is shown, what did not goes another way, what nobody proved is listed."""

import pytest
from sqlalchemy import Engine, insert

from alerts.channels import Outcome
from alerts.notices import acknowledge, change_state
from alerts.receipts import PATIENCE, Receipt, delivered, not_proven_delivered, proof
from alerts.sender import Sender
from alerts.tables import contact, notice
from core.clock import ManualClock
from core.database import reading, writing
from tests.alerts.notices.notice_rows import NOW, ScriptedChannel, notices, owner, queue, to_person


def sent(engine: Engine, clock: ManualClock, *answers: Outcome) -> int:
    """A notice by text message that the provider took as m-1; the person has a telephone too."""
    key = queue(engine, to_person(channel="sms"))
    with writing(engine) as connection:
        for channel in ("sms", "voice"):
            row = {"owner_kind": "person", "owner": "P-01", "channel": channel, "address": "13800000001"}
            connection.execute(insert(contact).values(**row))
    taken = answers or (Outcome("accepted", "OK", provider_id="m-1"),)
    Sender(engine, [ScriptedChannel("sms", answers=taken)], clock, owner()).step(clock.now())
    return key


def receipt(engine: Engine, clock: ManualClock, ok: bool = True, provider_id: str = "m-1") -> Receipt:
    with writing(engine) as connection:
        return delivered(connection, "sms", provider_id, ok, "DELIVERED" if ok else "EXPIRED", clock.now())


def test_a_receipt_is_shown_and_a_second_one_changes_nothing(engine: Engine, clock: ManualClock) -> None:
    sent(engine, clock)
    at = clock.now()
    assert receipt(engine, clock) == (1, 0)
    clock.advance(1)
    assert receipt(engine, clock) == (1, 0)
    (row,) = notices(engine)
    assert (row.state, row.delivered_at, row.receipt) == ("delivered", at, "DELIVERED")


def test_what_did_not_arrive_goes_to_the_next_channel_at_once(engine: Engine, clock: ManualClock) -> None:
    sent(engine, clock)
    assert receipt(engine, clock, ok=False) == (1, 1)
    first, second = notices(engine)
    assert (first.state, first.error) == ("failed", "not_delivered EXPIRED")
    assert (second.channel, second.address, second.state, second.instead_of) == (
        "voice",
        "13800000001",
        "queued",
        first.id,
    )
    assert receipt(engine, clock, ok=False) == (1, 0)
    assert len(notices(engine)) == 2


def test_a_receipt_nobody_knows_is_to_be_said_again(engine: Engine, clock: ManualClock) -> None:
    sent(engine, clock, Outcome("accepted", "OK"))
    assert receipt(engine, clock, provider_id="") == (0, 0)
    assert receipt(engine, clock, provider_id="m-9") == (0, 0)
    with writing(engine) as connection:
        assert delivered(connection, "sms", "", True, "", clock.now(), notices(engine)[0].id) == (1, 0)


def test_a_receipt_settles_what_was_uncertain(engine: Engine, clock: ManualClock) -> None:
    sent(engine, clock, Outcome("uncertain", "ReadTimeout"))
    with writing(engine) as connection:
        delivered(connection, "sms", "m-1", True, "DELIVERED", clock.now(), notices(engine)[0].id)
    (row,) = notices(engine)
    assert (row.state, row.claimed_by) == ("delivered", None)


def test_whoever_acted_has_it_and_the_receipt_is_kept(engine: Engine, clock: ManualClock) -> None:
    key = sent(engine, clock)
    with writing(engine) as connection:
        acknowledge(connection, key, "P-01", clock.now())
    assert receipt(engine, clock) == (1, 0)
    assert receipt(engine, clock, ok=False) == (1, 0)
    (row,) = notices(engine)
    assert (row.state, row.receipt) == ("acknowledged", "DELIVERED")


def test_what_nobody_proved_is_listed_after_a_while(engine: Engine, clock: ManualClock) -> None:
    sent(engine, clock)

    def listed(*channels: str) -> list[str]:
        with reading(engine) as connection:
            return [row["number"] for row in not_proven_delivered(connection, channels, clock.now())]

    def shown(gives_receipts: bool) -> str:
        return proof(notices(engine)[0]._asdict(), gives_receipts, clock.now())

    assert (listed("sms"), shown(True), shown(False)) == ([], "receipt_awaited", "no_receipts")
    clock.advance(PATIENCE)
    assert (listed("sms"), listed("voice"), shown(True)) == (["20261123-0007"], [], "not_proven")
    receipt(engine, clock)
    assert (listed("sms"), shown(True)) == ([], "delivered")


@pytest.mark.parametrize("ok", [True, False])
def test_a_receipt_by_the_notices_own_number_that_is_faster_than_our_record_is_asked_for_again(
    engine: Engine, ok: bool
) -> None:
    queue(engine, to_person(channel="sms"))
    with writing(engine) as connection:
        change_state(connection, notice.c.id == 1, "sending")
    with writing(engine) as connection:
        assert delivered(connection, "sms", "", ok, "said", NOW, notice_id=1) == (0, 0)
