"""What a gateway's wrong clock does to its readings: flagged, judged by the corrected time, kept as sent."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import HOUR, MILLISECOND, MINUTE, SECOND
from core.journal import Offset, Record, RecordKind
from ingest.gate import Gate
from ingest.words import Connected, Event, Lost, Message, Quality, encode
from tests.ingest.test_gate import NOW, flags_of, gas, small_registry, telemetry

LATE = 15 * MINUTE
"""How far behind the gateway's clock is: more than the ten minutes after which a reading is aged."""


def sent(since: int, behind: int, minutes: int = 5, device: str = "GAS-0001") -> list[Message]:
    """A live gateway's messages, one every five seconds from `since` on (µs)."""
    times = [since + step * 5 * SECOND for step in range(minutes * 12)]
    return [telemetry(gas(3.0, at - behind, device=device), received_at=at) for at in times]


def gate_that_knows(behind: int) -> tuple[Gate, list[Event]]:
    gate, events = Gate(small_registry()), list[Event]()
    for message in sent(NOW - 5 * MINUTE, behind):
        events += gate.judge([message]).events
    return gate, events


def test_readings_of_a_clock_that_is_behind_are_flagged_and_not_aged():
    gate, (event,) = gate_that_knows(LATE)
    assert (event.kind, event.id, event.type) == ("gateway", "GW-0001", "clock")
    assert event.attributes == {"active": True, "value": 900.0, "limit": 300}
    block = gate.judge([telemetry(gas(60.0, NOW - LATE))]).block
    assert block.quality.tolist() == [Quality.CLOCK_OFF]
    assert block.at.tolist() == [NOW - LATE], "as sent"


def test_before_the_clock_is_known_they_are_aged():
    assert flags_of(Gate(small_registry()), telemetry(gas(60.0, NOW - LATE))) == [Quality.AGED]


def test_what_is_late_beyond_the_clock_is_aged():
    gate, _ = gate_that_knows(LATE)
    late = telemetry(gas(1.0, NOW - LATE - 10 * MINUTE - SECOND))
    assert flags_of(gate, late)[0] & Quality.AGED


def test_a_clock_ahead_hides_no_lateness():
    gate, (event,) = gate_that_knows(-LATE)
    assert event.attributes["value"] == -900.0
    fresh, old = telemetry(gas(1.0, NOW + LATE)), telemetry(gas(1.0, NOW + LATE - 11 * MINUTE))
    assert flags_of(gate, fresh) == [Quality.CLOCK_OFF]
    assert flags_of(gate, old)[0] & Quality.AGED, "four minutes ahead of us, yet eleven minutes old"


def test_more_than_an_hour_ahead_stays_implausible():
    gate, events = Gate(small_registry()), list[Event]()
    for message in sent(NOW - 5 * MINUTE, -2 * HOUR):
        judged = gate.judge([message])
        events += judged.events
        assert judged.block.quality.tolist() == [Quality.TIME_REPLACED]
    assert events == []


def test_a_time_that_was_replaced_or_missing_is_not_corrected():
    gate, _ = gate_that_knows(-LATE)
    assert flags_of(gate, telemetry(gas(1.0, at=5))) == [Quality.TIME_REPLACED]
    assert flags_of(gate, telemetry(gas(1.0, at=None))) == [Quality.NO_TIME]


def test_order_is_judged_by_the_times_as_sent():
    gate, _ = gate_that_knows(LATE)
    newest = telemetry(gas(1.0, NOW - LATE))
    older = telemetry(gas(1.0, NOW - LATE - 2 * SECOND))
    assert flags_of(gate, newest, older, newest) == [
        Quality.CLOCK_OFF, Quality.CLOCK_OFF | Quality.DISORDERED, Quality.CLOCK_OFF,
    ]  # fmt: skip


def test_a_redelivery_stays_one_reading_whatever_is_known_of_the_clock():
    gate = Gate(small_registry())
    message = telemetry(gas(60.0, NOW - LATE), received_at=NOW)
    before = gate.judge([message]).block
    for other in sent(NOW, LATE):
        gate.judge([other])
    after = gate.judge([msgspec.structs.replace(message, received_at=NOW + HOUR)]).block
    assert (before.series.tolist(), before.at.tolist()) == (after.series.tolist(), after.at.tolist())


