"""The roll-ups' consumer: on time, late, over a kill and a store that is away, and the same for every store."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from core.journal import Entry, Offset, RecordKind
from core.sqlite_journal import SqliteJournal
from ingest.duckdb_store import DuckDbStore
from ingest.history import history
from ingest.rollups import GRACE, PACE, RollUps, Touched, merged, summed
from ingest.store import FIVE_MINUTES, ONE_HOUR, ReadingStore, RollUp, Rows, StoreUnavailable
from ingest.words import Block
from tests.influx_server import influx_opener
from tests.servers import wait_until

HOUR_START = 1_790_000_000 * SECOND // HOUR * HOUR
KEEP = {0: 30 * DAY, FIVE_MINUTES: 60 * DAY, ONE_HOUR: 90 * DAY}
Known = dict[tuple[int, int], tuple[float, float, float, int]]


def told(rollup: RollUp) -> Known:
    columns = (column.tolist() for column in (rollup.low, rollup.mean, rollup.high, rollup.count))
    keys = zip(rollup.series.tolist(), rollup.start.tolist(), strict=True)
    return dict(zip(keys, zip(*columns, strict=True), strict=True))


def alike(found: Known, wanted: Known) -> bool:
    """Whether both have the same buckets, the means up to rounding."""
    return found.keys() == wanted.keys() and all(
        found[key] == (low, pytest.approx(mean, rel=1e-9, abs=1e-6), high, count)
        for key, (low, mean, high, count) in wanted.items()
    )


def expected(rows: dict[tuple[int, int], float], width: int) -> Known:
    """The same by plain loops."""
    parts: dict[tuple[int, int], list[float]] = {}
    for (series, at), value in sorted(rows.items()):
        parts.setdefault((series, at // width * width), []).append(value)
    return {key: (min(found), sum(found) / len(found), max(found), len(found)) for key, found in parts.items()}


READINGS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(-3 * 10**9, 3 * 10**10)), st.floats(-1e6, 1e6), max_size=30
)


@given(rows=READINGS)
def test_buckets_agree_with_plain_loops(rows: dict[tuple[int, int], float]) -> None:
    keys = sorted(rows)
    columns = Rows(
        np.array([series for series, _ in keys], np.int32),
        np.array([at for _, at in keys], np.int64),
        np.array([rows[key] for key in keys], np.float64),
    )
    fine = summed(columns, FIVE_MINUTES)
    for made, width in ((fine, FIVE_MINUTES), (merged(fine, ONE_HOUR), ONE_HOUR)):
        assert alike(told(made), expected(rows, width))


class Scene:
    """A journal, a store and its roll-ups, at a clock that stands until it is moved."""

    def __init__(self, folder: Path, store: ReadingStore) -> None:
        self.clock, self.store = ManualClock(HOUR_START), store
        self.journal = SqliteJournal(folder / "journal.db", "town", ["store", "rollup"])
        self.rows: dict[tuple[int, int], float] = {}
        self.place = Offset(0, 0)

    def give(self, *rows: tuple[int, int, float], applied: bool = True) -> None:
        """Journal one block of (series, at, value); the store has it, unless it is behind."""
        series, at, value = zip(*rows, strict=True)
        block = Block.of(series, at, at, value)
        self.place = self.journal.append([Entry(RecordKind.BLOCK, block.to_bytes(), len(rows))], self.clock.now())
        self.rows |= {(number, moment): amount for number, moment, amount in rows}
        if applied:
            self.catch_up(block)

    def catch_up(self, block: Block) -> None:
        self.store.append([(self.place, block)])

    @contextmanager
    def running(self) -> Iterator[RollUps]:
        """The consumer at work; it must end within two seconds of being told."""
        ending = threading.Event()
        rollups = RollUps(self.journal, self.store, self.clock, KEEP)
        thread = threading.Thread(target=rollups.run, args=(ending,))
        thread.start()
        try:
            yield rollups
        finally:
            ending.set()
            thread.join(2)
        assert not thread.is_alive()

    def found(self, width: int) -> Known:
        return told(self.store.rollup(width, np.arange(10, dtype=np.int32), 0, 2**60))

    def is_summed_up(self) -> bool:
        return all(alike(self.found(width), expected(self.rows, width)) for width in (FIVE_MINUTES, ONE_HOUR))

    def acknowledged(self) -> Offset:
        self.journal.flush()
        return self.journal.acknowledged("rollup")


@pytest.fixture(params=["duckdb", "influx 1.x"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    opened: Callable[[Path], ReadingStore] = lambda folder: DuckDbStore(folder / "readings.duckdb")  # noqa: E731
    if request.param != "duckdb":
        opened = influx_opener(request.getfixturevalue("influx_one").address)
    store = opened(tmp_path)
    made = Scene(tmp_path, store)
    yield made
    store.close()
    made.journal.close()


def until(condition: Callable[[], bool], what: str = "the roll-ups") -> None:
    wait_until(condition, what, 20)


def test_a_bucket_is_summed_up_when_it_is_over(scene: Scene) -> None:
    with scene.running():
        scene.give((0, HOUR_START, 1.0), (0, HOUR_START + MINUTE, 4.0), (1, HOUR_START + 7 * MINUTE, 5.0))
        scene.clock.advance(FIVE_MINUTES + GRACE - 1)
        wait_until(lambda: scene.journal.head() == scene.place, "the journal")
        assert scene.found(FIVE_MINUTES) == {}
        scene.clock.advance(1)
        first = (0, HOUR_START)
        until(lambda: set(scene.found(ONE_HOUR)) == {first})
        assert scene.found(FIVE_MINUTES) == scene.found(ONE_HOUR) == {first: (1.0, 2.5, 4.0, 2)}
        scene.clock.advance(FIVE_MINUTES + PACE)
        until(scene.is_summed_up)
        until(lambda: scene.acknowledged() == scene.place, "the acknowledgement")


def test_a_late_reading_changes_its_bucket_within_a_minute(scene: Scene) -> None:
    with scene.running():
        scene.give((0, HOUR_START, 1.0), (1, HOUR_START, 1.0))
        scene.clock.advance(HOUR)
        until(scene.is_summed_up)
        scene.give((0, HOUR_START + 1, 9.0), (0, HOUR_START - 40 * MINUTE, 3.0), (2, HOUR_START - 3 * DAY, 7.0))
        scene.clock.advance(PACE)
        until(scene.is_summed_up)
        scene.give((0, HOUR_START + 1, -9.0))
        scene.clock.advance(PACE)
        until(scene.is_summed_up)


def test_readings_of_the_future_hold_up_the_journal_for_minutes_only(scene: Scene) -> None:
    with scene.running():
        scene.give((0, HOUR_START + 50 * MINUTE, 1.0))

        def a_minute_later() -> bool:
            scene.clock.advance(MINUTE)
            threading.Event().wait(0.15)  # it looks every 0.1 s
            return scene.is_summed_up()

        until(a_minute_later)
        assert scene.clock.now() < HOUR_START + 50 * MINUTE, "before the bucket has begun"
        until(lambda: scene.acknowledged() == scene.place, "the acknowledgement")


def test_it_waits_until_the_store_has_the_readings(scene: Scene) -> None:
    with scene.running():
        scene.give((0, HOUR_START, 1.0), applied=False)
        scene.clock.advance(HOUR)
        threading.Event().wait(0.4)
        assert scene.found(FIVE_MINUTES) == {}
        assert scene.acknowledged() == Offset(0, 0)
        scene.catch_up(Block.of([0], [HOUR_START], [HOUR_START], [1.0]))
        until(scene.is_summed_up)


def test_after_a_kill_it_goes_on_from_what_was_acknowledged(scene: Scene) -> None:
    with scene.running():
        scene.give((0, HOUR_START, 1.0))
        scene.clock.advance(FIVE_MINUTES + GRACE)
        until(scene.is_summed_up)
        scene.give((0, HOUR_START + FIVE_MINUTES, 2.0))
    scene.give((1, HOUR_START + FIVE_MINUTES + 1, 3.0))
    scene.clock.advance(FIVE_MINUTES + PACE)
    with scene.running():
        until(scene.is_summed_up)


def test_a_store_that_is_away_is_asked_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    put, tries = scene.store.put_rollup, []

    def away(width: int, rollup: RollUp) -> None:
        tries.append(width)
        if len(tries) < 3:
            raise StoreUnavailable("away for the test")
        put(width, rollup)

    monkeypatch.setattr(scene.store, "put_rollup", away)
    with scene.running():
        scene.give((0, HOUR_START, 1.0))
        scene.clock.advance(HOUR)
        for wanted in (1, 2):
            until(lambda wanted=wanted: len(tries) == wanted)  # type: ignore[misc]
            assert scene.acknowledged() == Offset(0, 0)
            scene.clock.advance(10 * SECOND)
        until(scene.is_summed_up)


def test_a_roll_up_outlives_its_readings_and_goes_at_last(scene: Scene) -> None:
    with scene.running():
        scene.give((0, HOUR_START, 1.0), (0, HOUR_START + MINUTE, 2.0))
        scene.clock.advance(HOUR)
        until(scene.is_summed_up)
        scene.clock.advance(31 * DAY)
        scene.store.retain(scene.clock.now() - KEEP[0])
        scene.give((0, HOUR_START + MINUTE, 3.0))  # too late: what else was in the bucket is gone
        scene.clock.advance(PACE)
        until(lambda: scene.acknowledged() == scene.place, "the acknowledgement")
        assert scene.found(FIVE_MINUTES) == {(0, HOUR_START): (1.0, 1.5, 2.0, 2)}
        scene.clock.advance(30 * DAY)
        until(lambda: scene.found(FIVE_MINUTES) == {}, "the end of the 5-minute roll-ups")
        assert set(scene.found(ONE_HOUR)) == {(0, HOUR_START)}


def test_a_server_that_deletes_nothing_is_not_pressed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that may not delete, or InfluxDB 3: the roll-ups themselves go on."""
    tries: list[int] = []

    def refuse(width: int, before: int) -> None:
        tries.append(width)
        raise StoreUnavailable("nothing is deleted here")

    monkeypatch.setattr(scene.store, "retain_rollup", refuse)
    with scene.running():
        until(lambda: tries == [FIVE_MINUTES], "the first try")
        scene.give((0, HOUR_START, 1.0))
        scene.clock.advance(FIVE_MINUTES + PACE)
        until(scene.is_summed_up)
        scene.clock.advance(MINUTE)
        until(lambda: scene.acknowledged() == scene.place, "the acknowledgement")
        assert tries == [FIVE_MINUTES]
        scene.clock.advance(HOUR)
        until(lambda: len(tries) == 2, "the second try")


