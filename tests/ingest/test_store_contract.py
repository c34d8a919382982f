"""What every readings store promises; an adapter joins by one line in ADAPTERS."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.journal import START, Offset
from ingest.duckdb_store import DuckDbStore
from ingest.store import FIVE_MINUTES, ONE_HOUR, Appended, Counts, Curve, Point, ReadingStore, RollUp
from ingest.words import Block
from tests.influx_server import InfluxOne, influx_opener, named_server

Open = Callable[[Path], ReadingStore]
"""Opens the store that lives in a folder; again, after a close, with what it held."""

T = 1_790_000_000_000_000
ALL = (0, 2**62)


def _duckdb(request: pytest.FixtureRequest) -> Iterator[Open]:
    yield lambda folder: DuckDbStore(folder / "readings.duckdb")


def _influx_one(request: pytest.FixtureRequest) -> Iterator[Open]:
    server: InfluxOne = request.getfixturevalue("influx_one")
    yield influx_opener(server.address)


def _influx_two(request: pytest.FixtureRequest) -> Iterator[Open]:
    with named_server() as address:
        yield influx_opener(lambda bucket: address._replace(bucket=bucket))


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], Iterator[Open]]] = {
    "duckdb": _duckdb,
    "influx 1.x": _influx_one,
    "influx 2.x": _influx_two,
}


@pytest.fixture(params=ADAPTERS.values(), ids=ADAPTERS.keys(), scope="module")
def open_store(request: pytest.FixtureRequest) -> Iterator[Open]:
    yield from request.param(request)


@pytest.fixture
def store(open_store: Open, tmp_path: Path) -> Iterator[ReadingStore]:
    store = open_store(tmp_path)
    yield store
    store.close()


def readings(*rows: tuple[int, int, float]) -> Block:
    """A block of (series, at, value); the quality tells the value's whole part apart from another's."""
    series, at, value = zip(*rows, strict=True) if rows else ((), (), ())
    return Block.of(series, at, [moment + 7 for moment in at], value, [int(number) % 32 for number in value])


def raw(store: ReadingStore, series: int) -> dict[int, float]:
    curve = store.range(series, *ALL, 10**6)
    assert curve.low.tolist() == curve.mean.tolist() == curve.high.tolist()
    assert np.all(np.diff(curve.at) > 0)
    return dict(zip(curve.at.tolist(), curve.mean.tolist(), strict=True))


def test_a_new_store_is_empty(store: ReadingStore) -> None:
    assert store.applied() == START
    assert store.counts() == Counts(0, 0)
    assert store.latest([0, 1, 10**6]) == {}
    assert len(store.range(0, *ALL, 10)) == 0
    assert store.append([]) == Appended(0, 0, 0)


def test_keeps_what_it_is_given(store: ReadingStore) -> None:
    batch = [(Offset(0, 1), readings((3, T, 1.5), (4, T, 2.25))), (Offset(0, 2), readings((3, T + 10, 3.125)))]
    assert store.append(batch) == Appended(3, 0, 0)
    assert store.applied() == Offset(0, 2)
    assert store.counts() == Counts(3, 0)
    assert raw(store, 3) == {T: 1.5, T + 10: 3.125}
    assert store.latest([3, 4, 5]) == {3: Point(T + 10, 3.125, 3), 4: Point(T, 2.25, 2)}


def test_newest_is_by_its_own_time_not_by_arrival(store: ReadingStore) -> None:
    store.append([(Offset(0, 1), readings((0, T, 1.0)))])
    store.append([(Offset(0, 2), readings((0, T - 50, 2.0)))])
    assert store.latest([0])[0].at == T
    assert raw(store, 0) == {T - 50: 2.0, T: 1.0}
    assert store.counts() == Counts(2, 0)


def test_the_last_write_wins_across_batches(store: ReadingStore) -> None:
    store.append([(Offset(0, 1), readings((0, T, 1.0), (0, T + 1, 1.0)))])
    assert store.append([(Offset(0, 2), readings((0, T, 2.0), (0, T + 1, 3.0)))]) == Appended(0, 2, 0)
    assert raw(store, 0) == {T: 2.0, T + 1: 3.0}
    assert store.latest([0]) == {0: Point(T + 1, 3.0, 3)}


def test_the_last_write_wins_within_a_batch(store: ReadingStore) -> None:
    batch = [(Offset(0, 1), readings((0, T, 1.0), (0, T, 2.0))), (Offset(0, 2), readings((0, T, 3.0), (1, T, 4.0)))]
    assert store.append(batch) == Appended(2, 2, 0)
    assert raw(store, 0) == {T: 3.0}


def test_a_replay_changes_nothing(store: ReadingStore) -> None:
    first = [(Offset(0, 1), readings((0, T, 1.0))), (Offset(0, 2), readings((0, T + 1, 2.0), (0, T, 5.0)))]
    store.append(first)
    assert store.append(first) == Appended(0, 0, 3)
    later = [first[1], (Offset(0, 3), readings((0, T + 2, 3.0)))]
    assert store.append(later) == Appended(1, 0, 2)
    assert store.counts() == Counts(3, 1)
    assert store.applied() == Offset(0, 3)
    assert raw(store, 0) == {T: 5.0, T + 1: 2.0, T + 2: 3.0}


def test_a_block_without_readings_moves_the_offset(store: ReadingStore) -> None:
    assert store.append([(Offset(0, 9), readings())]) == Appended(0, 0, 0)
    assert store.applied() == Offset(0, 9)


def test_everything_survives_a_reopening(open_store: Open, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append([(Offset(0, 5), readings((7, T, 1.0), (7, T, 2.0), (1200, T + 3, 3.0)))])
    store.close()
    store = open_store(tmp_path)
    assert store.applied() == Offset(0, 5)
    assert store.counts() == Counts(2, 1)
    assert store.latest([7, 1200]) == {7: Point(T, 2.0, 2), 1200: Point(T + 3, 3.0, 3)}
    assert store.append([(Offset(0, 6), readings((7, T, 4.0)))]) == Appended(0, 1, 0)
    store.close()


def test_times_from_1970_to_2036_stand_side_by_side(store: ReadingStore) -> None:
    moments = [0, 1, T, T - 40 * 86_400_000_000, 2_082_758_399_000_000]
    for n, moment in enumerate(moments, 1):
        store.append([(Offset(0, n), readings((0, moment, 1.0)))])
    again = readings(*((0, moment, 2.0) for moment in moments))
    assert store.append([(Offset(0, 9), again)]) == Appended(0, 5, 0)
    assert raw(store, 0) == dict.fromkeys(sorted(moments), 2.0)


def test_a_range_holds_its_start_and_not_its_end(store: ReadingStore) -> None:
    store.append([(Offset(0, 1), readings(*((0, T + i, float(i)) for i in range(10)), (1, T + 3, 99.0)))])
    assert store.range(0, T + 2, T + 5, 100).at.tolist() == [T + 2, T + 3, T + 4]
    assert len(store.range(0, T + 5, T + 5, 100)) == 0


@pytest.mark.parametrize("points", [1, 7, 99, 1000])
def test_a_downsampled_curve_keeps_extremes_and_the_newest(store: ReadingStore, points: int) -> None:
    random = np.random.default_rng(points)
    at = T + np.sort(random.choice(10**6, 1000, replace=False))
    value = random.normal(size=1000)
    store.append([(Offset(0, 1), Block.of([0] * 1000, at.tolist(), at.tolist(), value.tolist()))])
    curve = store.range(0, T, T + 10**6, points)
    assert 1 <= len(curve) <= points
    assert set(curve.at.tolist()) <= set(at.tolist())
    assert np.all(np.diff(curve.at) > 0)
    assert curve.at[-1] == at[-1]
    assert (curve.low.min(), curve.high.max()) == (value.min(), value.max())
    assert np.all(curve.low <= curve.mean + 1e-12)
    assert np.all(curve.mean <= curve.high + 1e-12)
    check_buckets(curve, at, value)


def check_buckets(curve: Curve, at: np.ndarray, value: np.ndarray) -> None:
    """Each point stands for the readings since the point before it."""
    starts = np.concatenate([[0], np.searchsorted(at, curve.at[:-1], side="right")])
    np.testing.assert_array_equal(curve.low, np.minimum.reduceat(value, starts))
    np.testing.assert_array_equal(curve.high, np.maximum.reduceat(value, starts))
    lengths = np.diff(np.append(starts, len(at)))
    np.testing.assert_allclose(curve.mean, np.add.reduceat(value, starts) / lengths, atol=1e-9)


def test_a_curve_of_no_points_is_refused(store: ReadingStore) -> None:
    with pytest.raises(ValueError, match="0 points"):
        store.range(0, *ALL, 0)


def test_retention_deletes_what_is_older(store: ReadingStore) -> None:
    store.append([(Offset(0, 1), readings((0, T, 1.0), (0, T + 10, 2.0), (1, T, 3.0)))])
    assert store.retain(T + 10) == 2
    assert store.retain(T + 10) == 0
    assert raw(store, 0) == {T + 10: 2.0}
    assert set(store.latest([0, 1])) == {0}
    assert store.counts() == Counts(3, 0)
    assert store.append([(Offset(0, 2), readings((1, T, 4.0)))]) == Appended(1, 0, 0)
    assert raw(store, 1) == {T: 4.0}


def test_readers_see_whole_batches_while_the_writer_writes(store: ReadingStore) -> None:
    """Every batch writes all its series at one moment, so a reader's newest must never differ by more than a batch."""
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            newest = {point.at for point in store.latest(range(50)).values()}
            assert len(newest) <= 1
            seen.append(len(store.range(7, *ALL, 10**6)))

    reader = threading.Thread(target=watch)
    reader.start()
    for n in range(1, 101):
        store.append([(Offset(0, n), readings(*((series, T + n, 1.0) for series in range(50))))])
    done.set()
    reader.join()
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert len(store.range(7, *ALL, 10**6)) == 100


