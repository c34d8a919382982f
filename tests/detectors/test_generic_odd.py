"""What every detector must hold to when readings are odd: constants, clocks that jump, gaps, any float."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR, SECOND
from core.journal import Offset, Record, RecordKind
from detectors.safety import SafetyDetector
from detectors.words import Change
from ingest.words import Block
from tests.detectors.stage import START
from tests.detectors.streams import TICKS, TOWN, block_at, moves, readings, records_of
from tests.detectors.test_generic import Stream, by_subject, every_detector, run, steady

pytestmark = pytest.mark.usefixtures("compiled_once")
GAS = TOWN.series_of["GAS-1"]["gas_lel"]
Rows = Sequence[tuple[int, int, int, float, int]]


def journal(moments: Sequence[tuple[int, Rows]]) -> list[Record]:
    """The rows of `streams.readings` at each of these seconds, and a tick behind them."""
    records: list[Record] = []
    for second, rows in moments:
        now, count = START + second * SECOND, len(records)
        records.append(Record(Offset(0, count + 1), now, RecordKind.BLOCK, block_at(now, rows).to_bytes()))
        records.append(Record(Offset(0, count + 2), now, RecordKind.TICK, b""))
    return records


@every_detector
@pytest.mark.parametrize("value", [-1e300, -1.0, 0.0, 20.0, 25.0, 60.0, 1e300])
def test_a_constant_opens_each_rule_once_at_most(make: Callable[[], SafetyDetector], value: float) -> None:
    """Nothing comes and goes while nothing changes, but for what the hours of a rule end."""
    rows = [(number, 0, 0, value, 0) for number in range(len(TOWN.device))]
    found = run(make(), journal([(second, rows) for second in range(0, 4_000, 10)]))
    ended = {(d.subject, d.rule) for d in found if d.reason == "schedule_ended"}
    for subject, said in by_subject(found).items():
        opened = [d for d in said if d.change is Change.OPENED]
        assert subject in ended or len(opened) <= 1
        assert subject in ended or said[-1].change is not Change.CLEARED


@every_detector
@pytest.mark.parametrize("ahead", [SECOND, HOUR, DAY, 4_000 * DAY])
def test_a_clock_that_was_ahead_blinds_no_rule(make: Callable[[], SafetyDetector], ahead: int) -> None:
    """A leak that begins when the clock is right again is found, and so is its end."""
    leap = -(ahead // SECOND)
    quiet = [(0, [(GAS, 0, 0, 1.0, 0)]), (10, [(GAS, leap, 0, 2.0, 0)]), (20, [(GAS, leap, 0, 1.0, 0)])]
    later = [(30 + 10 * n, [(GAS, 0, 0, 60.0 + n % 2 if n < 4 else n % 2, 0)]) for n in range(9)]
    said = [d for d in run(make(), journal([*quiet, *later])) if d.rule == "gas.leak"]
    assert [d.change for d in said] == [Change.OPENED, Change.CLEARED]
    assert said[0].onset == START + 30 * SECOND


@every_detector
@pytest.mark.parametrize("gap", [HOUR, DAY, 400 * DAY])
def test_after_a_gap_it_goes_on_as_before(make: Callable[[], SafetyDetector], gap: int) -> None:
    later = gap // SECOND
    rows = [(0, 1.0), (10, 60.0), (20, 61.0), (later, 1.0), (later + 10, 60.0), (later + 20, 61.0)]
    found = run(make(), journal([(second, [(GAS, 0, 0, value, 0)]) for second, value in rows]))
    said = [d for d in found if d.rule == "gas.leak"]
    assert [d.change for d in said] == [Change.OPENED, Change.CLEARED, Change.OPENED]
    assert [(d.onset - START) // SECOND for d in said] == [10, 10, later + 10]


@every_detector
@settings(max_examples=60, deadline=None)
@given(stream=moves(readings(st.floats(allow_nan=True, allow_infinity=True)), TICKS), share=st.floats(0, 1))
def test_any_float_is_outlived(make: Callable[[], SafetyDetector], stream: Stream, share: float) -> None:
    records = records_of(stream)
    split = int(share * len(records))
    first, second = make(), make()
    before = run(first, records[:split])
    second.restore(*first.snapshot())
    assert repr(before + run(second, records[split:])) == repr(run(make(), records))


@every_detector
@settings(max_examples=60, deadline=None)
@given(past=steady, future=steady, other=steady)
def test_another_future_leaves_the_past_as_it_was(
    make: Callable[[], SafetyDetector], past: Stream, future: Stream, other: Stream
) -> None:
    count = len(past)
    said = run(make(), records_of(past))
    for following in (future, other):
        assert run(make(), records_of([*past, *following]))[: len(said)] == said
        assert run(make(), records_of([*past, *following])[:count]) == said


@every_detector
@settings(max_examples=60, deadline=None)
@given(past=readings(), future=readings(), other=readings())
def test_another_future_in_the_same_block_leaves_the_past_as_it_was(
    make: Callable[[], SafetyDetector], past: Any, future: Any, other: Any
) -> None:
    def said(rows: Rows) -> Any:
        block: Block = block_at(START, rows)
        record = Record(Offset(0, 1), START, RecordKind.BLOCK, block.to_bytes())
        return make().apply(record)

    before = list(said(past[1]))
    for following in (future, other):
        assert list(said([*past[1], *following[1]]))[: len(before)] == before
