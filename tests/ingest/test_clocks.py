"""A gateway's clock is told from its backlog: whatever moves or is mixed is no clock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from ingest.clocks import ClockChange, Clocks

NOW = 1_790_000_000 * SECOND
Sent = list[tuple[int, int]]
"""Receipts and deltas of one gateway's messages, µs."""


def clocks() -> Clocks:
    made = Clocks()
    made.load(["GW-0", "GW-1", "GW-2"])
    return made


def feed(to: Clocks, messages: Sent, gateway: int = 0, batch: int = 50) -> list[ClockChange]:
    changes = []
    for start in range(0, len(messages), batch):
        part = messages[start : start + batch]
        received = np.array([received_at for received_at, _ in part], np.int64)
        deltas = np.array([delta for _, delta in part], np.int64)
        changes += to.observe(np.full(len(part), gateway), deltas, received)
    return changes


def steady(offset: float, since: int = 0, minutes: float = 6, every: float = 1.0, jitter: float = 0.5) -> Sent:
    """A live gateway's messages; offset and jitter in seconds, `since` in seconds after NOW."""
    steps = np.random.default_rng(abs(int(since + offset))).uniform(0, jitter, int(minutes * 60 / every))
    return [
        (NOW + int((since + n * every) * SECOND), int((offset + late) * SECOND)) for n, late in enumerate(steps)
    ]  # fmt: skip


def drain(backlog: float, span: float, since: int = 0, every: float = 0.5) -> Sent:
    """A backlog of so many seconds that is gone after `span` seconds."""
    count = int(span / every)
    return [(NOW + int((since + n * every) * SECOND), int(backlog * (1 - n / count) * SECOND)) for n in range(count)]


def test_ten_minutes_behind_are_known_after_three_minutes_and_a_beginning():
    known = clocks()
    changes = feed(known, steady(600, minutes=4.1))
    (change,) = changes
    assert (change.gateway, change.active) == ("GW-0", True)
    assert change.seconds == pytest.approx(600, abs=1)
    assert known.correction.tolist()[1:] == [0, 0]
    assert known.correction[0] == pytest.approx(600 * SECOND, abs=SECOND)
    assert known.off.tolist() == [True, False, False]


def test_ten_minutes_ahead_are_told_with_a_negative_figure():
    known = clocks()
    (change,) = feed(known, steady(-600, minutes=5))
    assert change.seconds == pytest.approx(-600, abs=1)
    assert known.correction[0] == pytest.approx(-600 * SECOND, abs=SECOND)


@pytest.mark.parametrize(("offset", "corrected", "off"), [(60, False, False), (150, True, False), (310, True, True)])
def test_small_offsets_are_let_be_or_only_taken_off(offset, corrected, off):
    known = clocks()
    assert bool(feed(known, steady(offset, minutes=5))) == off
    assert bool(known.correction[0]) == corrected
    assert known.correcting == corrected
    assert known.off[0] == off
    assert known.offsets()["GW-0"] == pytest.approx(offset, abs=1)


def test_a_clock_between_the_limits_stays_what_it_was():
    known = clocks()
    feed(known, steady(320, minutes=5))
    assert feed(known, steady(270, since=300, minutes=6)) == []
    assert known.off[0]
    (change,) = feed(known, steady(230, since=660, minutes=6))
    assert not change.active
    assert known.correction[0] == pytest.approx(230 * SECOND, abs=SECOND)


@pytest.mark.parametrize("count", [100, 5_000])
def test_a_backlog_of_an_hour_at_once_is_no_clock(count):
    backlog = [(NOW + n, int(3600 * (1 - n / count)) * SECOND) for n in range(count)]
    known = clocks()
    assert feed(known, backlog + steady(0, since=1, minutes=8)) == []
    assert not known.correcting


@given(
    backlog=st.floats(900, 7200),
    span=st.floats(60, 3600),
    live=st.booleans(),
    phase=st.integers(0, 59),
    every=st.sampled_from([0.2, 1.0, 5.0]),
)
@settings(max_examples=60, deadline=None)
def test_a_draining_backlog_is_no_clock_at_any_speed(backlog, span, live, phase, every):
    """Also where live messages go on between the old ones."""
    messages = drain(backlog, span, since=phase, every=every)
    if live:
        messages = sorted(messages + steady(0, since=phase, minutes=span / 60, every=every))
    known = clocks()
    assert feed(known, [*messages, *steady(0, since=phase + int(span), minutes=5)]) == []
    assert not known.correcting


