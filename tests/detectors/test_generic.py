"""What every detector must hold to: it is enough to be listed in DETECTORS."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from core.journal import Offset, Record, RecordKind
from core.snapshot import load, save
from detectors.safety import SafetyDetector
from detectors.words import Detection
from ingest.words import Block
from tests.detectors.stage import START
from tests.detectors.streams import BRISK, CONTROLS, EVENTS, TICKS, TOWN, block_at, moves, readings, records_of
from tests.detectors.wide import WIDE, WIDE_TOWN

Stream = list[tuple[int, tuple[str, Any]]]
DETECTORS: dict[str, Callable[[], SafetyDetector]] = {
    "safety": lambda: SafetyDetector(TOWN, BRISK),
    "wide": lambda: SafetyDetector(WIDE_TOWN, WIDE),
}

pytestmark = pytest.mark.usefixtures("compiled_once")
every_detector = pytest.mark.parametrize("make", DETECTORS.values(), ids=DETECTORS.keys())
streams = moves(readings(), readings(), TICKS, TICKS, EVENTS, CONTROLS)
steady = moves(readings(), readings(), TICKS)


def run(detector: SafetyDetector, records: Sequence[Record]) -> list[Detection]:
    return [detection for record in records for detection in detector.apply(record)]


def by_subject(found: Sequence[Detection]) -> dict[Any, list[Detection]]:
    grouped: dict[Any, list[Detection]] = {}
    for detection in found:
        grouped.setdefault((detection.subject, detection.rule), []).append(detection)
    return grouped


@every_detector
@settings(max_examples=60, deadline=None)
@given(streams)
def test_the_same_journal_says_the_same(make: Callable[[], SafetyDetector], stream: Stream) -> None:
    records = records_of(stream)
    assert run(make(), records) == run(make(), records)


@every_detector
@settings(max_examples=100, deadline=None)
@given(stream=streams, share=st.floats(0, 1))
def test_a_snapshot_goes_on_exactly(make: Callable[[], SafetyDetector], stream: Stream, share: float) -> None:
    records = records_of(stream)
    split = int(share * len(records))
    whole, first, second = make(), make(), make()
    expected = run(whole, records)
    before = run(first, records[:split])
    second.restore(*first.snapshot())
    assert second.offset == first.offset
    assert second.open_episodes == first.open_episodes
    assert before + run(second, records[split:]) == expected
    meta, arrays = whole.snapshot()
    again, columns = second.snapshot()
    assert again == meta
    assert columns.keys() == arrays.keys()
    assert all(np.array_equal(columns[name], arrays[name], equal_nan=True) for name in arrays)


@every_detector
@settings(max_examples=60, deadline=None)
@given(streams)
def test_any_split_into_blocks_says_the_same(make: Callable[[], SafetyDetector], stream: Stream) -> None:
    split = []
    for passed, (kind, what) in stream:
        parts = [(kind, [row]) for row in what] if kind == "read" else [(kind, what)]
        split += [(passed if place == 0 else 0, part) for place, part in enumerate(parts)]
    assert run(make(), records_of(split)) == run(make(), records_of(stream))


@every_detector
@settings(max_examples=60, deadline=None)
@given(stream=steady, seed=st.integers(0, 99))
def test_the_order_between_devices_is_irrelevant(make: Callable[[], SafetyDetector], stream: Stream, seed: int) -> None:
    random, shuffled = np.random.default_rng(seed), []
    for passed, (kind, what) in stream:
        if kind == "read":
            order = random.permutation(len(TOWN.device_codes))
            what = sorted(what, key=lambda row: order[TOWN.device[row[0]]])  # noqa: PLW2901
        shuffled.append((passed, (kind, what)))
    assert by_subject(run(make(), records_of(shuffled))) == by_subject(run(make(), records_of(stream)))


@every_detector
@settings(max_examples=60, deadline=None)
@given(stream=steady, share=st.floats(0, 1))
def test_nothing_looks_ahead(make: Callable[[], SafetyDetector], stream: Stream, share: float) -> None:
    records = records_of(stream)
    split = int(share * len(records))
    said = run(make(), records[:split])
    assert run(make(), records)[: len(said)] == said


@every_detector
@settings(max_examples=60, deadline=None)
@given(steady)
def test_redelivered_readings_are_harmless(make: Callable[[], SafetyDetector], stream: Stream) -> None:
    twice = [
        (passed, (kind, [row for row in what for _ in range(2)] if kind == "read" else what))
        for passed, (kind, what) in stream
    ]
    assert run(make(), records_of(twice)) == run(make(), records_of(stream))


@every_detector
@settings(max_examples=60, deadline=None)
@given(stream=steady, noise=st.lists(st.tuples(st.integers(0, 99), st.integers(-3, 40)), max_size=8))
def test_what_is_no_number_or_disordered_is_harmless(
    make: Callable[[], SafetyDetector], stream: Stream, noise: list[tuple[int, int]]
) -> None:
    """NaN, readings of unknown series, and readings that are older than what is known change nothing."""
    disturbed = []
    for passed, (kind, what) in stream:
        if kind == "read":
            bad = [(place, 0, 0, float("nan"), 0) for place, _ in noise]
            series = sorted({row[0] for row in what})
            old = [(place, 3000, 0, 99.0, 2) for place in series]
            what = [*what, *bad, *old]  # noqa: PLW2901
        disturbed.append((passed, (kind, what)))
    quiet = [d for d in run(make(), records_of(disturbed)) if d.series >= 0]
    assert quiet == [d for d in run(make(), records_of(stream)) if d.series >= 0]


@every_detector
def test_a_snapshot_survives_its_file(make: Callable[[], SafetyDetector], tmp_path: Path) -> None:
    first, second = make(), make()
    rows = [(number, 0, 0, 60.0, 0) for number in range(len(TOWN.device))]
    blocks = [block_at(START + second * SECOND, rows) for second in range(0, 30, 5)]
    records = [
        Record(Offset(0, n + 1), START + 5 * n * SECOND, RecordKind.BLOCK, block.to_bytes())
        for n, block in enumerate(blocks)
    ]
    run(first, records[:1])
    save(tmp_path / "safety", *first.snapshot())
    kept = load(tmp_path / "safety")
    assert kept is not None
    second.restore(*kept)
    said = run(second, records[1:])
    assert said == run(first, records[1:])
    assert said


@every_detector
def test_a_whole_day_in_one_block(make: Callable[[], SafetyDetector]) -> None:
    """One device's backlog that says more than the kernel's buffer holds."""
    count = 20_000
    at = START + np.arange(count) * 10 * SECOND
    value = np.where(np.arange(count) % 4 < 2, 60.0, 1.0)
    number = TOWN.series_of["GAS-1"]["gas_lel"]
    block = Block.of([number] * count, at, at, value)
    said = make().apply(Record(Offset(0, 1), int(at[-1]), RecordKind.BLOCK, block.to_bytes()))
    found = [d for d in said if d.rule == "gas.leak"]
    assert len(found) == count // 2
    assert [d.onset for d in found[::2]] == at[::4].tolist()
