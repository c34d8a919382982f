"""A backtest says of stored readings what the live detector said of them, and sets two sets of rules side by side."""

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND
from core.journal import Offset, Record, RecordKind
from detectors.backtest import Backtest, BacktestRefused, Trial, judged, series_of_sites
from detectors.backtest_result import MOST_LISTED, Episode, compare, listing
from detectors.rules import RuleSet
from detectors.safety import SafetyDetector
from detectors.words import Change, Severity
from ingest.words import Block
from tests.detectors.stage import PACKS, START, Device, Row, block_of, moment, registry_of, with_rules
from tests.detectors.streams import BRISK, DEVICES, SERIES, TOWN

SPAN = 120
"""Seconds of a stream."""
Reading = tuple[int, float, float, float, int]
"""Series, receipt and age in seconds, value, quality."""


def readings(most: int = 60, flags: tuple[int, ...] = (0, 0, 0, 0, 1, 2, 4)) -> st.SearchStrategy[list[Reading]]:
    values = st.sampled_from([0.0, 5.0, 9.0, 12.0, 26.0, 60.0, 85.0, 200.0])
    age = st.sampled_from([0.0, 0.0, 0.0, 1.5, 30.0])
    quality = st.sampled_from(flags)
    receipt = st.integers(0, SPAN * 10 - 1).map(lambda tenth: tenth / 10)
    return st.lists(st.tuples(st.integers(0, SERIES - 1), receipt, age, values, quality), max_size=most)


def stored(rows: list[Reading]) -> Block:
    """The readings as a store would give them: by receipt."""
    rows = sorted(rows, key=lambda row: (row[1], row[1] - row[2]))
    received = [moment(row[1]) for row in rows]
    at = [moment(row[1] - row[2]) for row in rows]
    return Block.of([r[0] for r in rows], at, received, [r[3] for r in rows], [r[4] for r in rows])


def part(block: Block, since: int, until: int) -> Block:
    chosen = (block.received_at >= since) & (block.received_at < until)
    times = block.at[chosen], block.received_at[chosen]
    return Block(block.series[chosen], *times, block.value[chosen], block.quality[chosen])


def live(rules: RuleSet, block: Block) -> list[tuple[Any, ...]]:
    """What the live detector said, with a block and a tick each second: its episodes by what identifies them."""
    detector = SafetyDetector(TOWN, judged(rules))
    detector.apply(Record(Offset(0, 1), START, RecordKind.TICK, b""))
    said = []
    for second in range(SPAN):
        since, until = START + second * SECOND, START + (second + 1) * SECOND
        rows = part(block, since, until)
        if len(rows):
            journalled = int(rows.received_at[-1])
            said += detector.apply(Record(Offset(0, 2 * second + 2), journalled, RecordKind.BLOCK, rows.to_bytes()))
        said += detector.apply(Record(Offset(0, 2 * second + 3), until, RecordKind.TICK, b""))
    found: dict[tuple[str, str, int], list[Any]] = {}
    over: list[list[Any]] = []
    for each in said:
        key = (each.rule, each.subject.id, each.series)
        if each.change is Change.CLEARED:
            over.append([*found.pop(key), each.at])
        elif key not in found:
            found[key] = [each.rule, each.subject.id, int(each.severity), each.onset, each.received_at, each.page]
        else:
            known = found[key]
            known[4] = each.received_at if each.page and not known[5] else known[4]
            known[2], known[5] = max(known[2], int(each.severity)), known[5] or each.page
    return sorted(tuple(row) for row in [*over, *([*row, None] for row in found.values())])


def tried(rules: RuleSet, block: Block, cuts: list[int]) -> list[tuple[Any, ...]]:
    trial = Trial.of(judged(rules), TOWN, START, START + SPAN * SECOND)
    bounds = [0, *sorted(cuts), SPAN]
    for first, last in pairwise(bounds):
        since, until = START + first * SECOND, START + last * SECOND
        trial.take(part(block, since, until), until)
    found = trial.finished()
    return sorted((e.rule, e.device, e.severity, e.onset, e.told, e.paged, e.end) for e in found)


