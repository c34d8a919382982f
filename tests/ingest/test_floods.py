"""A gateway that sends more than it can have to say is shed, told of once a second, and shut out when it goes on."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import HOUR, MILLISECOND, MINUTE, SECOND
from core.journal import Offset, Record, RecordKind
from devices.registry import GatewayRow, Registry
from ingest.batch import Judged
from ingest.floods import BURST, FLOOR, FloodReport, Limit, cost_of, limit_of, limits_of, verdict
from ingest.gate import Gate
from ingest.words import Connected, Lost, Message, decode_event, decode_reject, encode
from tests.ingest.test_gate import NOW, TYPES, gas, small_registry, telemetry

RATE, ROOM = 10.0, 100.0


def town(**attributes: object) -> Registry:
    """GW-0001 with a gas detector (life-safety) and a noise meter NOI-0009, GW-0002 with a noise meter alone."""
    registry = small_registry()
    registry.gateways["GW-0001"] = GatewayRow(0, "GW-0001", "v1", "", 0, "", 0, attributes)
    registry.device_codes[1], registry.state[1], registry.type_code[1] = "NOI-0009", "in_service", "noise"
    registry.device_index["NOI-0009"] = registry.device_index.pop("GAS-0002")
    registry.series_of["NOI-0009"] = {"laeq": 1}
    del registry.series_of["GAS-0002"]
    return registry


@pytest.fixture
def gate() -> Gate:
    return Gate(town(), RATE, ROOM)


def noise(at: int, gateway: str = "GW-0002", device: str = "NOI-0001") -> Message:
    reading = {"device": device, "t": at // MILLISECOND, "values": {"laeq": 50}}
    return telemetry(reading, gateway=gateway, received_at=at)


def alarm(at: int) -> Message:
    return telemetry(gas(60.0, at), received_at=at)


def second(gate: Gate, messages: Sequence[Message], now: int) -> tuple[Judged, FloodReport]:
    """A second's messages, and the tick behind it."""
    return gate.judge(messages), gate.tick(now + SECOND)


def test_a_message_costs_its_kibibytes():
    assert [cost_of(b"x" * size) for size in (0, 1023, 1024, 5000)] == [1, 1, 2, 5]


def test_a_limit_follows_the_devices_pace():
    limits = limits_of(town(), RATE, ROOM)
    assert limits["GW-0001"].burst == pytest.approx(3 * 3600 * 2 / 30)
    assert limits["GW-0001"][::2] == (RATE, True)
    assert limits["GW-0002"] == Limit(RATE, 3 * 3600 / 5, life=False)
    assert limit_of(100, False, None).rate == 2000


def test_each_metric_may_come_in_a_message_of_its_own():
    registry = town()
    registry.device = np.zeros(4, np.int32)  # four metrics of GAS-0001
    assert limits_of(registry, RATE, 0)["GW-0001"].burst == pytest.approx(3 * 3600 * 4 / 30)


@pytest.mark.parametrize(
    ("given_rate", "rate"), [(7, 7.0), (0.5, 0.5), (0, RATE), (True, RATE), ("fast", RATE), (None, RATE)]
)
def test_a_gateway_may_have_its_own_rate(given_rate, rate):
    assert limits_of(town(max_messages_per_s=given_rate), RATE, ROOM)["GW-0001"].rate == rate


def test_an_hours_backlog_at_once_always_passes():
    """200 devices every 30 s, each reading a message of its own: 24,000 messages in one go."""
    count = 200
    codes = [f"NOI-{n:04}" for n in range(count)]
    registry = Registry(
        id="town", version=1, types=TYPES, gateways={"GW-0001": GatewayRow(0, "GW-0001", "v1", "", 0, "")},
        gateway_codes=["GW-0001"], device_codes=codes, device_index={code: n for n, code in enumerate(codes)},
        gateway=np.zeros(count, np.int32), type_code=["noise"] * count, site=["S"] * count,
        state=["in_service"] * count, state_until=np.zeros(count, np.int64), in_service_at=np.zeros(count, np.int64),
        interval=np.full(count, 30 * SECOND), silence=np.full(count, 90 * SECOND), attributes={}, metrics=["laeq"],
        series_of={code: {"laeq": n} for n, code in enumerate(codes)}, device=np.arange(count, dtype=np.int32),
        metric=np.zeros(count, np.int32), low=np.zeros(count), high=np.full(count, 140.0),
        late=np.full(count, 10 * MINUTE, np.int64),
    )  # fmt: skip
    gate = Gate(registry)
    backlog = []
    for step in range(120):
        t = (NOW - HOUR) // MILLISECOND + step * 30_000
        payload = msgspec.json.encode({"t": t, "values": {"laeq": 50}})
        backlog += [Message(f"sw/v1/GW-0001/{code}/telemetry", payload, NOW) for code in codes]
    taken = [gate.judge(backlog[start : start + 2_000]) for start in range(0, len(backlog), 2_000)]
    assert sum(len(judged.block) for judged in taken) == 24_000
    report = gate.tick(NOW + SECOND)
    assert (report.rejects, report.events, report.disable) == ([], [], [])