@given(
    jitter=st.floats(0, 20),
    every=st.sampled_from([0.1, 1.0, 7.0, 60.0, 900.0]),
    offset=st.sampled_from([-900, 0, 400, 3600]),
    batch=st.integers(1, 200),
)
@settings(max_examples=60, deadline=None)
def test_jitter_makes_no_clock_and_hides_none(jitter, every, offset, batch):
    """Gateways with one message a minute or a quarter of an hour are known after as many messages as it needs."""
    known = clocks()
    changes = feed(known, steady(offset, minutes=max(20, every * 12 / 60), every=every, jitter=jitter), batch=batch)
    assert [change.active for change in changes] == ([True] if offset else [])
    assert bool(known.correcting) == bool(offset)


def test_minutes_too_far_apart_do_not_follow_each_other():
    known = clocks()
    assert feed(known, steady(600, minutes=60 * 24, every=3 * 3600, jitter=0)) == []


@given(st.sampled_from([-900, 600, 3000]), st.integers(0, 59), st.integers(1, 100))
@settings(max_examples=40, deadline=None)
def test_a_clock_that_is_put_right_loses_its_correction_with_its_third_fresh_message(offset, phase, batch):
    known = clocks()
    feed(known, steady(offset, minutes=6))
    assert known.correcting
    fresh = steady(0, since=400 + phase, minutes=1)
    assert feed(known, fresh[:2], batch=batch) == []
    assert known.correcting, "two might be an accident"
    (change,) = feed(known, fresh[2:], batch=batch)
    assert (change.gateway, change.active) == ("GW-0", False)
    assert not known.correcting
    assert not known.off.any()
    assert feed(known, steady(0, since=500, minutes=6)) == []


def test_a_backlog_of_a_gateway_that_is_behind_leaves_its_clock_alone():
    known = clocks()
    feed(known, steady(600, minutes=6))
    backlog = [(NOW + 400 * SECOND + n, (4200 - n) * SECOND) for n in range(3600)]
    assert feed(known, backlog) == []
    assert known.correction[0] == pytest.approx(600 * SECOND, abs=SECOND)


def test_gateways_in_one_batch_are_kept_apart():
    known, both = clocks(), []
    for behind, right in zip(steady(600), steady(0), strict=True):
        both += [(0, behind), (2, right)]
    gateways = np.array([gateway for gateway, _ in both])
    received = np.array([received_at for _, (received_at, _) in both])
    deltas = np.array([delta for _, (_, delta) in both])
    (change,) = known.observe(gateways, deltas, received)
    assert change.gateway == "GW-0"
    assert set(known.offsets()) == {"GW-0", "GW-2"}


def test_batches_cut_elsewhere_learn_the_same():
    one, many = clocks(), clocks()
    messages = steady(0, minutes=3) + steady(700, since=200, minutes=7) + steady(1, since=700, minutes=5)
    assert feed(one, messages, batch=10_000)[0] == feed(many, messages, batch=1)[0]
    assert one.state() == many.state()


def test_the_state_outlives_a_restart_and_another_order_of_the_gateways():
    known = clocks()
    feed(known, steady(600, minutes=6), gateway=1)
    known.load(["GW-1", "GW-9"])
    assert known.off.tolist() == [True, False]
    again = Clocks()
    again.load(["GW-1"])
    again.restore(known.state())
    assert again.state() == known.state()
    assert again.correcting


def test_what_was_journalled_is_taken_up():
    known = clocks()
    known.said("GW-1", active=True, seconds=600.5)
    known.said("GW-9", active=True, seconds=600.5)
    assert known.offsets() == {"GW-1": 600.5}
    assert known.off.tolist() == [False, True, False]
    known.said("GW-1", active=False, seconds=0.2)
    assert known.offsets() == {}
    assert not known.correcting
