"""Housekeeping: live figures, gauges that follow the database, a journal that stays small, readings that go in time."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert

from alerts.tables import notice, ticket
from core.clock import DAY, HOUR, SECOND, ManualClock
from core.database import writing
from core.journal import Entry, Offset, RecordKind
from core.metrics import Metrics
from core.sqlite_journal import Quota, SqliteJournal
from ingest.duckdb_store import DuckDbStore
from ingest.words import Block
from shouwang.housekeeping import Housekeeping
from tests.servers import wait_until

TICK = [Entry(RecordKind.TICK, b"")]
KEEP = 30 * DAY
RESERVE = 2**20


class House:
    """Housekeeping with all it looks after; a round takes 20 ms."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.clock, self.metrics, self.engine = ManualClock(), Metrics(), engine
        self.journal = SqliteJournal(folder / "journal.db", "town", ["safety", "store"], Quota(span=HOUR))
        self.store = DuckDbStore(folder / "readings.duckdb")
        self.detected = 0
        self.keeping = Housekeeping(
            self.journal, engine, self.store, self.clock, self.metrics, lambda: self.detected, KEEP, RESERVE
        )

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"shouwang_{name}", labels)


@pytest.fixture
def house(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("shouwang.housekeeping._INTERVAL", 0.02)
    made = House(tmp_path, engine)
    yield made
    made.store.close()
    made.journal.close()


@pytest.fixture
def at_work(house: House) -> Iterator[None]:
    ending = threading.Event()
    thread = threading.Thread(target=house.keeping.run, args=(ending,))
    thread.start()
    yield
    ending.set()
    thread.join(5)
    assert not thread.is_alive()


def enqueue(engine: Engine, state: str, created_at: int, number: int) -> None:
    """A notice in this state, with a ticket."""
    plain: dict[str, Any] = {"hazard": "gas", "category": "安全生产", "severity": 3, "life_safety": True}
    with writing(engine) as connection:
        made = connection.execute(
            insert(ticket)
            .values(
                number=str(number), source="iot", status="dispatched", title="", reported_at=0, updated_at=0, **plain
            )
            .returning(ticket.c.id)
        ).scalar_one()
        connection.execute(
            insert(notice).values(
                key=str(number), ticket=made, cause="dispatched", channel="phone", recipient_kind="person",
                recipient="G01", address="G01", body={}, life_safety=True, severity=3, state=state, due_at=0,
                not_after=0, next_try_at=0, created_at=created_at,
            )
        )  # fmt: skip


def test_figures_are_over_the_last_samples(house: House) -> None:
    assert house.keeping.figures() == {}
    house.journal.append(TICK, house.clock.now())
    house.detected = house.clock.now() - 250_000
    for _ in range(30):
        house.metrics.readings.inc(40)
        house.keeping._samples.append((house.clock.advance(SECOND), house.metrics.readings._value.get()))
    assert house.keeping.figures() == {"readings_per_s": 40.0, "lag_ms": 250.0}


def test_detection_that_is_ahead_of_the_last_record_has_no_lag(house: House) -> None:
    house.detected = house.clock.now()
    house.keeping._samples.extend([(0, 0.0), (SECOND, 5.0)])
    assert house.keeping.figures()["lag_ms"] == 0.0


def test_where_another_process_detects_no_lag_is_told(house: House) -> None:
    apart = Housekeeping(house.journal, house.engine, None, house.clock, house.metrics, None, KEEP, RESERVE)
    apart._samples.extend([(0, 0.0), (SECOND, 5.0)])
    assert apart.figures() == {"readings_per_s": 5.0}


def test_gauges_follow_the_journal_and_the_notices(house: House, at_work: None) -> None:
    now = house.clock.now()
    house.journal.append(TICK * 5, now)
    house.journal.acknowledge("safety", Offset(0, 3))
    enqueue(house.engine, "queued", now - HOUR, 1)
    enqueue(house.engine, "accepted", now - HOUR, 2)
    enqueue(house.engine, "accepted", now - 2 * DAY, 3)
    house.clock.advance(5 * SECOND)
    counted = {"queued": 1, "accepted": 1}  # of the last day
    wait_until(lambda: {s: house.gauge("notices", state=s) for s in counted} == counted, "the notices' gauge", 20)

    def behind(consumer: str, read: int) -> bool:  # housekeeping writes records of its own, after it has measured
        house.clock.advance(SECOND)
        return house.gauge("consumer_lag_records", consumer=consumer) == house.journal.head().n - read

    wait_until(lambda: behind("safety", 3) and behind("store", 0), "the lag behind what was read", 20)
    assert house.gauge("journal_bytes")
    assert house.gauge("open_alerts") == 0
    with writing(house.engine) as connection:
        connection.execute(delete(notice).where(notice.c.state == "queued"))
    house.clock.advance(5 * SECOND)
    wait_until(lambda: house.gauge("notices", state="queued") == 0, "the end of the stale gauge", 20)


def test_what_all_have_read_goes_after_the_span_for_replay(house: House, at_work: None) -> None:
    house.journal.append(TICK * 5, house.clock.now())
    for consumer in ("safety", "store"):
        house.journal.acknowledge(consumer, Offset(0, 4))
    house.clock.advance(HOUR - SECOND)
    wait_until(lambda: house.journal.acknowledged("store").n == 4, "the acknowledgement", 20)
    assert house.journal.tail().n == 0
    house.clock.advance(10 * SECOND)
    wait_until(lambda: house.journal.tail().n == 4, "the trimmed journal", 20)


def test_readings_go_once_a_day(house: House, at_work: None) -> None:
    def keep(at: int, n: int) -> None:
        house.store.append([(Offset(0, n), Block.of([0], [at], [at], [1.0]))])

    def left() -> int:
        return len(house.store.range(0, 0, 2**62, 10))

    now = house.clock.now()
    keep(now - KEEP - HOUR, 1)
    keep(now - KEEP + HOUR, 2)
    house.clock.advance(DAY)
    wait_until(lambda: left() == 0, "the end of the old readings", 20)
    keep(now - KEEP, 3)
    keep(house.clock.now(), 4)
    wait_until(lambda: left() == 2, "the new readings", 20)
    house.clock.advance(DAY)
    wait_until(lambda: left() == 1, "the next day's clearing", 20)
