import json
from typing import Any

import pytest

from ingest.formats.items import Item, Measured, Refused
from ingest.formats.options import OptionsRefused
from ingest.formats.senml import SenML
from ingest.words import Message

_NOW = 1_790_000_000_000_000


def _decode(pack: object, options: dict[str, Any] | None = None, topic: str = "senml/GW-0001/up") -> list[Item]:
    payload = pack if isinstance(pack, bytes) else json.dumps(pack).encode()
    return SenML("GW-0001", options or {}).decode(Message(topic, payload, _NOW))


def _values(items: list[Item]) -> list[tuple[str, dict[str, float | bool], float | None]]:
    return [(item.device, item.values, item.t) for item in items if isinstance(item, Measured)]


def _refusals(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.reason, item.detail) for item in items if isinstance(item, Refused)]


def test_base_fields_hold_from_their_record_on() -> None:
    pack = [
        {"bn": "GAS-0001/", "bt": 1_790_000_000, "bv": 10, "n": "gas_lel", "v": 1},
        {"n": "gas_lel", "v": 2, "t": 5},
        {"bn": "GAS-0002:", "bt": 1_790_000_100.5, "n": "gas_lel", "v": 3},
    ]

    assert _values(_decode(pack)) == [
        ("GAS-0001", {"gas_lel": 11}, 1_790_000_000_000),
        ("GAS-0001", {"gas_lel": 12}, 1_790_000_005_000),
        ("GAS-0002", {"gas_lel": 13}, 1_790_000_100_500),
    ]


def test_a_small_time_is_relative_to_the_receipt_and_zero_or_none_is_the_receipt() -> None:
    pack = [{"n": "A/m", "v": 1, "t": -2.5}, {"n": "B/m", "v": 1, "t": 0}, {"n": "C/m", "v": 1}]

    assert _values(_decode(pack)) == [("A", {"m": 1}, 1_789_999_997_500), ("B", {"m": 1}, None), ("C", {"m": 1}, None)]


def test_a_replayed_relative_time_counts_from_the_first_receipt() -> None:
    first = 1_780_000_000_000_000
    message = Message("senml/GW-0001", b'[{"n":"A/m","v":1,"t":-1}]', _NOW, replayed_from=first)

    assert _values(SenML("GW-0001", {}).decode(message)) == [("A", {"m": 1}, 1_779_999_999_000)]


def test_values_of_one_device_and_time_are_one_reading_and_a_series_in_a_pack_stays_apart() -> None:
    pack = [{"bn": "A/", "n": "x", "v": 1}, {"n": "on", "vb": True}, {"n": "x", "v": 2}]

    assert _values(_decode(pack)) == [("A", {"x": 1, "on": True}, None), ("A", {"x": 2}, None)]


def test_texts_data_and_sums_are_refused_by_name_and_the_good_record_stays() -> None:
    pack = [
        {"bn": "A/", "n": "x", "v": 1},
        {"n": "mode", "vs": "auto"},
        {"n": "blob", "vd": "AAA"},
        {"n": "total", "s": 7},
        {"n": "y", "v": "1"},
        7,
    ]

    items = _decode(pack)

    assert _values(items) == [("A", {"x": 1}, None)]
    assert _refusals(items) == [
        ("wrong_type", "A mode must be a number, not text"),
        ("wrong_type", "A blob must be a number, not binary data"),
        ("wrong_type", "A total must be a value, not a sum alone"),
        ("wrong_type", "v must be a number, not text"),
        ("wrong_type", "a record is an object, not number"),
    ]


def test_each_refused_record_replays_alone() -> None:
    refused = _decode([{"bn": "A/", "bt": 1.79e9, "n": "mode", "vs": "auto"}])

    assert isinstance(refused[0], Refused)
    assert refused[0].payload == b'[{"n":"A/mode","vs":"auto","t":1790000000.0}]'
    mapped = {"fields": {"mode": {"metric": "mode", "values": {"auto": 2}}}}
    assert _values(_decode(refused[0].payload, mapped)) == [("A", {"mode": 2}, 1_790_000_000_000)]


def test_what_must_be_understood_refuses_the_whole_pack() -> None:
    assert _refusals(_decode([{"n": "A/x", "v": 1}, {"n": "A/y", "v": 1, "crit_": 1}])) == [
        ("unsupported", "record 2 has crit_, which must be understood and is not")
    ]
    assert _refusals(_decode([{"bver": 11, "n": "A/x", "v": 1}])) == [
        ("unsupported", "version 11; known are versions up to 10")
    ]
    assert _values(_decode([{"bver": 5, "n": "A/x", "v": 1, "later": "ignored"}])) == [("A", {"x": 1}, None)]


def test_a_device_of_the_topic_or_the_options_names_all_records() -> None:
    pack = [{"n": "temp", "v": 21}]

    assert _refusals(_decode(pack)) == [("wrong_type", "temp names no device and metric")]
    assert _values(_decode(pack, {"device": "CBL-0001"})) == [("CBL-0001", {"temp": 21}, None)]
    by_topic = {"topic": "senml/{gateway}/{device}/up", "fields": {"temp": "cable_temp"}}
    assert _values(_decode(pack, by_topic, "senml/GW-0001/CBL-0002/up")) == [("CBL-0002", {"cable_temp": 21}, None)]
    assert SenML("GW-0001", by_topic).topics == ("senml/GW-0001/+/up",)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[", b"\xff", b"[" * 100_000])
def test_what_is_no_pack_is_refused(payload: bytes) -> None:
    assert [reason for reason, _ in _refusals(_decode(payload))] in (["not_decodable"], ["wrong_type"])


def test_numbers_beyond_any_float_are_refused_and_none_raises() -> None:
    large = b"9" * 330
    items = _decode(b'[{"bn":"A/","bt":%b,"n":"x","v":%b},{"n":"y","bv":0.5,"v":%b}]' % (large, large, large))

    assert all(isinstance(item, Measured | Refused) for item in items)


def test_bad_options_are_told_together() -> None:
    with pytest.raises(OptionsRefused) as refused:
        SenML("GW-0001", {"topic": "#", "device": 7, "fieldz": {}})

    assert refused.value.problems == (
        "topic: '#' must begin with a level of its own",
        "device: must be a text",
        "fieldz: is no option; fields?",
    )