def test_many_series_and_many_buckets_are_noted_once() -> None:
    touched, random = Touched(), np.random.default_rng(5)
    wanted: dict[int, set[int]] = {}
    for n in range(700):
        series, at = random.integers(0, 5_000, 1_000), HOUR_START + random.integers(0, 3, 1_000) * FIVE_MINUTES
        for start in np.unique(at).tolist():
            wanted.setdefault(start, set()).update(series[at == start].tolist())
        block = Block.of(series.tolist(), at.tolist(), at.tolist(), [0.0] * 1_000)
        touched.note(block, Offset(0, n), HOUR_START)
    assert touched.before() == Offset(0, 0)
    taken = touched.take(HOUR_START + HOUR)
    assert {start: set(share.series.tolist()) for start, share in taken.items()} == wanted
    assert sum(share.readings for share in taken.values()) == 700_000
    assert touched.before() is None


def test_a_chart_is_drawn_from_what_fits_its_span(scene: Scene) -> None:
    random = np.random.default_rng(2)
    start = HOUR_START - 3 * DAY
    rows = [(0, start + n * MINUTE, float(value)) for n, value in enumerate(random.normal(size=3 * 24 * 60))]
    scene.clock.value = start + 3 * DAY - MINUTE
    scene.give(*rows)
    with scene.running():
        until(lambda: len(scene.found(ONE_HOUR)) == 72)
    end = start + 3 * DAY
    values = np.array([value for _, _, value in rows])
    for since, upto, points in ((end - HOUR, end, 800), (start, end, 400), (start, end, 50), (start + 7, end, 60)):
        curve = history(scene.store, 0, since, upto, points, start)
        assert 0 < len(curve) <= points
        assert np.all(np.diff(curve.at) > 0)
        assert since <= curve.at[0] <= curve.at[-1] < upto
        if since == start:
            assert (curve.low.min(), curve.high.max()) == (values.min(), values.max())
    assert len(history(scene.store, 0, end - HOUR, end, 800, start)) == 60
    scene.store.retain(end - HOUR)
    old = history(scene.store, 0, start, start + HOUR, 800, end - HOUR)
    assert (old.low.min(), old.high.max()) == (values[:60].min(), values[:60].max())
    with pytest.raises(ValueError, match="0 points"):
        history(scene.store, 0, start, end, 0, start)