def test_what_is_over_the_limit_is_refused_unread_and_told_in_one_record(gate):
    burst = int(limits_of(town(), RATE, ROOM)["GW-0002"].burst)
    judged, report = second(gate, [noise(NOW + n) for n in range(burst + 500)], NOW)
    assert (len(judged.block), judged.rejects) == (burst, [])
    (reject,) = report.rejects
    assert (reject.gateway, reject.reason, reject.messages, reject.detail) == (
        "GW-0002",
        "flood",
        500,
        "500 messages unread",
    )
    assert decode_reject(encode(reject)) == reject
    assert report.shed == {"life_only": 0, "shut": 500, "disabled": 0}
    (event,) = report.events
    assert (event.kind, event.id, event.type) == ("gateway", "GW-0002", "flooding")
    assert event.attributes == {"active": True, "value": 500.0, "limit": RATE}


def test_other_gateways_are_not_concerned(gate):
    second(gate, [noise(NOW + n) for n in range(5_000)], NOW)
    judged = gate.judge([alarm(NOW + SECOND)])
    assert (len(judged.block), judged.rejects) == (1, [])


def test_life_safety_devices_are_shed_last(gate):
    """When the first bucket is empty only they are heard, with four times the rate; then nobody is."""
    gate.judge([noise(NOW, "GW-0001", "NOI-0009")] * 720)  # all that its first bucket holds
    judged, report = second(gate, [noise(NOW, "GW-0001", "NOI-0009"), alarm(NOW)] * 500, NOW)
    assert judged.block.series.tolist() == [0] * 360, "of 720 messages of the second bucket every other one"
    assert report.shed == {"life_only": 720, "shut": 280, "disabled": 0}
    (reject,) = report.rejects
    assert (reject.messages, reject.readings) == (280, 360)
    later = NOW + SECOND
    judged, report = second(gate, [noise(later, "GW-0001", "NOI-0009"), alarm(later)] * 500, later)
    assert len(judged.block) == RATE + 4 * RATE / 2, "ten of any kind, and forty of which half are alarms"
    assert report.shed["life_only"] == 4 * RATE


def test_one_device_of_life_safety_in_a_batch_is_heard_alone(gate):
    gate.judge([noise(NOW + n, "GW-0001", "NOI-0009") for n in range(720)])
    both = telemetry(gas(60.0, NOW), {"device": "NOI-0009", "values": {"laeq": 50}}, received_at=NOW)
    event = Message("sw/v1/GW-0001/NOI-0009/event", b'{"type":"fault"}', NOW)
    judged, report = second(gate, [both, event, Message("sw/v1/GW-0001/status", b"online", NOW)], NOW)
    assert judged.block.series.tolist() == [0]
    assert [event.type for event in judged.events] == ["status"]
    (reject,) = report.rejects
    assert (reject.messages, reject.readings) == (0, 1)
    assert reject.detail == "0 messages unread; of 3 only life-safety devices were heard"


def run(gate: Gate, seconds: int, per_second: int, since: int = 0, gateway: str = "GW-0002") -> list[FloodReport]:
    """So many messages in each of these seconds, ticks included."""
    reports = []
    for n in range(since, since + seconds):
        now = NOW + n * SECOND
        reports.append(second(gate, [noise(now + k, gateway) for k in range(per_second)], now)[1])
    return reports


def test_a_flood_begins_once_and_ends_after_a_minute_without(gate):
    events = [event for report in run(gate, 30, 400) for event in report.events]
    assert [event.attributes["active"] for event in events] == [True]
    quiet = [event for report in run(gate, 59, 1, since=30) for event in report.events]
    assert quiet == []
    (end,) = [event for report in run(gate, 3, 1, since=89) for event in report.events]
    assert (end.type, end.attributes["active"]) == ("flooding", False)
    assert end.attributes["value"] < RATE


def test_a_gateway_without_life_safety_is_shut_out_after_a_minute(gate):
    reports = run(gate, 90, 400)
    (ask,) = [ask for report in reports for ask in report.disable]
    assert ask == ("GW-0002", "flooding for 1 min, at most 10 messages/s")
    assert [event.type for report in reports for event in report.events] == ["flooding", "shut_out"]


def test_a_gateway_with_life_safety_has_ten_minutes():
    limit = Limit(RATE, ROOM, life=True)
    assert verdict(limit, 10 * MINUTE - 1) is None
    assert verdict(limit, 10 * MINUTE) == "flooding for 10 min, at most 10 messages/s"


def test_a_flood_with_pauses_is_no_lasting_one(gate):
    reports = run(gate, 30, 400) + run(gate, 10, 0, since=30) + run(gate, 40, 400, since=40)
    assert [ask for report in reports for ask in report.disable] == []


