"""What the gate refuses, flags and lets through."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import HOUR, MILLISECOND, MINUTE, SECOND
from core.journal import Offset, Record, RecordKind
from devices.device_types import load_device_types
from devices.registry import GatewayRow, Registry
from ingest.gate import Gate
from ingest.lateness import judge
from ingest.refusals import MAX_PAYLOAD
from ingest.words import Block, Connected, Lost, Message, Quality, decode_reject, encode

NOW = 1_790_000_000 * SECOND
TYPES = load_device_types()


def small_registry() -> Registry:
    """GW-0001 has a gas detector (series 0 gas_lel, 1 battery) and a retired one, GW-0002 a noise meter (series 2)."""
    return Registry(
        id="town",
        version=1,
        types=TYPES,
        gateways={code: GatewayRow(index, code, "v1", "", 0, "") for index, code in enumerate(("GW-0001", "GW-0002"))},
        gateway_codes=["GW-0001", "GW-0002"],
        device_codes=["GAS-0001", "GAS-0002", "NOI-0001"],
        device_index={"GAS-0001": 0, "GAS-0002": 1, "NOI-0001": 2},
        gateway=np.array([0, 0, 1], np.int32),
        type_code=["gas", "gas", "noise"],
        site=["S1", "S1", "S2"],
        state=["in_service", "retired", "in_service"],
        state_until=np.zeros(3, np.int64),
        in_service_at=np.zeros(3, np.int64),
        interval=np.array([30, 30, 5]) * SECOND,
        silence=np.array([90, 90, 15]) * SECOND,
        attributes={},
        metrics=["gas_lel", "battery", "laeq"],
        series_of={"GAS-0001": {"gas_lel": 0, "battery": 1}, "GAS-0002": {}, "NOI-0001": {"laeq": 2}},
        device=np.array([0, 0, 2], np.int32),
        metric=np.array([0, 1, 2], np.int32),
        low=np.array([0.0, 0.0, 20.0]),
        high=np.array([100.0, 100.0, 140.0]),
        late=np.full(3, 10 * MINUTE, np.int64),
    )


@pytest.fixture
def gate() -> Gate:
    return Gate(small_registry())


def telemetry(*readings: dict, gateway: str = "GW-0001", received_at: int = NOW, **more) -> Message:
    payload = msgspec.json.encode({"readings": list(readings)})
    return Message(f"sw/v1/{gateway}/telemetry", payload, received_at, **more)


def gas(value: float = 3.2, at: int | None = NOW, device: str = "GAS-0001", **values) -> dict:
    reading = {"device": device, "values": {"gas_lel": value, **values}}
    return reading if at is None else {**reading, "t": at // MILLISECOND}


def flags_of(gate: Gate, *messages: Message) -> list[Quality]:
    return [Quality(int(q)) for q in gate.judge(messages).block.quality]


def test_a_message_becomes_columns(gate):
    block, events, rejects, *_ = gate.judge([telemetry(gas(3.2, NOW - SECOND, battery=97))])
    assert block.series.tolist() == [0, 1]
    assert block.value.tolist() == [3.2, 97.0]
    assert block.at.tolist() == [NOW - SECOND] * 2
    assert block.received_at.tolist() == [NOW] * 2
    assert block.quality.tolist() == [0, 0]
    assert (events, rejects) == ([], [])


def test_a_single_devices_topic_and_its_event(gate):
    single = Message(
        "sw/v1/GW-0001/GAS-0001/telemetry", b'{"t":1790000000000,"values":{"gas_lel":1,"battery":true}}', NOW
    )
    event = Message(
        "sw/v1/GW-0001/GAS-0001/event", b'{"t":1790000000000,"type":"fault","attributes":{"active":true}}', NOW
    )
    block, events, _, *_ = gate.judge([single, event])
    assert block.value.tolist() == [1.0, 1.0]
    assert (events[0].kind, events[0].id, events[0].type) == ("device", "GAS-0001", "fault")
    assert events[0].attributes == {"active": True}
    assert events[0].at == NOW


def test_status_is_an_event_of_the_gateway_even_when_retained(gate):
    _, events, rejects, *_ = gate.judge([Message("sw/v1/GW-0002/status", b"offline", NOW, retained=True)])
    assert (events[0].kind, events[0].id, events[0].attributes) == ("gateway", "GW-0002", {"online": False})
    assert rejects == []


REFUSED = {
    "not_decodable": Message("sw/v1/GW-0001/telemetry", b'{"readings":[', NOW),
    "not_decodable: bytes": Message("sw/v1/GW-0001/telemetry", b"\xff\xfe\x00", NOW),
    "not_decodable: nested": Message(
        "sw/v1/GW-0001/GAS-0001/event", b'{"type":"x","attributes":{"a":' + b"[" * 5000, NOW
    ),
    "unknown_gateway": telemetry(gas(), gateway="GW-9999"),
    "unknown_device": telemetry(gas(device="GAS-7777")),
    "retired_device": telemetry(gas(device="GAS-0002")),
    "foreign_device": telemetry({"device": "NOI-0001", "values": {"laeq": 50}}),
    "unknown_metric": telemetry({"device": "GAS-0001", "values": {"ch4": 1}}),
    "wrong_type": telemetry({"device": "GAS-0001", "values": {"gas_lel": "high"}}),
    "wrong_type: null": telemetry({"device": "GAS-0001", "values": {"gas_lel": None}}),
    "wrong_type: shape": Message("sw/v1/GW-0001/telemetry", b'{"readings":{"device":1}}', NOW),
    "wrong_type: time": telemetry({"device": "GAS-0001", "t": "now", "values": {"gas_lel": 1}}),
    "wrong_type: status": Message("sw/v1/GW-0001/status", b"maybe", NOW),
    "not_finite": Message("sw/v1/GW-0001/GAS-0001/telemetry", b'{"values":{"gas_lel":1e999}}', NOW),
    "not_finite: NaN": Message("sw/v1/GW-0001/GAS-0001/telemetry", b'{"values":{"gas_lel":NaN}}', NOW),
    "not_finite: an integer of 400 digits": Message(
        "sw/v1/GW-0001/GAS-0001/telemetry", b'{"values":{"gas_lel":1' + b"0" * 400 + b"}}", NOW
    ),
    "not_finite: an integer of 5,000 digits": Message(
        "sw/v1/GW-0001/GAS-0001/telemetry", b'{"values":{"gas_lel":1' + b"0" * 5000 + b"}}", NOW
    ),
    "not_decodable: half a character": Message(
        "sw/v1/GW-0001/telemetry", b'{"readings":[{"device":"\\ud800","values":{"gas_lel":1,"battery":"x"}}]}', NOW
    ),
    "wrong_type: an attribute beyond 64 bits": Message(
        "sw/v1/GW-0001/GAS-0001/event", b'{"type":"x","attributes":{"a":1' + b"0" * 30 + b"}}", NOW
    ),
    "oversize": Message("sw/v1/GW-0001/telemetry", b" " * (MAX_PAYLOAD + 1), NOW),
    "retained": telemetry(gas(), retained=True),
    "unknown_topic": Message("sw/v1/GW-0001/GAS-0001/firmware", b"{}", NOW),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_refusal_has_its_reason_and_disturbs_nothing_else(gate, case):
    good = telemetry(gas(7.0))
    block, events, rejects, *_ = gate.judge([good, REFUSED[case], telemetry(gas(8.0, NOW + SECOND))])
    assert [reject.reason for reject in rejects] == [case.split(":")[0]]
    assert decode_reject(encode(rejects[0])) == rejects[0], "it can be journalled"
    assert rejects[0].detail
    assert block.value.tolist() == [7.0, 8.0]
    assert events == []


def test_one_wrong_value_costs_only_itself(gate):
    block, _, rejects, *_ = gate.judge(
        [telemetry(gas(5.0, battery="full"), gas(6.0, NOW + SECOND), gas("x", device="GAS-1"))]
    )
    assert block.value.tolist() == [5.0, 6.0]
    assert [(r.reason, r.readings) for r in rejects] == [("wrong_type", 1), ("wrong_type", 1)]


def test_a_refused_part_is_a_message_that_can_be_replayed(gate):
    _, _, (reject,), *_ = gate.judge([telemetry(gas(5.0), gas(50.0, device="GAS-0003"))])
    assert reject.readings == 1
    registry = small_registry()
    registry.device_codes[1], registry.series_of["GAS-0003"] = "GAS-0003", {"gas_lel": 1}
    registry.device_index["GAS-0003"], registry.state[1] = 1, "in_service"
    gate.load(gate.admission(registry))
    block, _, rejects, *_ = gate.judge([Message(reject.topic, reject.payload, reject.received_at)])
    assert (block.series.tolist(), block.value.tolist(), block.at.tolist(), rejects) == ([1], [50.0], [NOW], [])


def test_out_of_range_is_kept_and_flagged(gate):
    assert flags_of(gate, telemetry(gas(100.0)), telemetry(gas(100.5, NOW + 1000))) == [0, Quality.OUT_OF_RANGE]


def test_a_reading_without_a_time_stands_at_its_receipt(gate):
    block, _, _, *_ = gate.judge([telemetry(gas(at=None))])
    assert block.at.tolist() == [NOW]
    assert block.quality.tolist() == [Quality.NO_TIME]


def test_older_than_the_newest_is_disordered_and_a_redelivery_is_not(gate):
    first, second = telemetry(gas(1.0, NOW)), telemetry(gas(2.0, NOW - SECOND))
    assert flags_of(gate, first, second, first) == [0, Quality.DISORDERED, 0]


def test_a_clock_that_was_ahead_and_is_put_right_is_not_disorder(gate):
    ahead = telemetry(gas(1.0, NOW + 30 * MINUTE))
    assert flags_of(gate, ahead, telemetry(gas(60.0, NOW + SECOND, battery=9), received_at=NOW + SECOND)) == [0, 0, 0]
    assert flags_of(gate, telemetry(gas(1.0, NOW - MINUTE), received_at=NOW + 2 * SECOND)) == [Quality.DISORDERED]


def test_aged_beyond_the_types_limit(gate):
    on_time, late = gas(1.0, NOW - 10 * MINUTE), gas(1.0, NOW - 10 * MINUTE - MILLISECOND)
    assert flags_of(gate, telemetry(late), telemetry(on_time)) == [Quality.AGED, 0]


def test_our_own_downtime_does_not_age_a_reading(gate):
    gate.control(Lost(NOW - 30 * MINUTE))
    gate.control(Connected(NOW))
    during, before = gas(60.0, NOW - 25 * MINUTE), gas(1.0, NOW - 45 * MINUTE)
    assert flags_of(gate, telemetry(before), telemetry(during)) == [Quality.AGED, 0]


def test_events_are_judged_for_lateness_too(gate):
    def flags(minutes: int) -> int:
        payload = msgspec.json.encode({"t": (NOW - minutes * MINUTE) // MILLISECOND, "type": "smoke_alarm"})
        _, (event,), _, *_ = gate.judge([Message("sw/v1/GW-0001/GAS-0001/event", payload, NOW)])
        return event.quality

    assert (flags(9), flags(11)) == (0, Quality.AGED)
    gate.control(Lost(NOW - 5 * MINUTE))
    gate.control(Connected(NOW))
    assert flags(11) == 0


@pytest.mark.parametrize(
    "t", [0, 5_000_000, -1, 2_085_978_496_000, 1_790_000_000_000_000_000, 1e300, (NOW + 2 * HOUR) // 1000]
)
def test_an_implausible_clock_is_replaced_and_still_alarms(gate, t):
    """1970, a counter, below zero, 2036, nanoseconds, no time at all, two hours ahead."""
    block, _, rejects, *_ = gate.judge([telemetry({"device": "GAS-0001", "t": t, "values": {"gas_lel": 60.0}})])
    assert (block.at.tolist(), block.value.tolist(), rejects) == ([NOW], [60.0], [])
    assert block.quality.tolist() == [Quality.TIME_REPLACED]
    assert block.shift_rows.tolist() == [0]


def test_a_batch_is_shifted_as_one_and_the_shift_is_kept(gate):
    minute = 60_000
    readings = [{"device": "GAS-0001", "t": i * minute, "values": {"gas_lel": i}} for i in range(3)]
    other = {"device": "NOI-0001", "t": NOW // MILLISECOND, "values": {"laeq": 50}}
    block, _, _, *_ = gate.judge([telemetry(*readings), telemetry(other, gateway="GW-0002")])
    assert block.at.tolist() == [NOW - 2 * MINUTE, NOW - MINUTE, NOW, NOW]
    assert block.shift_rows.tolist() == [0, 1, 2]
    assert block.shifts.tolist() == [NOW - 2 * MINUTE] * 3
    assert block.quality.tolist() == [Quality.TIME_REPLACED] * 3 + [0]


def test_rows_that_go_do_not_move_the_shift_to_others(gate):
    infinite = Message("sw/v1/GW-0001/GAS-0001/telemetry", b'{"t":5,"values":{"gas_lel":1e999,"battery":50}}', NOW)
    block, _, rejects, *_ = gate.judge([infinite, telemetry(gas(2.0))])
    assert [r.reason for r in rejects] == ["not_finite"]
    assert (block.series.tolist(), block.at.tolist()) == ([1, 0], [NOW, NOW])
    assert block.quality.tolist() == [Quality.TIME_REPLACED, 0]


def test_the_state_comes_back_from_its_file_and_the_journal(gate, tmp_path: Path):
    gate.judge([telemetry(gas(1.0, NOW))])
    gate.control(Lost(NOW - HOUR))
    gate.save(tmp_path / "gate", Offset(0, 7))
    later, _, _, *_ = gate.judge([telemetry(gas(1.0, NOW + MINUTE), received_at=NOW + MINUTE)])

    again = Gate(small_registry())
    assert again.restore(tmp_path / "gate") == Offset(0, 7)
    again.replay(Record(Offset(0, 8), NOW, RecordKind.BLOCK, later.to_bytes()))
    again.replay(Record(Offset(0, 9), NOW, RecordKind.CONTROL, encode(Connected(NOW))))
    assert again.outages.ends == [NOW]
    assert flags_of(again, telemetry(gas(2.0, NOW + SECOND), received_at=NOW + MINUTE)) == [Quality.DISORDERED]
    assert Gate(small_registry()).restore(tmp_path / "none") is None


def test_a_damaged_state_is_left_and_the_journal_replayed(gate, tmp_path: Path):
    gate.save(tmp_path / "gate", Offset(0, 7))
    (tmp_path / "gate").write_bytes((tmp_path / "gate").read_bytes()[:-3])
    assert Gate(small_registry()).restore(tmp_path / "gate") is None


def test_the_newest_times_after_a_restart_are_what_they_were(gate):
    """Also when a clock that was ahead was put right, which takes a series' newest time back."""
    ahead = telemetry(gas(1.0, NOW + 30 * MINUTE))
    right = telemetry(gas(2.0, NOW + SECOND), received_at=NOW + SECOND)
    late = telemetry(gas(3.0, NOW - MINUTE), received_at=NOW + 2 * SECOND)
    again = Gate(small_registry())
    for n, message in enumerate((ahead, right, late)):
        block = gate.judge([message]).block
        again.replay(Record(Offset(0, n), NOW, RecordKind.BLOCK, block.to_bytes()))
    assert again._newest.tolist() == gate._newest.tolist() == [NOW + SECOND, 0, 0]