@settings(max_examples=150, deadline=None)
@given(readings(), st.lists(st.integers(0, SPAN), max_size=3))
def test_a_backtest_says_what_the_live_detector_said(rows: list[Reading], cuts: list[int]) -> None:
    block = stored(rows)
    assert str(tried(BRISK, block, cuts)) == str(live(BRISK, block))


@settings(max_examples=50, deadline=None)
@given(readings(flags=(0, 0, 1, 2)), st.integers(1, SPAN - 1))  # what is aged may be said for the first time later
def test_the_future_changes_nothing_of_the_past(rows: list[Reading], known: int) -> None:
    block, until = stored(rows), START + known * SECOND
    whole = Trial.of(BRISK_JUDGED, TOWN, START, START + SPAN * SECOND)
    whole.take(block, START + SPAN * SECOND)
    cut = Trial.of(BRISK_JUDGED, TOWN, START, START + SPAN * SECOND)
    cut.take(part(block, START, until), until)
    said = [[(e.rule, e.device, e.onset, e.told) for e in t.finished() if e.told < until] for t in (whole, cut)]
    assert said[0] == said[1]


BRISK_JUDGED = judged(BRISK)
GAS = registry_of([Device("GAS-1", "gas", site="S-1"), Device("GAS-2", "gas", site="S-2")])


def test_an_anomaly_of_a_sick_sensor_is_only_recorded_until_it_is_well() -> None:
    doubtful = with_rules(0, electrical__cable_temperature={"anomaly": True, "dwell": 0})
    code = TOWN.series_of["ELE-1"]
    sick = [(code["residual_current"], float(second), 0.0, -9.0, 1) for second in (0, 10, 20, 30, 40)]
    hot = [(code["cable_temp"], 50.0, 0.0, 110.0, 0)]
    for rows, paged in ((sick + hot, False), (hot, True)):
        block = stored(rows)
        found = [row for row in tried(doubtful, block, [45]) if row[0] == "electrical.cable_temperature"]
        assert [row[5] for row in found] == [paged]
        assert str(tried(doubtful, block, [])) == str(live(doubtful, block))


def backtested(rules: RuleSet, *rows: Row, minutes: int = 60) -> Any:
    backtest = Backtest.of(PACKS, rules, GAS, START, START + minutes * MINUTE)
    backtest.take(block_of(GAS, rows), START + minutes * MINUTE)
    return backtest.result(1.0)


def test_a_lower_limit_is_new_where_it_was_silent_and_earlier_where_it_was_not() -> None:
    stricter = with_rules(0, gas__leak={"limits": {Severity.WARNING: 5.0, Severity.ALARM: 25.0}, "recovery": 4.0})
    only_new = [Row("GAS-2", "gas_lel", 0, 0.0), Row("GAS-2", "gas_lel", 60, 6.0), Row("GAS-2", "gas_lel", 120, 0.0)]
    both = [Row("GAS-1", "gas_lel", at, value) for at, value in ((0, 0.0), (300, 6.0), (600, 60.0), (900, 0.0))]
    result = backtested(stricter, *sorted([*only_new, *both], key=lambda row: row.at))
    assert result.changed == ["gas.leak"]
    assert (result.readings, result.today.alerts, result.tried.alerts) == (7, 1, 2)
    assert [(each.device, each.site, each.severity) for each in result.new.episodes] == [("GAS-2", "S-2", 2)]
    assert result.lost.count == 0
    lead = result.lead_s
    assert (lead.matched, lead.earlier, lead.later, lead.median, lead.longest) == (1, 1, 0, 300.0, 300.0)
    assert {site: (row.today, row.tried, row.new) for site, row in result.by_site.items()} == {
        "S-1": (1, 1, 0),
        "S-2": (0, 1, 1),
    }
    assert result.by_rule["gas.leak"].tried == 2


def test_what_a_higher_limit_no_longer_says_is_lost() -> None:
    looser = with_rules(0, gas__leak={"limits": {Severity.ALARM: 90.0}, "recovery": 80.0})
    result = backtested(looser, Row("GAS-1", "gas_lel", 0, 0.0), Row("GAS-1", "gas_lel", 60, 60.0))
    assert (result.today.alerts, result.tried.alerts, result.lost.count, result.new.count) == (1, 0, 1, 0)
    (lost,) = result.lost.episodes
    assert (lost.onset, lost.end, lost.value, lost.severity) == (moment(60), None, 60.0, Severity.CRITICAL)
    assert result.by_site["S-1"].lost == 1


