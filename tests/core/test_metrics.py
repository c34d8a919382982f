"""Exact percentiles of recent work, and hops timed for people and for Prometheus."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SECOND
from core.metrics import _KEPT, HOPS, Latencies, Metrics

SPANS = st.lists(st.integers(0, 10**9), min_size=1, max_size=300)


def test_nothing_timed_has_no_percentiles() -> None:
    latencies = Latencies()
    assert latencies.percentiles() == {"p50": None, "p99": None}
    latencies.add(np.array([], np.int64))
    assert latencies.percentiles() == {"p50": None, "p99": None}


@given(batches=st.lists(SPANS, min_size=1, max_size=5))
def test_percentiles_are_those_of_all_spans(batches: list[list[int]]) -> None:
    latencies = Latencies()
    for batch in batches:
        latencies.add(np.array(batch))
    p50, p99 = np.percentile(np.concatenate(batches), (50, 99)) / 1000
    assert latencies.percentiles() == pytest.approx({"p50": p50, "p99": p99}, abs=0.0051)


@pytest.mark.parametrize("part", [1_000, _KEPT - 1, _KEPT, _KEPT + 7])
def test_only_the_newest_are_kept_however_they_come(part: int) -> None:
    latencies = Latencies()
    spans = np.arange(3 * _KEPT) * 1_000
    for start in range(0, len(spans), part):
        latencies.add(spans[start : start + part])
    p50, p99 = np.percentile(spans[-_KEPT:], (50, 99)) / 1000
    assert latencies.percentiles() == {"p50": round(p50, 2), "p99": round(p99, 2)}


def test_several_threads_may_time() -> None:
    latencies = Latencies()
    adding = [threading.Thread(target=lambda: [latencies.add(np.array([2_000])) for _ in range(2_000)]) for _ in "1234"]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert latencies._seen == 8_000
    assert latencies.percentiles() == {"p50": 2.0, "p99": 2.0}


def test_a_hop_is_timed_in_milliseconds_and_in_the_histogram() -> None:
    metrics, now = Metrics(), 1_790_000_000 * SECOND
    metrics.time_hop("alert", [now - 20_000, now - 40_000], now)
    metrics.time_hop("alert", [], now)
    assert metrics.latencies["alert"].percentiles()["p50"] == 30.0
    assert sample(metrics, "shouwang_hop_seconds_count", hop="alert") == 2
    assert sample(metrics, "shouwang_hop_seconds_bucket", hop="alert", le="0.025") == 1
    assert sample(metrics, "shouwang_hop_seconds_sum", hop="alert") == pytest.approx(0.06)


def test_a_clock_that_is_ahead_makes_no_negative_second() -> None:
    metrics = Metrics()
    metrics.time_hop("journal", [SECOND + 5], SECOND)
    assert sample(metrics, "shouwang_hop_seconds_sum", hop="journal") == 0


def test_a_large_batch_is_only_sampled_for_the_histogram() -> None:
    metrics = Metrics()
    metrics.time_hop("store", np.zeros(10_000, np.int64), SECOND)
    assert metrics.latencies["store"]._seen == 10_000
    counted = sample(metrics, "shouwang_hop_seconds_count", hop="store")
    assert counted is not None
    assert 16 <= counted <= 17


def test_two_platforms_of_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.messages.inc(3)
    assert (sample(first, "shouwang_messages_total"), sample(second, "shouwang_messages_total")) == (3, 0)
    assert tuple(first.latencies) == HOPS


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)