def test_a_replayed_message_stands_where_it_stood_and_is_as_late_as_it_is(gate):
    def replayed(reading: dict, hours: int) -> Message:
        return telemetry(reading, received_at=NOW, replayed_from=NOW - hours * HOUR)

    block, _, rejects, *_ = gate.judge(
        [replayed(gas(60.0, at=None), 3), replayed(gas(60.0, at=5), 2), telemetry(gas("x"))]
    )
    assert block.at.tolist() == [NOW - 3 * HOUR, NOW - 2 * HOUR]
    assert block.quality.tolist() == [Quality.NO_TIME | Quality.AGED, Quality.TIME_REPLACED | Quality.AGED]
    _, _, (again,), *_ = gate.judge([replayed(gas(device="GAS-7777"), 3)])
    assert (again.received_at, [r.received_at for r in rejects]) == (NOW - 3 * HOUR, [NOW])


def test_a_retired_gateways_devices_do_not_come_in_through_another():
    registry = small_registry()
    registry.gateways = {"GW-0002": GatewayRow(0, "GW-0002", "v1", "", 0, "")}
    registry.gateway_codes, registry.gateway = ["GW-0002"], np.array([-1, -1, 0], np.int32)
    judged = Gate(registry).judge([telemetry(gas(60.0)), telemetry(gas(60.0), gateway="GW-0002")])
    assert [reject.reason for reject in judged.rejects] == ["unknown_gateway", "foreign_device"]
    assert len(judged.block) == 0


