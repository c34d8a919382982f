"""ChirpStack's events: decoded objects, battery, joins, and what of them is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.registry import GatewayRow
from ingest.formats.chirpstack import ChirpStack, milliseconds
from ingest.formats.items import Item, Measured, Reach, Refused
from ingest.formats.options import OptionsRefused
from ingest.gate import Gate
from ingest.words import Message
from tests.ingest.test_gate import small_registry

NOW = 1_790_000_000_000_000
T = NOW // 1000
EUI = "0004a30b001c0530"
APPLICATION = "5a4a2d9c-0c1f-4c7a-9f0e-2c5a3d1b7e60"


def uplink(**more: Any) -> dict[str, Any]:
    """An uplink as ChirpStack 4 sends it."""
    return {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        "time": "2026-09-21T14:13:20.000000000+00:00",
        "deviceInfo": {
            "tenantName": "Wangting",
            "applicationId": APPLICATION,
            "deviceProfileName": "Gas",
            "deviceName": "kitchen",
            "devEui": EUI,
            "tags": {},
        },
        "devAddr": "00189440",
        "adr": True,
        "dr": 5,
        "fCnt": 10,
        "fPort": 2,
        "confirmed": False,
        "data": "qg==",
        "object": {"gas_lel": 3.5},
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "gwTime": "2026-09-21T14:13:19.9Z", "rssi": -48, "snr": 9.0}],
        **more,
    }


def decode(event: object, kind: str = "up", options: dict[str, Any] | None = None) -> list[Item]:
    payload = event if isinstance(event, bytes) else json.dumps(event).encode()
    dialect = ChirpStack("GW-0009", options or {})
    return dialect.decode(Message(f"application/{APPLICATION}/device/{EUI}/event/{kind}", payload, NOW))


def refusals(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.reason, item.detail) for item in items if isinstance(item, Refused)]


def test_an_uplinks_object_is_a_reading_at_its_time():
    assert decode(uplink()) == [Measured(EUI, {"gas_lel": 3.5}, T)]


def test_a_nested_object_is_flattened_and_fields_may_name_what_is_in_it():
    nested = uplink(object={"probe": {"t": 215, "open": True}, "levels": [1, 2]})

    assert decode(nested)[0].values == {"probe.t": 215, "probe.open": True, "levels.0": 1, "levels.1": 2}
    fields = {"probe.t": {"metric": "temp", "scale": 0.1}, "levels.0": "level"}
    assert decode(nested, options={"fields": fields})[0].values == {
        "temp": 21.5,
        "level": 1,
        "probe.open": True,
        "levels.1": 2,
    }


def test_texts_are_refused_by_name_and_the_good_values_stay():
    measured, refused = decode(uplink(object={"gas_lel": 3.5, "mode": "auto", "a": {"b": None}}))

    assert measured == Measured(EUI, {"gas_lel": 3.5}, T)
    assert (refused.reason, refused.readings) == ("wrong_type", 2)
    assert refused.detail == f"{EUI}: mode must be a number, not text; a.b must be a number, not null"
    options = {"fields": {"mode": {"metric": "m", "values": {"auto": 1}}}}
    assert decode(refused.payload, options=options)[0] == Measured(EUI, {"m": 1}, T)


def test_an_uplink_that_was_not_decoded_says_what_to_do():
    raw = uplink()
    del raw["object"]

    assert refusals(decode(raw)) == [("no_object", f"{EUI}: set a payload codec in ChirpStack")]
    assert refusals(decode(uplink(object="x"))) == [("no_object", f"{EUI}: set a payload codec in ChirpStack")]


def test_a_frame_without_a_payload_is_nothing():
    assert decode(uplink(object=None, data="")) == []
    assert decode(uplink(object={})) == []


def test_a_status_gives_the_battery_where_there_is_one():
    status = {"time": "2026-09-21T14:13:20Z", "deviceInfo": {"devEui": EUI}, "margin": 10, "batteryLevel": 75.5}

    assert decode(status, "status") == [Measured(EUI, {"battery": 75.5}, T)]
    assert decode({**status, "externalPowerSource": True}, "status") == []
    assert decode({**status, "batteryLevelUnavailable": True}, "status") == []
    assert decode({"deviceInfo": {"devEui": EUI}, "margin": 10}, "status") == []
    (refused,) = decode({**status, "batteryLevel": "full"}, "status")
    assert decode(refused.payload, "status") == [refused]


def test_a_join_means_that_the_device_is_reached():
    assert decode({"time": "2026-09-21T14:13:20Z", "deviceInfo": {"devEui": EUI}}, "join") == [Reach(EUI, True, T)]


@pytest.mark.parametrize("kind", ["ack", "txack", "log", "location", "integration"])
def test_other_events_give_nothing(kind):
    assert decode(b"\xff", kind) == []


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        ("2026-09-21T14:13:20Z", T),
        ("2026-09-21T22:13:20+08:00", T),
        ("2026-09-21T14:13:20.5Z", T + 500),
        ("2026-09-21T14:13:20.123456789Z", T + 123.457),
        ("2026-09-21T09:43:20.001-04:30", T + 1),
        ("0001-01-01T00:00:00+08:00", -62135625600000),
        (None, None),
    ],
)
def test_times_of_rfc_3339(time, ms):
    assert milliseconds(time) == ms


@pytest.mark.parametrize(
    "time", ["", "now", "2026-09-21", "2026-09-21T14:13:20", "2026-13-01T00:00:00Z", 1790000000, {}]
)
def test_a_time_that_is_none_is_refused(time):
    ((reason, detail),) = refusals(decode(uplink(time=time)))

    assert reason == "wrong_type"
    assert detail.startswith(f"{EUI}: time must be of RFC 3339")


def test_without_a_time_a_reading_has_none():
    event = uplink()
    del event["time"]

    assert decode(event) == [Measured(EUI, {"gas_lel": 3.5}, None)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_decodable"),
        (b'{"object":' * 50_000, "not_decodable"),
        (b"\xff", "not_decodable"),
        (b"[]", "wrong_type"),
        (b'{"object":{"a":1}}', "wrong_type"),
        (b'{"deviceInfo":{"devEui":7},"object":{"a":1}}', "wrong_type"),
    ],
)
def test_what_is_no_event_is_refused(payload, reason):
    assert [told[0] for told in refusals(decode(payload))] == [reason]


def test_an_unknown_event_is_an_unknown_topic():
    assert [told[0] for told in refusals(decode({}, "data"))] == ["unknown_topic"]


def test_topics_follow_the_options():
    assert ChirpStack("GW-0009", {}).topics == ("application/+/device/+/event/+",)
    options = {"application": APPLICATION, "prefix": "lora/town"}
    assert ChirpStack("GW-0009", options).topics == (f"lora/town/application/{APPLICATION}/device/+/event/+",)
    with pytest.raises(OptionsRefused) as refused:
        ChirpStack("GW-0009", {"application": "a/b", "prefix": "#", "fields": []})
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["application", "prefix", "fields"]


names = st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
events = (
    st.builds(uplink, object=values) | st.builds(uplink, time=values) | st.builds(uplink, deviceInfo=values) | values
)


@given(st.binary(max_size=60) | events, st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_and_any_json_give_items(event, draws):
    payload = bytearray(event if isinstance(event, bytes) else json.dumps(event).encode())
    if draws.draw(st.booleans()) and payload:
        payload[draws.draw(st.integers(0, len(payload) - 1))] = draws.draw(st.integers(0, 255))
    kind = draws.draw(st.sampled_from(["up", "status", "join"]))
    for item in decode(bytes(payload), kind):
        assert isinstance(item, Measured | Reach | Refused)
        if isinstance(item, Measured):
            assert all(isinstance(float(value), float) for value in item.values.values())
        if isinstance(item, Refused) and item.payload is not None:
            assert refusals(decode(item.payload, kind))


def test_behind_the_gate_a_device_is_known_by_its_eui():
    registry = small_registry()
    registry.gateways["GW-0001"] = GatewayRow(0, "GW-0001", "chirpstack", "", 0, "")
    registry.attributes["GAS-0001"] = {"alias": EUI}
    topic = f"application/{APPLICATION}/device/{EUI}/event/up"

    judged = Gate(registry).judge([Message(topic, json.dumps(uplink()).encode(), NOW)])

    assert (judged.block.value.tolist(), judged.block.at.tolist(), judged.rejects) == ([3.5], [NOW], [])