def test_a_longer_dwell_speaks_later_and_is_held_by_ticks() -> None:
    slower = with_rules(0, gas__leak={"dwell": 20 * SECOND})
    result = backtested(slower, Row("GAS-1", "gas_lel", 0, 0.0), Row("GAS-1", "gas_lel", 60, 60.0))
    assert result.lead_s.later == 1
    assert result.lead_s.shortest == pytest.approx(-15.0, abs=1.0)  # today's dwell is 5 s


def test_rules_that_readings_say_nothing_of_are_named() -> None:
    result = backtested(PACKS)
    kinds = {each.kind for each in result.left_out}
    assert {"event", "silence", "gateway", "platform"} <= kinds
    assert not {"threshold", "rate", "frozen", "out_of_range"} & kinds
    assert (result.readings, result.today.alerts, result.changed) == (0, 0, [])


def test_devices_that_page_nobody_are_only_recorded() -> None:
    registry = registry_of([Device("GAS-1", "gas", state="commissioning")])
    backtest = Backtest.of(PACKS, PACKS, registry, START, START + MINUTE)
    backtest.take(block_of(registry, [Row("GAS-1", "gas_lel", 0, 60.0)]), START + MINUTE)
    result = backtest.result(0.0)
    assert (result.today.alerts, result.today.recorded, result.new.count) == (0, 1, 0)


def test_series_are_those_of_the_sites_and_unknown_sites_are_refused() -> None:
    assert series_of_sites(GAS, []) is None
    chosen = series_of_sites(GAS, ["S-2"])
    assert chosen is not None
    assert set(GAS.device[chosen].tolist()) == {GAS.device_index["GAS-2"]}
    assert chosen.dtype == np.int32
    with pytest.raises(BacktestRefused, match="S-9"):
        series_of_sites(GAS, ["S-1", "S-9"])


def episode(onset: int, end: int | None, device: str = "d", paged: bool = True, told: int | None = None) -> Episode:
    return Episode("r", device, "s", 3, onset, onset if told is None else told, end, 1.0, paged)


def test_episodes_match_by_rule_device_and_overlap() -> None:
    today = [episode(10, 20), episode(50, 60), episode(90, None), episode(10, 20, "other", paged=False)]
    after = [episode(5, 12, told=8), episode(15, 18), episode(70, 80), episode(80, 95), episode(1, None, "other")]
    found = compare(today, after)
    assert found.leads == [2, 10]
    assert [each.onset for each in found.lost] == [50]
    assert [(each.onset, each.device) for each in found.new] == [(70, "d"), (1, "other")]


def test_long_lists_are_cut_and_counted() -> None:
    found = listing([episode(n, n + 1) for n in range(MOST_LISTED + 5)])
    assert (found.count, len(found.episodes)) == (MOST_LISTED + 5, MOST_LISTED)


def test_the_town_of_the_streams_has_devices_that_page_nobody() -> None:
    assert {device.state for device in DEVICES} == {"in_service", "commissioning"}


def test_two_long_lists_of_one_device_are_matched_quickly_and_as_overlaps_say() -> None:
    def episodes(step: int, length: int, count: int) -> list[Episode]:
        return [
            Episode(
                "r", "d", "s", 3, step * n, step * n, None if n == count - 1 else step * n + length, 1.0, paged=True
            )
            for n in range(count)
        ]

    today, after = episodes(7, 3, 40), episodes(5, 1, 70)
    found = compare(today, after)
    over = [(one.onset, one.onset + 3 if one.end else 10**9) for one in today]
    other = [(one.onset, one.onset + 1 if one.end else 10**9) for one in after]
    lost = [one for one in over if not any(one[0] <= end and begin <= one[1] for begin, end in other)]
    new = [one for one in other if not any(one[0] <= end and begin <= one[1] for begin, end in over)]
    assert ([e.onset for e in found.lost], [e.onset for e in found.new]) == ([b for b, _ in lost], [b for b, _ in new])
    long = episodes(2, 1, 100_000)
    began = time.process_time()
    assert len(compare(long, long).leads) == 100_000
    assert time.process_time() - began < 10
