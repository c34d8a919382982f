"""Rejects on their way from the journal into the database, and letters on their way back through the gate."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.clock import SECOND, ManualClock
from core.database import reading, writing
from core.journal import Entry, Offset, RecordKind
from core.sqlite_journal import SqliteJournal
from ingest.applied import read_applied
from ingest.dead_letter_writer import REPLAY, DeadLetterWriter, Replays, ask_for_replay
from ingest.dead_letters import DeadLetter, keep, list_dead_letters
from ingest.mqtt import Inbox, Receipt
from ingest.words import Message, Reject, encode
from tests.servers import wait_until

SETTLED = 3 * SECOND


@pytest.fixture(autouse=True)
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters are looked for at once."""
    monkeypatch.setattr("ingest.dead_letter_writer._LOOK", 0.02)


def reject(number: int, reason: str = "unknown_device", retained: bool = False) -> Reject:
    topic, payload = f"sw/v1/GW-1/GAS-{number}/telemetry", b'{"values":{"gas_lel":1}}'
    return Reject(topic, payload, 1_790_000_000 * SECOND + number, "GW-1", reason, "", 1, retained)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal.db", "town", ["rejects"])
    yield opened
    opened.close()


@contextmanager
def at_work(part: DeadLetterWriter | Replays) -> Iterator[None]:
    """The part's loop in a thread; it must end when told, and without an error."""
    ending, failures = threading.Event(), list[Exception]()

    def run() -> None:
        try:
            part.run(ending)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(5)
    assert not thread.is_alive()
    assert failures == []


def letters(engine: Engine) -> list[DeadLetter]:
    """All dead letters, oldest first."""
    with reading(engine) as connection:
        return list_dead_letters(connection)[::-1]


def journal_rejects(journal: SqliteJournal, *rejects: Reject) -> Offset:
    ticks = Entry(RecordKind.TICK, b"")
    return journal.append([ticks, *(Entry(RecordKind.REJECT, encode(one), 1) for one in rejects), ticks], 0)


def test_rejects_are_kept_with_the_offset_in_one_transaction(engine: Engine, journal: SqliteJournal) -> None:
    clock = ManualClock()
    with at_work(DeadLetterWriter(journal, engine, clock)):
        head = journal_rejects(journal, reject(1), reject(2))
        wait_until(lambda: len(letters(engine)) == 2, "the letters", 20)
        wait_until(lambda: (journal.flush(), journal.acknowledged("rejects"))[1] == head, "the acknowledgement", 20)
    with reading(engine) as connection:
        assert read_applied(connection, "rejects") == head
    assert [letter.topic for letter in letters(engine)] == [reject(1).topic, reject(2).topic]


def test_what_was_kept_before_a_crash_is_not_kept_twice(engine: Engine, journal: SqliteJournal) -> None:
    head = journal_rejects(journal, reject(1), reject(2))
    with writing(engine) as connection:  # killed after the commit, before the journal heard of it
        keep(connection, [(Offset(0, 2), reject(1)), (Offset(0, 3), reject(2))], head)
    with at_work(DeadLetterWriter(journal, engine, ManualClock())):
        journal_rejects(journal, reject(3))
        wait_until(lambda: len(letters(engine)) == 3, "the third letter", 20)
    assert len(letters(engine)) == 3


def test_records_without_rejects_are_let_go_too(engine: Engine, journal: SqliteJournal) -> None:
    with at_work(DeadLetterWriter(journal, engine, ManualClock())):
        head = journal_rejects(journal)
        wait_until(lambda: (journal.flush(), journal.acknowledged("rejects"))[1] == head, "the acknowledgement", 20)
    assert letters(engine) == []


@pytest.fixture
def kept(engine: Engine) -> list[int]:
    """Four letters: two of unknown devices, one retained, one cut."""
    rejects = [reject(1), reject(2), reject(3, "retained", retained=True), reject(4, "oversize")]
    with writing(engine) as connection:
        keep(connection, [(Offset(0, n), one) for n, one in enumerate(rejects, 1)], Offset(0, 4))
    return [letter.id for letter in letters(engine)]


def test_letters_come_back_in_their_order_as_late_as_they_are(engine: Engine, kept: list[int]) -> None:
    clock, inbox = ManualClock(), Inbox()
    with writing(engine) as connection:
        assert ask_for_replay(connection, reversed(kept), clock.now()) == 3, "what was cut is no message any more"
    clock.advance(SETTLED)
    with at_work(Replays(engine, inbox, clock)):
        wait_until(lambda: len(inbox) == 3, "the letters", 20)
    arrivals = inbox.take(10, 0)
    assert [arrival.what for arrival in arrivals] == [
        Message(one.topic, one.payload, clock.now(), one.retained, replayed_from=one.received_at)
        for one in (reject(1), reject(2), reject(3, retained=True))
    ]
    assert [arrival.receipt for arrival in arrivals] == [Receipt(REPLAY, number, 0) for number in kept[:3]]


def test_a_letter_goes_round_once_and_is_marked_when_it_is_journalled(engine: Engine, kept: list[int]) -> None:
    clock, inbox = ManualClock(), Inbox()
    replays = Replays(engine, inbox, clock)
    with writing(engine) as connection:
        ask_for_replay(connection, kept[:1], clock.now())
    clock.advance(SETTLED)
    with at_work(replays):
        wait_until(lambda: len(inbox) == 1, "the letter", 20)
        (arrival,) = inbox.take(10, 0)
        assert letters(engine)[0].replayed_at is None, "in the inbox it can still be lost"
        assert arrival.receipt
        replays.acknowledge([arrival.receipt, Receipt(1, kept[1], 1)])
        wait_until(lambda: letters(engine)[0].replayed_at is not None, "the mark", 20)
        assert [letter.replayed_at for letter in letters(engine)[:2]] == [clock.now(), None]
        with writing(engine) as connection:
            ask_for_replay(connection, kept[1:2], clock.now())
        clock.advance(SETTLED)
        wait_until(lambda: len(inbox) == 1, "the next letter", 20)
    assert [arrival.receipt for arrival in inbox.take(10, 0)] == [Receipt(REPLAY, kept[1], 0)]


def test_a_replay_that_a_kill_cut_short_is_done_again(engine: Engine, kept: list[int]) -> None:
    clock = ManualClock()
    with writing(engine) as connection:
        ask_for_replay(connection, kept[:1], clock.now())
    clock.advance(SETTLED)
    for _ in range(2):  # the first one's inbox dies with its process
        inbox = Inbox()
        with at_work(Replays(engine, inbox, clock)):
            wait_until(lambda inbox=inbox: len(inbox) == 1, "the letter", 20)


def test_a_letter_waits_until_the_gate_has_followed_an_enrolment(engine: Engine, kept: list[int]) -> None:
    clock, inbox = ManualClock(), Inbox()
    with writing(engine) as connection:
        ask_for_replay(connection, kept[:1], clock.now())
    clock.advance(SECOND)
    replays = Replays(engine, inbox, clock)
    replays._feed()
    assert len(inbox) == 0
    clock.advance(2 * SECOND)
    replays._feed()
    assert len(inbox) == 1


def test_one_asked_for_again_goes_again(engine: Engine, kept: list[int]) -> None:
    clock, inbox = ManualClock(), Inbox()
    replays = Replays(engine, inbox, clock)
    for _ in range(2):
        with writing(engine) as connection:
            ask_for_replay(connection, kept[:1], clock.now())
        clock.advance(SETTLED)
        replays.step()
        (arrival,) = inbox.take(10, 0)
        assert arrival.receipt
        replays.acknowledge([arrival.receipt])
