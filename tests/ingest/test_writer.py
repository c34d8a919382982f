"""The store's consumer: batches by size and by time, a store that goes away, and an end in the middle of it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.clock import SECOND, ManualClock
from core.journal import START, Entry, JournalFull, Offset, RecordKind
from core.metrics import Metrics
from core.sqlite_journal import SqliteJournal
from ingest.duckdb_store import DuckDbStore
from ingest.formats import FORMATS
from ingest.formats.items import Measured
from ingest.store import Appended, Refused, StoreUnavailable
from ingest.words import Block, Message, Quality, decode_reject
from ingest.writer import StoreWriter
from tests.servers import wait_until

SOON = 0.4  # s; follow looks every 0.1 s


class Watched(DuckDbStore):
    """A store that notes its batches, each as the sizes of its blocks, and may be away."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.away = threading.Event()
        self.batches: list[list[int]] = []
        self.tries = 0
        self.refuses: tuple[Refused, ...] = ()

    def append(self, batch: Sequence[tuple[Offset, Block]]) -> Appended:
        self.tries += 1
        if self.away.is_set():
            raise StoreUnavailable("away for the test")
        appended = super().append(batch)._replace(refused=self.refuses)
        self.batches.append([len(block) for _, block in batch])
        return appended


class Scene:
    """A journal, a store and a clock that stands."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.metrics = ManualClock(), Metrics()
        self.journal = SqliteJournal(folder / "journal.db", "town", ["store"])
        self.store = Watched(folder / "readings.duckdb")
        self.given = 0

    def give(self, *sizes: int) -> None:
        """Journal blocks of so many readings, each reading with a time of its own, and a tick."""
        entries = []
        for size in sizes:
            at = [self.clock.now() - 1_000 + self.given + n for n in range(size)]
            self.given += size
            entries.append(Entry(RecordKind.BLOCK, Block.of([0] * size, at, at, [1.0] * size).to_bytes(), size))
        self.journal.append([*entries, Entry(RecordKind.TICK, b"")], self.clock.now())

    @contextmanager
    def writing(self, rows: int = 10, linger: int = SECOND) -> Iterator[threading.Event]:
        """The writer at work; it must end within two seconds of being told."""
        ending = threading.Event()
        writer = StoreWriter(self.journal, self.store, self.clock, self.metrics, rows, linger)
        thread = threading.Thread(target=writer.run, args=(ending,))
        thread.start()
        try:
            yield ending
        finally:
            ending.set()
            thread.join(2)
        assert not thread.is_alive()

    def acknowledged(self) -> Offset:
        self.journal.flush()
        return self.journal.acknowledged("store")

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"shouwang_{name}_total")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr("ingest.writer._FIRST_PAUSE", 0.05)
    made = Scene(tmp_path)
    yield made
    made.store.close()
    made.journal.close()


def until(condition: Callable[[], bool]) -> None:
    wait_until(condition, "the writer", 20)


def test_a_full_batch_is_written_at_once(scene: Scene) -> None:
    with scene.writing(rows=10):
        scene.give(4, 4, 4, 12, 3)
        until(lambda: scene.store.batches == [[4, 4, 4], [12]])
        until(lambda: scene.acknowledged() == Offset(0, 4))
        time.sleep(SOON)
        assert scene.store.batches == [[4, 4, 4], [12]], "what is left waits for its time"


def test_what_is_left_is_written_after_its_time(scene: Scene) -> None:
    with scene.writing(linger=SECOND):
        scene.give(3)
        time.sleep(SOON)
        scene.clock.advance(SECOND - 1)
        time.sleep(SOON)
        assert scene.store.batches == []
        scene.clock.advance(1)
        until(lambda: scene.store.batches == [[3]])


def test_without_readings_the_journal_is_still_let_go(scene: Scene) -> None:
    with scene.writing():
        scene.give()
        until(lambda: scene.acknowledged() == scene.journal.head())
    assert scene.store.tries == 0


def test_a_store_that_was_away_misses_nothing(scene: Scene) -> None:
    scene.store.away.set()
    with scene.writing(rows=2):
        scene.give(2, 2)
        until(lambda: scene.store.tries >= 2)
        scene.give(2)
        assert scene.acknowledged() == START, "the journal keeps what the store has not"
        scene.store.away.clear()
        until(lambda: sum(map(sum, scene.store.batches)) == 6)
    assert scene.store.counts() == (6, 0)
    assert (scene.count("stored"), scene.count("duplicates")) == (6, 0)


def test_it_ends_though_the_store_is_away_and_goes_on_from_there(scene: Scene) -> None:
    scene.store.away.set()
    with scene.writing(rows=2):
        scene.give(*[2] * 200)
        until(lambda: scene.store.tries == 1)
    assert scene.store.tries <= 3, "it does not try every record once more before it ends"
    scene.store.away.clear()
    with scene.writing(rows=2):
        until(lambda: scene.store.counts().stored == 400)
    assert scene.store.counts() == (400, 0)


def test_the_end_writes_what_is_in_hand(scene: Scene) -> None:
    with scene.writing(linger=3600 * SECOND):
        scene.give(3)
        time.sleep(SOON)
        assert scene.store.batches == []
    assert scene.store.batches == [[3]]


def test_after_a_crash_the_store_knows_what_it_has(scene: Scene) -> None:
    with scene.writing(rows=1):
        scene.give(2, 2)
        until(lambda: scene.store.counts().stored == 4)
    with scene.writing(rows=1):  # the journal's acknowledgement may be older than the store
        scene.give(2)
        until(lambda: scene.store.counts().stored == 6)
    assert scene.store.batches == [[2], [2], [2]]


def test_what_the_store_refuses_becomes_a_message_that_can_be_sent_again(scene: Scene) -> None:
    at = scene.clock.now() - 5_000
    scene.store.refuses = (
        Refused("GW-1", "GAS-1", "gas_lel", at, at + 9, 1.5, "out of its time"),
        Refused("GW-1", "GAS-1", "battery", at, at + 9, float("inf"), "no number"),
        Refused("GW-1", "GAS-1", "rssi", at, at + 9, -70.0, "out of its time"),
        Refused("GW-1", "GAS-2", "rssi", at + 1, at + 9, -71.0, "out of its time"),
    )
    with scene.writing(rows=2):
        scene.give(2)
        until(lambda: scene.acknowledged() >= Offset(0, 1))
    rejects = [decode_reject(r.payload) for r in scene.journal.read(START, 100) if r.kind is RecordKind.REJECT]
    assert [(reject.gateway, reject.reason, reject.detail, reject.readings) for reject in rejects] == [
        ("GW-1", "store_refused", "no number", 1),
        ("GW-1", "store_refused", "out of its time", 2),
        ("GW-1", "store_refused", "out of its time", 1),
    ]
    assert [reject.received_at for reject in rejects] == [at + 9] * 3
    registry = scene.metrics.registry
    assert registry.get_sample_value("shouwang_rejects_total", {"reason": "store_refused"}) == 3
    assert scene.count("rejected_readings") == 4
    dialect = FORMATS["v1"]("GW-1", {})
    sent_again = [dialect.decode(Message(r.topic, r.payload, r.received_at), None) for r in rejects[1:]]
    assert sent_again == [
        [Measured("GAS-1", {"gas_lel": 1.5, "rssi": -70.0}, at // 1000)],
        [Measured("GAS-2", {"rssi": -71.0}, (at + 1) / 1000)],
    ]


def test_dead_letters_wait_for_a_journal_that_is_full(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.store.refuses = (Refused("GW-1", "GAS-1", "gas_lel", 1, 2, 1.5, "out of its time"),)
    append, tries = scene.journal.append, []

    def full(entries: Sequence[Entry], now: int) -> Offset:
        if entries[0].kind is RecordKind.REJECT and len(tries) < 2:
            tries.append(now)
            raise JournalFull("full for the test")
        return append(entries, now)

    monkeypatch.setattr(scene.journal, "append", full)
    with scene.writing(rows=2):
        scene.give(2)
        until(lambda: scene.acknowledged() >= Offset(0, 1))
    assert len(tries) == 2
    assert sum(record.kind is RecordKind.REJECT for record in scene.journal.read(START, 100)) == 1


def test_the_hop_is_timed_for_readings_whose_time_is_their_own(scene: Scene) -> None:
    now = scene.clock.now()
    at = [now - 2_000_000, now - 900_000_000]
    block = Block.of([0, 1], at, [now, now], [1.0, 1.0], [0, int(Quality.AGED)])
    with scene.writing(rows=2):
        scene.journal.append([Entry(RecordKind.BLOCK, block.to_bytes(), 2)], now)
        until(lambda: scene.store.batches == [[2]])
    assert scene.metrics.latencies["store"].percentiles() == {"p50": 2000.0, "p99": 2000.0}