def test_a_gateway_that_is_shut_out_is_refused_unread(gate):
    registry = town()
    registry.gateways["GW-0002"] = GatewayRow(1, "GW-0002", "v1", "", 0, "", NOW)
    gate.load(gate.admission(registry))
    judged, report = second(gate, [noise(NOW + n) for n in range(70)], NOW)
    assert (len(judged.block), judged.rejects) == (0, [])
    (reject,) = report.rejects
    assert (reject.reason, reject.messages) == ("disabled_gateway", 70)
    assert report.shed["disabled"] == 70
    assert gate.tick(NOW + 2 * SECOND).rejects == []
    gate.load(gate.admission(town()))
    gate.tick(NOW + 3 * SECOND)
    assert len(gate.judge([noise(NOW + 4 * SECOND)]).block) == 1


def test_a_flood_from_nobody_is_aggregated_too(gate):
    messages = [telemetry(gas(), gateway=f"GW-9{n:05}", received_at=NOW) for n in range(int(BURST) + 300)]
    judged, report = second(gate, messages, NOW)
    assert len(judged.rejects) == BURST
    (reject,) = report.rejects
    assert (reject.gateway, reject.messages, report.events, report.disable) == ("", 300, [], [])


def test_replayed_letters_are_not_shed(gate):
    gate.judge([noise(NOW + n) for n in range(5_000)])
    letter = telemetry({"device": "NOI-0001", "values": {"laeq": 50}}, gateway="GW-0002", replayed_from=NOW - HOUR)
    assert len(gate.judge([letter]).block) == 1


def test_the_end_of_a_flood_is_told_after_a_restart(gate, tmp_path):
    reports = run(gate, 10, 400)
    (event,) = [event for report in reports for event in report.events]
    gate.save(tmp_path / "gate", Offset(0, 1))
    saved, replayed = Gate(town(), RATE, ROOM), Gate(town(), RATE, ROOM)
    saved.restore(tmp_path / "gate")
    replayed.replay(Record(Offset(0, 1), NOW, RecordKind.EVENT, encode(event)))
    for again in (saved, replayed):
        told = [event for n in range(90) for event in again.tick(NOW + n * SECOND).events]
        assert [event.attributes["active"] for event in told] == [False]
    assert decode_event(encode(event)) == event


@given(st.lists(st.integers(0, 300), min_size=20, max_size=40))
@settings(max_examples=50, deadline=None)
def test_no_gateway_gets_more_than_its_bucket_and_its_rate(paces):
    gate = Gate(town(), RATE, ROOM)
    limit = limits_of(town(), RATE, ROOM)["GW-0002"]
    heard = shed = 0
    for n, pace in enumerate(paces):
        judged, report = second(gate, [noise(NOW + n * SECOND + k) for k in range(pace)], NOW + n * SECOND)
        heard, shed = heard + len(judged.block), shed + report.shed["shut"]
        assert heard <= limit.burst + RATE * (n + 1) + 1
    assert heard + shed == sum(paces)
    assert heard >= min(sum(paces), limit.burst)


def test_the_defaults_are_those_of_the_settings():
    from shouwang.reading_settings import IngestSettings

    assert (IngestSettings().gateway_messages_per_s, IngestSettings().gateway_burst) == (FLOOR, BURST)


def test_what_came_to_the_broker_while_we_were_away_is_no_flood():
    """Eight hours of a device's pace at once, then a second outage's beside a bucket that was used up."""
    gate = Gate(town(), RATE, ROOM)
    for begin in (NOW, NOW + 10 * HOUR):
        end = begin + 8 * HOUR
        gate.control(Lost(begin))
        gate.control(Connected(end))
        held = [noise(begin + n * 5 * SECOND) for n in range(8 * 720)]
        held = [msgspec.structs.replace(message, received_at=end) for message in held]
        judged, report = second(gate, held, end)
        assert len(judged.block) == len(held)
        assert (report.rejects, report.events, report.disable) == ([], [], [])


def test_an_outage_of_ours_lets_no_endless_flood_in():
    gate = Gate(town(), RATE, ROOM)
    gate.control(Lost(NOW - HOUR))
    gate.control(Connected(NOW))
    burst = limits_of(town(), RATE, ROOM)["GW-0002"].burst
    judged = gate.judge([noise(NOW) for _ in range(4 * int(burst))])
    assert len(judged.block) < 3 * burst


def test_a_gateway_that_is_shut_out_gains_nothing_by_our_outage():
    registry = town()
    registry.gateways["GW-0002"] = GatewayRow(1, "GW-0002", "v1", "", 0, "", NOW - HOUR)
    gate = Gate(registry, RATE, ROOM)
    gate.control(Lost(NOW - HOUR))
    gate.control(Connected(NOW))
    assert len(gate.judge([noise(NOW)]).block) == 0