def bucket_of(series: int, start: int, count: int) -> RollUp:
    """One bucket that tells its numbers apart."""
    columns = [series], [start], [count - 0.5], [count + 0.25], [count + 0.5], [count]
    kinds = np.int32, np.int64, np.float64, np.float64, np.float64, np.int64
    return RollUp(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def buckets(store: ReadingStore, width: int, series: list[int], since: int, until: int) -> list[tuple[int, int, int]]:
    found = store.rollup(width, np.array(series, np.int32), since, until)
    assert found.low.tolist() == [count - 0.5 for count in found.count.tolist()]
    assert found.mean.tolist() == [count + 0.25 for count in found.count.tolist()]
    assert found.high.tolist() == [count + 0.5 for count in found.count.tolist()]
    return list(zip(found.series.tolist(), found.start.tolist(), found.count.tolist(), strict=True))


def test_rows_of_many_series_come_in_order(store: ReadingStore) -> None:
    store.append([(Offset(0, 1), readings((5, T + 1, 1.5), (0, T, 2.5), (5, T, 3.5), (2, T, 4.5), (0, T + 9, 5.5)))])
    store.append([(Offset(0, 2), readings((5, T, 6.5)))])
    found = store.rows(np.array([5, 0, 1999], np.int32), T, T + 9)
    rows = zip(found.series.tolist(), found.at.tolist(), found.value.tolist(), strict=True)
    assert list(rows) == [(0, T, 2.5), (5, T, 6.5), (5, T + 1, 1.5)]
    assert len(store.rows(np.array([5], np.int32), T + 2, T + 2)) == 0
    assert len(store.rows(np.empty(0, np.int32), *ALL)) == 0


@pytest.mark.parametrize("width", [FIVE_MINUTES, ONE_HOUR])
def test_a_bucket_replaces_itself_and_goes_when_it_is_old(store: ReadingStore, width: int) -> None:
    start = T - T % width
    for series, at, count in ((0, start, 7), (1, start, 8), (0, start + width, 9), (0, start, 10)):
        store.put_rollup(width, bucket_of(series, at, count))
    everything = [(0, start, 10), (0, start + width, 9), (1, start, 8)]
    assert buckets(store, width, [1, 0, 3], start, start + 2 * width) == everything
    assert buckets(store, width, [0], start, start + width) == [(0, start, 10)]
    other = ONE_HOUR if width == FIVE_MINUTES else FIVE_MINUTES
    assert buckets(store, other, [0, 1], *ALL) == []
    store.retain_rollup(width, start + width)
    assert buckets(store, width, [0, 1], *ALL) == [(0, start + width, 9)]


BATCHES = st.lists(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.floats(-9, 9)), max_size=6), max_size=3),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES, back=st.lists(st.integers(0, 4), min_size=6, max_size=6), reopen=st.integers(0, 6))
def test_agrees_with_a_dict(
    open_store: Open, tmp_path_factory: pytest.TempPathFactory, batches: list, back: list[int], reopen: int
) -> None:
    """Duplicates, disorder, and after each batch a replay of up to four blocks before it."""
    folder = tmp_path_factory.mktemp("model")
    store = open_store(folder)
    journal: list[tuple[Offset, Block]] = []
    kept: dict[tuple[int, int], float] = {}
    duplicates = 0
    for turn, blocks in enumerate(batches):
        if turn == reopen:
            store.close()
            store = open_store(folder)
        again = journal[len(journal) - back[turn] :] if back[turn] else []
        fresh = []
        for rows in blocks:
            fresh.append((Offset(0, len(journal) + 1), readings(*((s, T + t * 10**9, v) for s, t, v in rows))))
            journal.append(fresh[-1])
        before, was = len(kept), duplicates
        for series, t, value in (row for rows in blocks for row in rows):
            duplicates += (series, T + t * 10**9) in kept
            kept[series, T + t * 10**9] = value
        expected = Appended(len(kept) - before, duplicates - was, sum(len(block) for _, block in again))
        assert store.append([*again, *fresh]) == expected
    assert store.counts() == Counts(len(kept), duplicates)
    for series in range(4):
        mine = {at: value for (number, at), value in kept.items() if number == series}
        assert raw(store, series) == mine
        newest = store.latest([series])
        assert {s: (p.at, p.value) for s, p in newest.items()} == ({series: max(mine.items())} if mine else {})
    store.close()