columns = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-40 * 60, 40 * 60),
        st.integers(0, 600),
        st.floats(-50, 200, allow_nan=False),
    ),
    max_size=30,
)


@given(columns, st.lists(st.tuples(st.integers(-3600, 0), st.integers(0, 3600)), max_size=3), st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_judging_in_pieces_or_at_once_or_in_plain_python_is_the_same(rows, outages, cut):
    registry = small_registry()
    series = np.array([r[0] for r in rows], np.int32)
    received = NOW + np.cumsum(np.array([r[2] for r in rows], np.int64)) * SECOND
    at = received + np.array([r[1] for r in rows], np.int64) * SECOND
    value = np.array([r[3] for r in rows], np.float64)
    starts = np.array([NOW + s * SECOND for s, _ in outages], np.int64)
    ends = starts + np.array([length * SECOND for _, length in outages], np.int64)

    def run(kernel, cuts: list[slice]) -> tuple[list[int], list[int]]:
        newest, flags = np.zeros(3, np.int64), []
        for part in cuts:
            quality = np.zeros(len(series[part]), np.uint16)
            kernel(
                series[part], at[part], received[part], value[part], quality, newest,
                registry.low, registry.high, registry.late, starts, ends, np.empty(0, np.int64),
            )  # fmt: skip
            flags += quality.tolist()
        return flags, newest.tolist()

    whole = run(judge, [slice(None)])
    assert run(judge.py_func, [slice(None)]) == whole
    assert run(judge, [slice(0, cut), slice(cut, None)]) == whole


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=60), st.booleans()), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_bytes_under_any_topic_become_rejects_or_readings_and_never_an_exception(messages):
    gate = Gate(small_registry())
    batch = [Message(f"sw/v1/GW-0001/{topic}", payload, NOW, retained) for topic, payload, retained in messages]
    judged = gate.judge(batch)
    assert len(judged.rejects) + len(judged.events) + len(judged.block) >= len(batch)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, st.sampled_from(["GAS-0001", "GAS-0009", "NOI-0001"]))
