"""ThingsBoard's gateway API: telemetry with and without times, reach, and what of it is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.registry import GatewayRow
from ingest.formats.items import Item, Measured, Reach, Refused
from ingest.formats.options import OptionsRefused
from ingest.formats.thingsboard import ThingsBoard
from ingest.gate import Gate
from ingest.words import Message
from tests.ingest.test_gate import small_registry

NOW = 1_790_000_000_000_000
T = NOW // 1000


def decode(body: object, place: str = "telemetry", options: dict[str, Any] | None = None) -> list[Item]:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    dialect = ThingsBoard("GW-0007", options or {})
    return dialect.decode(Message(f"{(options or {}).get('prefix', '')}v1/gateway/{place}", payload, NOW))


def refusals(items: list[Item]) -> list[tuple[str, str, int]]:
    return [(item.reason, item.detail, item.readings) for item in items if isinstance(item, Refused)]


def test_each_entry_is_a_reading_with_its_own_time():
    body = {
        "Dev A": [{"ts": T, "values": {"gas_lel": 3.2, "on": True}}, {"ts": T + 1, "values": {"gas_lel": 4}}],
        "Dev B": [{"laeq": 51}, {"values": {"laeq": 52}}],
    }

    assert decode(body) == [
        Measured("Dev A", {"gas_lel": 3.2, "on": True}, T),
        Measured("Dev A", {"gas_lel": 4}, T + 1),
        Measured("Dev B", {"laeq": 51}, None),
        Measured("Dev B", {"laeq": 52}, None),
    ]


def test_connect_and_disconnect_tell_of_reach():
    assert decode({"device": "Dev A", "type": "gas"}, "connect") == [Reach("Dev A", True)]
    assert decode({"device": "Dev A"}, "disconnect") == [Reach("Dev A", False)]
    assert refusals(decode({"device": 1}, "connect")) == [("wrong_type", 'expected {"device": NAME}', 0)]
    assert refusals(decode([], "disconnect")) == [("wrong_type", 'expected {"device": NAME}', 0)]


@pytest.mark.parametrize("place", ["attributes", "attributes/request", "rpc", "claim"])
def test_the_rest_of_the_api_gives_nothing(place):
    assert decode(b"\xff", place) == []


def test_other_topics_are_unknown():
    assert refusals(decode({}, "telemetry/x")) == [("unknown_topic", "v1/gateway/telemetry/x", 0)]


def test_a_bad_value_leaves_the_good_ones_and_can_be_replayed_by_itself():
    good, refused = decode({"Dev A": [{"ts": T, "values": {"gas_lel": 3, "mode": "auto", "x": None}}]})

    assert good == Measured("Dev A", {"gas_lel": 3}, T)
    assert refused == Refused(
        "wrong_type",
        "Dev A: mode must be a number, not text; x must be a number, not null",
        2,
        b'{"Dev A":[{"ts":1790000000000,"values":{"mode":"auto","x":null}}]}',
    )
    assert decode(refused.payload, options={"fields": {"mode": {"metric": "m", "values": {"auto": 1}}}})[0] == Measured(
        "Dev A", {"m": 1}, T
    )


def test_an_entry_without_a_time_keeps_its_shape_in_what_is_refused():
    _, refused = decode({"Dev A": [{"gas_lel": 3, "mode": "auto"}]})

    assert refused.payload == b'{"Dev A":[{"mode":"auto"}]}'


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({"gas_lel": 1}, "must be an array of entries, not object"),
        ([7], "an entry has values by name, not number"),
        ([{"ts": T}], "an entry has values by name, not null"),
        ([{"ts": T, "values": [1]}], "an entry has values by name, not array"),
        ([{"ts": "now", "values": {"gas_lel": 1}}], "ts must be milliseconds since 1970 as a number, not text"),
        ([{"ts": True, "values": {"gas_lel": 1}}], "ts must be milliseconds since 1970 as a number, not boolean"),
    ],
)
def test_a_bad_device_leaves_the_others(entries, why):
    refused, good = decode({"Dev A": entries, "Dev B": [{"laeq": 51}]})

    assert good == Measured("Dev B", {"laeq": 51}, None)
    assert refused.reason == "wrong_type"
    assert refused.detail == f"Dev A: {why}"
    assert json.loads(refused.payload) == {"Dev A": entries}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_decodable"),
        (b"{", "not_decodable"),
        (b"\xff\xfe", "not_decodable"),
        (b'{"\\ud800":[]}', "not_decodable"),
        (b'{"a":' * 50_000, "not_decodable"),
        (b"[" * 500 + b"]" * 500, "wrong_type"),
        (b'{"a":[' + b"[" * 400 + b"]" * 400 + b"]}", "wrong_type"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
    ],
)
def test_what_is_no_telemetry_is_refused_whole(payload, reason):
    assert [told[0] for told in refusals(decode(payload))] == [reason]


def test_not_a_number_passes_for_the_gate_to_refuse_by_name():
    (measured,) = decode(b'{"Dev A":[{"a":NaN,"b":1e999,"c":1}]}')

    assert repr(measured.values) == "{'a': nan, 'b': inf, 'c': 1.0}"


def test_an_integer_too_long_for_a_reading_is_refused():
    ((reason, detail, _),) = refusals(decode(b'{"Dev A":[{"a":1' + b"0" * 400 + b"}]}"))

    assert (reason, detail) == ("wrong_type", "Dev A: a is too large")


def test_a_time_beyond_64_bits_is_one_that_the_gate_replaces():
    (measured,) = decode(b'{"Dev A":[{"ts":1' + b"0" * 400 + b',"values":{"x":1}}]}')

    assert measured == Measured("Dev A", {"x": 1}, float("inf"))


def test_a_device_without_a_name_is_refused():
    refused, good = decode({"": [{"x": 1}], "Dev B": [{"laeq": 51}]})

    assert (refused.reason, refused.payload) == ("wrong_type", b'{"":[{"x":1}]}')
    assert good == Measured("Dev B", {"laeq": 51}, None)
    assert [told[0] for told in refusals(decode({"device": ""}, "connect"))] == ["wrong_type"]


def test_a_refusal_stays_short_whatever_was_sent():
    body = {"d" * 250: [{"n" * 5_000: "x", **{f"m{number}": "x" for number in range(99)}}]}
    ((_, detail, readings),) = refusals(decode(body))

    assert readings == 100
    assert 400 < len(detail) <= 500


def test_a_prefix_goes_before_every_topic():
    dialect = ThingsBoard("GW-0007", {"prefix": "GW-0007/"})

    assert "GW-0007/v1/gateway/telemetry" in dialect.topics
    assert all(topic.startswith("GW-0007/v1/gateway/") for topic in dialect.topics)
    assert ThingsBoard("GW-0007", {"prefix": "GW-0007"}).topics == dialect.topics
    assert decode({"Dev A": [{"x": 1}]}, options={"prefix": "GW-0007/"}) == [Measured("Dev A", {"x": 1})]


@pytest.mark.parametrize("prefix", ["+", "a/#", "sw/v1", "$SYS", 7, "a\0"])
def test_a_prefix_that_could_take_others_topics_is_refused(prefix):
    with pytest.raises(OptionsRefused, match="prefix"):
        ThingsBoard("GW-0007", {"prefix": prefix})


names, devices = st.text(max_size=6), st.text(min_size=1, max_size=6)
readings = st.builds(
    Measured,
    devices,
    st.dictionaries(names, st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False), min_size=1)
    .filter(lambda values: all(value not in (float("inf"), float("-inf")) for value in values.values()))
    .filter(lambda values: not {"ts", "values"} & values.keys()),
    st.none() | st.integers(0, 2**45),
)


@given(st.lists(readings | st.builds(Reach, devices, st.booleans()), max_size=5))
def test_what_is_written_is_read_again(items):
    dialect = ThingsBoard("GW-0007", {})

    assert [
        item for topic, body in dialect.encode(items) for item in dialect.decode(Message(topic, body, NOW))
    ] == items


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.just("ts") | st.just("values"), inner),
    max_leaves=10,
)


@given(st.binary(max_size=60) | st.dictionaries(names, values, max_size=3) | values, st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_and_any_json_give_items_and_refused_parts_that_can_be_read(body, draws):
    payload = bytearray(body if isinstance(body, bytes) else json.dumps(body).encode())
    if draws.draw(st.booleans()) and payload:
        payload[draws.draw(st.integers(0, len(payload) - 1))] = draws.draw(st.integers(0, 255))
    place = draws.draw(st.sampled_from(["telemetry", "connect", "disconnect"]))
    for item in decode(bytes(payload), place):
        assert isinstance(item, Measured | Reach | Refused)
        if isinstance(item, Measured):
            assert all(isinstance(float(value), float) for value in item.values.values())
        if isinstance(item, Refused) and item.payload is not None:
            assert refusals(decode(item.payload, place))


def test_behind_the_gate_devices_have_the_names_that_their_gateway_uses():
    registry = small_registry()
    registry.gateways["GW-0001"] = GatewayRow(0, "GW-0001", "thingsboard", "", 0, "", attributes={"prefix": "GW-0001"})
    registry.attributes["GAS-0001"] = {"alias": "Kitchen gas"}
    gate = Gate(registry)
    body = {"Kitchen gas": [{"ts": T, "values": {"gas_lel": 61.5}}], "Attic": [{"x": 1}]}

    judged = gate.judge(
        [
            Message("GW-0001/v1/gateway/telemetry", json.dumps(body).encode(), NOW),
            Message("GW-0001/v1/gateway/disconnect", b'{"device":"Kitchen gas"}', NOW),
        ]
    )

    assert judged.block.value.tolist() == [61.5]
    assert [(event.id, event.type, event.attributes) for event in judged.events] == [
        ("GAS-0001", "status", {"online": False})
    ]
    assert [reject.reason for reject in judged.rejects] == ["unknown_device"]