def test_another_gateways_readings_are_judged_as_they_are():
    gate, _ = gate_that_knows(LATE)
    noise = {"device": "NOI-0001", "t": (NOW - LATE) // MILLISECOND, "values": {"laeq": 50}}
    assert flags_of(gate, telemetry(noise, gateway="GW-0002")) == [Quality.AGED]


def test_our_own_downtime_is_taken_off_by_the_true_time():
    gate, _ = gate_that_knows(LATE)
    gate.control(Lost(NOW))
    gate.control(Connected(NOW + 30 * MINUTE))
    during = telemetry(gas(1.0, NOW + MINUTE - LATE), received_at=NOW + 30 * MINUTE)
    before = telemetry(gas(1.0, NOW - 11 * MINUTE - LATE), received_at=NOW + 30 * MINUTE)
    assert flags_of(gate, during) == [Quality.CLOCK_OFF]
    assert flags_of(gate, before)[0] & Quality.AGED


def test_events_are_judged_by_the_corrected_time_too():
    gate, _ = gate_that_knows(LATE)

    def quality(age: int) -> int:
        body = msgspec.json.encode({"t": (NOW - age) // MILLISECOND, "type": "smoke_alarm"})
        (event,) = gate.judge([Message("sw/v1/GW-0001/GAS-0001/event", body, NOW)]).events
        assert event.at == NOW - age
        return event.quality

    assert quality(LATE) == Quality.CLOCK_OFF
    assert quality(LATE + 11 * MINUTE) == Quality.CLOCK_OFF | Quality.AGED


def test_a_clock_put_right_corrects_no_more_with_the_third_fresh_message():
    gate, _ = gate_that_knows(LATE)
    fresh = [telemetry(gas(1.0, NOW + n * SECOND), received_at=NOW + n * SECOND) for n in range(3)]
    assert gate.judge(fresh[:2]).events == []
    (event,) = gate.judge(fresh[2:]).events
    assert (event.type, event.attributes["active"]) == ("clock", False)
    old = telemetry(gas(1.0, NOW + 3 * SECOND - LATE), received_at=NOW + 3 * SECOND)
    assert flags_of(gate, old)[0] & Quality.AGED


def test_replayed_letters_say_nothing_of_a_clock():
    gate = Gate(small_registry())
    letters = [msgspec.structs.replace(one, replayed_from=one.received_at - HOUR) for one in sent(NOW, LATE, 8)]
    assert [event for letter in letters for event in gate.judge([letter]).events] == []
    assert gate.clocks.offsets() == {}


def test_what_is_known_of_clocks_outlives_a_restart(tmp_path: Path):
    gate, (event,) = gate_that_knows(LATE)
    gate.save(tmp_path / "gate", Offset(0, 7))
    saved, replayed = Gate(small_registry()), Gate(small_registry())
    assert saved.restore(tmp_path / "gate") == Offset(0, 7)
    replayed.replay(Record(Offset(0, 8), NOW, RecordKind.EVENT, encode(event)))
    for again in (saved, replayed):
        assert flags_of(again, telemetry(gas(60.0, NOW - LATE))) == [Quality.CLOCK_OFF]
    end = Event("gateway", "GW-0001", "clock", NOW, NOW, {"active": False, "value": 0.1, "limit": 300})
    saved.replay(Record(Offset(0, 8), NOW, RecordKind.EVENT, encode(end)))
    assert flags_of(saved, telemetry(gas(60.0, NOW - LATE + SECOND))) == [Quality.AGED]


def test_a_newer_registry_keeps_what_is_known():
    gate, _ = gate_that_knows(LATE)
    gate.load(gate.admission(small_registry()))
    assert flags_of(gate, telemetry(gas(60.0, NOW - LATE))) == [Quality.CLOCK_OFF]


@given(span=st.integers(0, 300), cut=st.integers(1, 200), count=st.integers(30, 400))
@settings(max_examples=40, deadline=None)
def test_an_hours_backlog_is_aged_however_fast_it_comes(span: int, cut: int, count: int):
    """At once or over five minutes, in batches of any size: stored, aged, and no clock."""
    gate, aged, events = Gate(small_registry()), 0, list[Event]()
    messages = [
        telemetry(gas(60.0, NOW - HOUR + n * HOUR // count), received_at=NOW + n * span * SECOND // count)
        for n in range(count)
    ]
    for start in range(0, count, cut):
        judged = gate.judge(messages[start : start + cut])
        aged += int((judged.block.quality & Quality.AGED != 0).sum())
        events += judged.events
    assert events == []
    assert aged >= count * 0.8
    assert not gate.clocks.correcting


@pytest.mark.parametrize("levels", [31, 32, 33, 5000])
def test_attributes_nested_too_deep_are_refused(levels: int):
    body = b'{"type":"fault","attributes":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"
    judged = Gate(small_registry()).judge([Message("sw/v1/GW-0001/GAS-0001/event", body, NOW)])
    reasons = [reject.reason for reject in judged.rejects]
    assert reasons == ([] if levels <= 32 else ["too_deep"] if levels == 33 else ["not_decodable"])
    assert len(judged.events) == (levels <= 32)
