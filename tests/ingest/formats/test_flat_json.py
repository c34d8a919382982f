import json
from typing import Any

import pytest

from ingest.formats.flat_json import FlatJson
from ingest.formats.items import Happened, Item, Measured, Reach, Refused
from ingest.formats.options import OptionsRefused
from ingest.refusals import whole_refusal
from ingest.words import Message

_ZIGBEE: dict[str, Any] = {
    "topic": "zigbee2mqtt/{device}",
    "fields": {"battery": "battery", "contact": {"metric": "cover_open", "values": {"true": 0, "false": 1}}},
    "events": {"smoke": {"type": "smoke_alarm", "active": [True, "ON"]}},
    "online": {
        "topic": "zigbee2mqtt/{device}/availability",
        "online": "online",
        "offline": "offline",
        "field": "state",
    },
}


def _decode(given: object, options: dict[str, Any], topic: str = "zigbee2mqtt/hall") -> list[Item]:
    payload = given if isinstance(given, bytes) else json.dumps(given).encode()
    return FlatJson("GW-0001", options).decode(Message(topic, payload, 1_790_000_000_000_000))


def test_only_what_is_mapped_is_taken() -> None:
    items = _decode({"battery": 97, "contact": False, "linkquality": 120, "update": {"state": "idle"}}, _ZIGBEE)

    assert items == [Measured("hall", {"battery": 97, "cover_open": 1}, None)]


def test_a_null_says_that_there_is_no_value_yet() -> None:
    assert _decode({"battery": None, "contact": True, "smoke": None}, _ZIGBEE) == [
        Measured("hall", {"cover_open": 0}, None)
    ]


@pytest.mark.parametrize(("smoke", "active"), [(True, True), ("ON", True), (False, False), ("off", False)])
def test_an_event_is_on_for_the_values_that_mean_so(smoke: object, active: bool) -> None:
    assert _decode({"smoke": smoke}, _ZIGBEE) == [Happened("hall", "smoke_alarm", None, {"active": active})]


def test_without_any_mapped_field_the_message_is_refused_with_those_that_came() -> None:
    given = {f"f{number}": number for number in range(20)}

    assert _decode(given, _ZIGBEE) == [
        Refused("nothing_mapped", "hall: none of the mapped fields is among f0, f1, f2, f3, f4, f5, f6, f7, f8, f9")
    ]


def test_a_bad_field_is_refused_and_the_others_stay() -> None:
    assert _decode({"battery": "full", "contact": False}, _ZIGBEE) == [
        Refused("wrong_type", "hall battery must be a number, not text", 1),
        Measured("hall", {"cover_open": 1}, None),
    ]


def test_presence_is_read_from_an_object_or_a_text() -> None:
    topic = "zigbee2mqtt/hall/availability"
    assert _decode({"state": "offline"}, _ZIGBEE, topic) == [Reach("hall", False)]
    assert _decode({"state": "?"}, _ZIGBEE, topic) == [Refused("wrong_type", "hall: '?' is none of online, offline")]
    plain = {**_ZIGBEE, "online": {"topic": "tele/{device}/LWT", "online": "Online", "offline": "Offline"}}
    assert _decode(b"Online", plain, "tele/hall/LWT") == [Reach("hall", True)]
    assert FlatJson("GW-0001", plain).topics == ("zigbee2mqtt/+", "tele/+/LWT")


def test_presence_may_be_retained_and_a_reading_may_not() -> None:
    dialect = FlatJson("GW-0001", _ZIGBEE)

    assert whole_refusal(Message("zigbee2mqtt/hall/availability", b"{}", 1, retained=True), dialect) is None
    refused = whole_refusal(Message("zigbee2mqtt/hall", b"{}", 1, retained=True), dialect)
    assert refused is not None
    assert refused.reason == "retained"


@pytest.mark.parametrize(
    ("spelled_as", "value"),
    [("iso", "2026-09-21T14:13:20Z"), ("local", "2026-09-21T22:13:20"), ("ms", 1.79e12), ("s", "1790000000")],
)
def test_times_are_read_as_the_options_say(spelled_as: str, value: object) -> None:
    options = {**_ZIGBEE, "time": "at.time", "time_format": spelled_as}

    assert _decode({"battery": 1, "at": {"time": value}}, options) == [Measured("hall", {"battery": 1}, 1.79e12)]


@pytest.mark.parametrize("value", ["2026-09-21T22:13:20", "soon", 7, None, True])
def test_a_time_that_is_none_is_told_and_the_values_are_kept(value: object) -> None:
    refused, kept = _decode({"battery": 1, "time": value}, {**_ZIGBEE, "time": "time"})

    assert isinstance(refused, Refused)
    assert refused.reason == "bad_time"
    assert kept == Measured("hall", {"battery": 1}, None)


def test_the_device_is_the_topics_or_the_options_or_a_fields() -> None:
    fields = {"topic": "meters/{gateway}/#", "fields": {"v": "depth_cm"}}
    topic = "meters/GW-0001/a/b"

    assert _decode({"v": 1}, {**fields, "device": "WTR-0001"}, topic) == [Measured("WTR-0001", {"depth_cm": 1})]
    by_field = {**fields, "device_field": "dev.id"}
    assert _decode({"v": 1, "dev": {"id": 42}}, by_field, topic) == [Measured("42", {"depth_cm": 1})]
    assert _decode({"v": 1}, by_field, topic) == [Refused("wrong_type", "dev.id names no device", 1)]


@pytest.mark.parametrize(
    ("payload", "reason"), [(b"", "not_decodable"), (b"\xff", "not_decodable"), (b"[1]", "wrong_type")]
)
def test_what_is_no_object_is_refused(payload: bytes, reason: str) -> None:
    assert [item.reason for item in _decode(payload, _ZIGBEE) if isinstance(item, Refused)] == [reason]


def test_bad_options_are_told_together() -> None:
    with pytest.raises(OptionsRefused) as refused:
        FlatJson(
            "GW-0001",
            {
                "topic": "tele/+/SENSOR",
                "time_format": "unix",
                "events": {"smoke": {"type": "smoke_alarm"}, "tilt": {"type": "t", "active": []}},
                "online": {"topic": "tele/+/LWT", "online": "on", "offline": "off"},
            },
        )

    event = 'must be an object such as {"type": "smoke_alarm", "active": [true, "ON"]}'
    assert refused.value.problems == (
        "time_format: must be one of iso, local, ms, s",
        f"events.smoke: {event}",
        f"events.tilt: {event}",
        "online.topic: must have a level {device}",
        "fields: is required: paths of the object to metrics",
        "topic: names no device: give topic a level {device}, or the option device or device_field",
    )
    with pytest.raises(OptionsRefused, match="topic: is required"):
        FlatJson("GW-0001", {"fields": {"a": "b"}})


@pytest.mark.parametrize(
    "topic", ["#", "{device}/up", "sw/v1/x", "$SYS/x", "a/{device}/{device}", "a/x{device}", "a/#/b", "", 7]
)
def test_topics_that_no_gateway_may_have_are_refused(topic: object) -> None:
    with pytest.raises(OptionsRefused, match="topic: "):
        FlatJson("GW-0001", {"topic": topic, "device": "D", "fields": {"a": "b"}})
