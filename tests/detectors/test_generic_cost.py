"""What every detector must hold to, however long it runs: bounded memory and a cost that grows with the readings."""

import time
from collections.abc import Callable

import msgspec
import numpy as np

from core.clock import MINUTE, SECOND
from core.journal import Offset, Record, RecordKind
from detectors.safety import SafetyDetector
from ingest.words import Block
from tests.detectors.stage import START
from tests.detectors.streams import SERIES
from tests.detectors.test_generic import every_detector

SHORT, LONG = 4_000, 80_000


def days(first: int, count: int) -> list[Record]:
    """Wandering values of all series each minute, with a tick behind each: a record of either for every minute."""
    random, records = np.random.default_rng(first), []
    for step in range(first, first + count):
        now = START + step * MINUTE
        value = random.choice([0.0, 9.0, 24.0, 50.0, 81.0], SERIES) + random.random(SERIES)
        times = np.full(SERIES, now)
        block = Block.of(np.arange(SERIES), times, times, value)
        records.append(Record(Offset(0, 2 * step + 1), now, RecordKind.BLOCK, block.to_bytes()))
        records.append(Record(Offset(0, 2 * step + 2), now + SECOND, RecordKind.TICK, b""))
    return records


def weight(detector: SafetyDetector) -> int:
    """Bytes that all of its state takes."""
    meta, arrays = detector.snapshot()
    return len(msgspec.msgpack.encode(meta)) + sum(array.nbytes for array in arrays.values())


@every_detector
def test_memory_is_bounded(make: Callable[[], SafetyDetector]) -> None:
    detector, most = make(), 0
    for record in days(0, 400):
        list(detector.apply(record))
        most = max(most, weight(detector))
    for record in days(400, 2_000):
        list(detector.apply(record))
    assert weight(detector) <= 1.25 * most


def backlog(count: int) -> Record:
    """One device's readings, one a second, none of which is remarkable."""
    at = START + np.arange(count) * SECOND
    block = Block.of(np.zeros(count, np.int32), at, at, 1 + np.arange(count) % 3)
    return Record(Offset(0, 2), int(at[-1]), RecordKind.BLOCK, block.to_bytes())


def seconds_for(make: Callable[[], SafetyDetector], record: Record) -> float:
    """The least time of the processor in which a new detector takes a record."""
    taken = []
    for _ in range(5):
        detector = make()
        list(detector.apply(Record(Offset(0, 1), START, RecordKind.TICK, b"")))
        began = time.thread_time()
        list(detector.apply(record))
        taken.append(time.thread_time() - began)
    return min(taken)


@every_detector
def test_the_cost_grows_with_the_readings_and_no_faster(make: Callable[[], SafetyDetector]) -> None:
    """Twenty times the readings in less than a hundred times the time: with their square it would be four hundred."""
    few, many = backlog(SHORT), backlog(LONG)
    seconds_for(make, few)
    assert seconds_for(make, many) < 100 * max(seconds_for(make, few), 1e-4)
