"""The safety consumer over failures: transactions, snapshots, journals and registries that are not what they should."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError

from alerts.desk import applied_offset
from alerts.tables import alert
from core import snapshot
from core.clock import SECOND, ManualClock
from core.database import reading, writing
from core.journal import START, Entry, Record, RecordKind
from core.lifecycle import Worker
from core.metrics import Metrics
from core.sqlite_journal import SqliteJournal
from detectors.rules import record_version
from detectors.words import Detection
from devices.registry import Registry, RegistryError
from ingest.words import Control, RegistryChanged, RulesChanged, encode
from shouwang import watch as module
from shouwang.watch import SafetyWatch
from tests.detectors.stage import PACKS, Device, Row, block_of, moment, registry_of
from tests.detectors.stage import START as EPOCH
from tests.servers import wait_until

TOWN = (Device("GAS-1", "gas"), Device("GAS-2", "gas"))


class Post:
    """A safety consumer with its journal, database and snapshot; a `run` is a process's life to the journal's end."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.clock = ManualClock(EPOCH)
        self.registry: Registry | Exception = registry_of(TOWN)
        self.journal = self.open_journal("journal.db")
        with writing(engine) as connection:
            record_version(connection, PACKS, "test", "", EPOCH)
        self.watch = self.new_watch()

    def open_journal(self, name: str) -> SqliteJournal:
        return SqliteJournal(self.folder / name, "town", ["safety"])

    def new_watch(self) -> SafetyWatch:
        state = self.folder / "safety.snapshot"
        return SafetyWatch(self.journal, self.engine, self.clock, Metrics(), state, self.load_registry)

    def load_registry(self) -> Registry:
        if isinstance(self.registry, Exception):
            raise self.registry
        return self.registry

    def append(self, kind: RecordKind, payload: bytes, now: float) -> None:
        self.journal.append([Entry(kind, payload)], moment(now))

    def read(self, at: float, value: float, device: str = "GAS-1") -> None:
        block = block_of(registry_of(TOWN), [Row(device, "gas_lel", at, value)])
        self.append(RecordKind.BLOCK, block.to_bytes(), at)

    def control(self, control: Control, now: float) -> None:
        self.append(RecordKind.CONTROL, encode(control), now)

    def run(self, kill: bool = False) -> None:
        """Live until all is read; a killed process saves nothing."""
        ending = threading.Event()
        if kill:
            self.watch._save = lambda *_: None  # type: ignore[method-assign]
        worker = threading.Thread(target=self.watch.run, args=(ending,))
        worker.start()
        head = self.journal.head()
        last = self.journal.read(START._replace(n=head.n - 1), 1)[0]
        for _ in range(500):
            if self.watch.reached >= last.time or not worker.is_alive():
                break
            ending.wait(0.01)
        ending.set()
        worker.join(10)
        self.watch = self.new_watch()

    def alerts(self) -> list[tuple[str, str, int, str]]:
        statement = select(alert.c.subject_id, alert.c.rule, alert.c.onset, alert.c.state).order_by(alert.c.id)
        with reading(self.engine) as connection:
            found = connection.execute(statement).all()
        return [(row[0], row[1], (row[2] - EPOCH) // SECOND, row[3]) for row in found]


@pytest.fixture
def post(engine: Engine, tmp_path: Path) -> Iterator[Post]:
    post = Post(engine, tmp_path)
    yield post
    post.journal.close()


def leak(post: Post, at: float, device: str = "GAS-1") -> None:
    post.read(at, 60, device)
    post.read(at + 6, 61, device)


def test_a_transaction_that_fails_is_done_again_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker starts from the snapshot again: nothing is lost, nothing doubled."""
    leak(post, 0)

    @contextmanager
    def locked(_engine: Engine) -> Iterator[Connection]:
        raise OperationalError("begin", {}, Exception("database is locked"))
        yield

    with monkeypatch.context() as down:
        down.setattr(module, "writing", locked)
        with pytest.raises(OperationalError):
            post.watch.run(threading.Event())
    assert post.alerts() == []
    for _ in range(2):
        post.run(kill=True)
        assert post.alerts() == [("GAS-1", "gas.leak", 0, "open")]


def test_a_damaged_snapshot_stops_nothing(post: Post) -> None:
    leak(post, 0)
    post.run()
    state = post.folder / "safety.snapshot"
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(snapshot.SnapshotDamaged):
        snapshot.load(state)
    leak(post, 20, "GAS-2")
    post.read(30, 2)
    post.run()
    assert post.alerts() == [("GAS-1", "gas.leak", 0, "closed"), ("GAS-2", "gas.leak", 20, "open")]


def test_a_device_retired_while_the_platform_was_down_ends_its_alert(post: Post) -> None:
    """Also when the snapshot is older than what is applied: the ending is said behind that, or it would be dropped."""
    leak(post, 10)
    post.run()
    leak(post, 20, "GAS-2")
    post.run(kill=True)
    post.registry = registry_of([TOWN[0]._replace(state="retired"), TOWN[1]], 2)
    post.control(RegistryChanged(2), 40)
    post.run()
    assert post.alerts() == [("GAS-1", "gas.leak", 10, "closed"), ("GAS-2", "gas.leak", 20, "open")]


def test_a_new_journal_is_read_from_its_beginning(post: Post) -> None:
    """Its offsets are smaller than what is applied, and alarm all the same."""
    for second in range(50):
        post.append(RecordKind.TICK, b"", second)
    leak(post, 60)
    post.run()
    post.journal.close()
    post.journal = post.open_journal("another.db")
    post.watch = post.new_watch()
    leak(post, 100, "GAS-2")
    post.read(110, 2)
    post.run()
    assert post.alerts() == [("GAS-1", "gas.leak", 60, "closed"), ("GAS-2", "gas.leak", 100, "open")]


@pytest.mark.parametrize("where", ["journal", "snapshot"])
def test_rules_that_a_restored_database_does_not_know_silence_nobody(post: Post, where: str) -> None:
    if where == "journal":
        post.control(RulesChanged(7), 0)
    else:
        detector, _ = post.watch._resume()
        meta, arrays = detector.snapshot()
        snapshot.save(post.folder / "safety.snapshot", {**meta, "rules_version": 7}, arrays)
    leak(post, 10)
    post.run()
    assert post.alerts() == [("GAS-1", "gas.leak", 10, "open")]


def test_a_device_of_an_unknown_type_silences_nobody(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    detector, place = post.watch._resume()
    post.registry = RegistryError("no device type file for lift (1 devices)")
    post.control(RegistryChanged(2), 0)
    leak(post, 10)
    post.watch._take(detector, post.journal.read(place, 10))
    assert post.alerts() == [("GAS-1", "gas.leak", 10, "open")]


def test_the_snapshot_is_written_before_the_journal_may_forget(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def save(*_: Any) -> None:
        order.append("save")

    monkeypatch.setattr(module.snapshot, "save", save)
    monkeypatch.setattr(post.journal, "acknowledge", lambda *_: order.append("acknowledge"))
    leak(post, 0)
    post.run()
    assert order[:2] == ["save", "acknowledge"]


def test_a_record_that_nobody_foresaw_is_left_out_at_the_third_try(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = module.SafetyDetector.apply
    bad = post.journal.head().n + 2

    def failing(detector: module.SafetyDetector, record: Record) -> list[Detection]:
        if record.offset.n == bad:
            raise ZeroDivisionError("unforeseen")
        return judge(detector, record)

    monkeypatch.setattr(module.SafetyDetector, "apply", failing)
    for at in (0, 3, 6, 9):
        post.read(at, 60)
    watch, ending = post.watch, threading.Event()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            watch.run(ending)
    worker = Worker("safety", watch.run)
    worker.start()
    wait_until(lambda: watch.reached == moment(9), "the last record", 20)
    worker.stop(5)
    assert post.alerts() == [("GAS-1", "gas.leak", 0, "open")]


def place(post: Post) -> int:
    with reading(post.engine) as connection:
        return applied_offset(connection, "safety").n


def test_the_database_says_how_far_detection_is_where_nothing_is_found(post: Post) -> None:
    post.read(1, 0.0)
    post.run()
    first = place(post)
    assert first == post.journal.head().n
    post.read(2, 0.0)
    post.run()
    assert place(post) == first + 1
    assert post.alerts() == []


def test_a_database_that_is_away_keeps_no_snapshot_from_being_written(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("gone"))

    monkeypatch.setattr("shouwang.watch.write_applied", away)
    post.read(1, 0.0)
    post.run()
    assert place(post) == START.n
    assert snapshot.load(post.folder / "safety.snapshot")
