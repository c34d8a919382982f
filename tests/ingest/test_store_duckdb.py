"""What only the embedded store can be asked: kills, a second owner, a disk that is full."""

import os
import random
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from core.journal import Offset
from ingest.duckdb_store import DuckDbStore, Footprint
from ingest.newest import Newest
from ingest.store import Appended, Counts, StoreBusy, StoreUnavailable
from ingest.words import Block

SCRIPT = Path(__file__).with_name("append_forever.py")
ROOT = SCRIPT.parents[2]
block = runpy.run_path(str(SCRIPT))["block"]


def start(path: Path) -> subprocess.Popen[str]:
    """The appending process, once it appends."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(path)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "appending\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_counts_exactly_through_kills_and_replays(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    reached = []
    for _ in range(6):
        process = start(path)
        time.sleep(random.uniform(0.02, 0.4))
        kill(process)
        store = DuckDbStore(path).open()
        reached.append(store.applied().n)
        check_against_truth(store)
        store.close()
    assert reached == sorted(reached)
    assert reached[-1] > reached[0] > 0


def check_against_truth(store: DuckDbStore) -> None:
    kept: dict[tuple[int, int], float] = {}
    received = 0
    for n in range(1, store.applied().n + 1):
        rows = block(n)
        received += len(rows)
        kept.update(zip(zip(rows.series.tolist(), rows.at.tolist(), strict=True), rows.value.tolist(), strict=True))
    assert store.counts() == Counts(len(kept), received - len(kept))
    found = {}
    for series in range(40):
        curve = store.range(series, -(10**9), 10**12, 10**7)
        found.update({(series, at): value for at, value in zip(curve.at.tolist(), curve.mean.tolist(), strict=True)})
        assert len(np.unique(curve.at)) == len(curve)
    assert found == kept
    newest = {series: max(at for number, at in kept if number == series) for series in {number for number, _ in kept}}
    assert {series: point.at for series, point in store.latest(range(40)).items()} == newest


def test_a_second_process_is_told_who_owns_the_file(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    process = start(path)
    with pytest.raises(StoreBusy, match=r"another process has the readings store .* open"):
        DuckDbStore(path).open()
    kill(process)
    DuckDbStore(path).open().close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    path.write_bytes(b"not a database, but longer than a header would be" * 1000)
    with pytest.raises(StoreUnavailable, match="can't be opened"):
        DuckDbStore(path).open()


@contextmanager
def full_disk() -> Iterator[None]:
    """A limit on the size of this process's files stands for a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def append_from(store: DuckDbStore, first: int, end: int) -> None:
    for n in range(first, end):
        store.append([(Offset(0, n), block(n))])


def test_a_full_disk_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path / "readings.duckdb", Footprint(log="1MB"))
    append_from(store, 1, 61)
    with full_disk(), pytest.raises(StoreUnavailable, match="can't be written"):
        append_from(store, 61, 1000)
    failed = store.applied().n + 1
    append_from(store, failed, failed + 20)
    assert store.applied() == Offset(0, failed + 19)
    check_against_truth(store)
    store.close()


def test_late_readings_of_many_days_are_found(tmp_path: Path) -> None:
    """More separate days than the store makes look-ups."""
    store = DuckDbStore(tmp_path / "readings.duckdb")
    days = [day * 86_400_000_000 for day in range(40)]
    rows = Block.of([0] * 40, days, days, [1.0] * 40)
    store.append([(Offset(0, 1), rows)])
    backwards = Block.of([0] * 40, days[::-1], days, [2.0] * 40)
    assert store.append([(Offset(0, 2), backwards)]) == Appended(0, 40, 0)
    assert set(store.range(0, 0, 2**62, 100).mean.tolist()) == {2.0}
    store.close()


def test_opening_is_explicit_or_at_the_first_use(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path / "readings.duckdb")
    assert list(tmp_path.iterdir()) == []
    assert store.counts() == Counts(0, 0)
    store.close()
    store.close()


def test_the_newest_grow_with_the_series() -> None:
    newest = Newest()
    for series in (0, 5, 1023, 1024, 10**5):
        newest.reach(series)
        newest.fold(np.array([series], np.int32), np.array([9]), np.array([1.0]), np.array([0], np.uint16))
    assert set(newest.points(range(10**5 + 1))) == {0, 5, 1023, 1024, 10**5}
    assert newest.points([-1, 2 * 10**6]) == {}