def test_readings_are_scanned_in_the_order_of_time(store: ReadingStore) -> None:
    first = readings((5, T, 1.0), (3, T + 60 * 10**6, 2.0), (3, T + 200 * 10**6, 33.0))
    store.append([(Offset(0, 1), first), (Offset(0, 2), readings((5, T + 90 * 10**6, 4.0)))])
    slices = store.slices(None, T, T + 300 * 10**6, 2)
    blocks = [store.scan(None, piece.since, piece.until) for piece in slices]
    assert [number for block in blocks for number in block.series.tolist()] == [5, 3, 5, 3]
    assert [value for block in blocks for value in block.value.tolist()] == [1.0, 2.0, 4.0, 33.0]
    assert [flags for block in blocks for flags in block.quality.tolist()] == [1, 2, 4, 1]
    known = [moment for block in blocks for moment in block.received_at.tolist()]
    assert known == sorted(known)
    assert all(slice.since >= T and slice.until <= T + 300 * 10**6 for slice in slices)
    assert [one.until for one in slices[:-1]] <= [one.since for one in slices[1:]]
    only = store.scan(np.array([3], np.int32), T, T + 300 * 10**6)
    assert only.value.tolist() == [2.0, 33.0]
    assert len(store.scan(np.array([], np.int32), T, T + 300 * 10**6)) == 0
    assert len(store.scan(None, T + 10**9, T + 2 * 10**9)) == 0