@settings(max_examples=300, deadline=None)
def test_any_json_is_answered_with_readings_or_reasons(values, t, device):
    gate = Gate(small_registry())
    entry = {"device": device, "t": t, "values": {"gas_lel": values}}
    payloads = [json.dumps({"readings": [entry]}).encode(), json.dumps(values).encode()]
    judged = gate.judge([Message("sw/v1/GW-0001/telemetry", payload, NOW) for payload in payloads])
    assert [decode_reject(encode(reject)) for reject in judged.rejects] == judged.rejects
    assert len(judged.rejects) + len(judged.block) >= 1
    assert np.isfinite(judged.block.value).all()
    assert ((judged.block.at > NOW - 10 * 365 * 24 * HOUR) & (judged.block.at <= NOW + HOUR)).all()
    for reject in judged.rejects:
        assert reject.reason in {"wrong_type", "unknown_device", "foreign_device", "not_decodable", "not_finite"}


def test_a_block_survives_the_journal_with_its_shifts():
    block = Block.of([1, 2], [3, 4], [5, 6], [7.5, 8.5], [0, 9])
    block.shift_rows, block.shifts = np.array([1], np.int32), np.array([-5], np.int64)
    again = Block.from_bytes(block.to_bytes())
    for name in ("series", "at", "received_at", "value", "quality", "shift_rows", "shifts"):
        assert getattr(again, name).tolist() == getattr(block, name).tolist()
