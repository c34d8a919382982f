"""No message becomes much more than it is: names that its records repeat are of bounded length."""

import json
from typing import Any

import pytest

from ingest.formats import FORMATS
from ingest.formats.items import Item, Measured, Reach, Refused
from ingest.formats.sparkplug_payload import BOOLEAN, TEXT, Tag, birth, data
from ingest.refusals import MAX_PAYLOAD
from ingest.words import Message

NOW = 1_790_000_000_000_000
LONG, MANY = "n" * 100_000, 8_000
BAD = dict.fromkeys(map(str, range(5_000)), "x")
UPLINK = {"deviceInfo": {"devEui": "1"}}


def text(whole: Any) -> bytes:
    return json.dumps(whole, separators=(",", ":")).encode()


def bytes_of(items: list[Item]) -> int:
    """What the items come to where each is written by itself."""
    told = 0
    for item in items:
        match item:
            case Refused():
                told += len(item.payload or b"") + len(item.detail)
            case Measured():
                told += len(item.device) + sum(map(len, item.values))
            case Reach():
                told += len(item.device)
    return told


MESSAGES = {
    "v1": ("sw/v1/G/telemetry", text({"readings": [{"device": LONG, "x": LONG, "values": BAD}]})),
    "senml": ("senml/G/up", text([{"bn": LONG}, *[{"n": "a/b", "v": "x"}] * MANY])),
    "thingsboard": ("v1/gateway/telemetry", text({LONG: [{"b": "x"}] * MANY})),
    "chirpstack": ("application/1/device/1/event/up", text({**UPLINK, "object": {LONG: [1] * 50_000}})),
    "json": ("a/d", text({LONG: [1] * 50_000, "a": 1})),
    "hj212": ("hj212/G/up", b"##" * (MAX_PAYLOAD // 2)),
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {"json": {"topic": "a/{device}", "fields": {"a": "b"}}}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_comes_to_no_more_than_some_times_its_size(name: str) -> None:
    topic, payload = MESSAGES[name]
    assert len(payload) <= MAX_PAYLOAD
    items = FORMATS[name]("G", OPTIONS.get(name, {})).decode(Message(topic, payload, NOW), None)
    assert items
    assert bytes_of(items) < 40 * MAX_PAYLOAD


def test_units_of_senml_are_not_repeated_either() -> None:
    items = FORMATS["senml"]("G", {}).decode(
        Message("senml/G/up", text([{"bu": LONG}, *[{"v": "x"}] * MANY]), NOW), None
    )
    assert bytes_of(items) < 40 * MAX_PAYLOAD


def test_a_long_name_behind_an_alias_is_not_repeated() -> None:
    host, t = FORMATS["sparkplug_b"]("G", {}), NOW // 1000
    told = birth([Tag(LONG, "x", alias=1, datatype=TEXT)], seq=0, t=t)
    remember = host.decode(Message("spBv1.0/shouwang/DBIRTH/G/d", told, NOW), None)[-1]
    many = data([Tag("", "x", alias=1, t=t + n) for n in range(MANY)], seq=1, t=t)
    items = host.decode(Message("spBv1.0/shouwang/DDATA/G/d", many, NOW), remember.memory)  # type: ignore[union-attr]
    assert bytes_of(items) < 40 * MAX_PAYLOAD


def test_a_devices_name_of_sparkplug_is_of_bounded_length() -> None:
    told = birth([Tag("m", True, datatype=BOOLEAN)], seq=0, t=NOW // 1000)
    (item,) = FORMATS["sparkplug_b"]("G", {}).decode(
        Message(f"spBv1.0/shouwang/DBIRTH/G/{LONG[:300]}", told, NOW), None
    )
    assert isinstance(item, Refused)
    assert item.reason == "unknown_topic"


def test_beginnings_of_frames_are_kept_to_some_kilobytes() -> None:
    host, memory = FORMATS["hj212"]("G", {}), None
    for number in range(40):
        *_, remember = host.decode(Message(f"hj212/G/{number}", b"##9999" + b"a" * 9_000, NOW), memory)
        memory = remember.memory  # type: ignore[union-attr]
    assert 9_000 < len(host.pack(memory)) < 80_000
