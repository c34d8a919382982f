"""What an edge node's births and data say, what can't be read of them, and what is kept."""

import pytest

from ingest.formats.items import Measured, Reach, Status
from ingest.formats.options import OptionsRefused
from ingest.formats.sparkplug_b import MOST_KNOWN, SparkplugB
from ingest.formats.sparkplug_payload import (
    BOOLEAN,
    COMPRESSED,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    PAYLOAD,
    TEXT,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Tag,
    birth,
    data,
    node_death,
)
from ingest.words import Message
from tests.ingest.formats.sparkplug_host import GAS, NOW, Host, T, gas, host_of_a_gas_detector, reasons


@pytest.fixture
def host() -> Host:
    return host_of_a_gas_detector()


def test_births_bring_status_reach_and_values():
    host = Host()

    assert host.born(3, T, Tag("uptime", 12.0)) == [Status(True), Measured("GW-0001", {"uptime": 12.0}, T)]
    assert host.durable
    assert host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T + 5)) == [
        Reach(GAS, True, T + 5),
        Measured(GAS, {"gas_lel": 3.25}, T + 5),
    ]
    assert host.durable


def test_data_are_read_by_the_aliases_of_the_birth_and_need_no_durable_memory(host):
    assert host.hear(f"DDATA/{GAS}", data([gas(61.5)], 2, T + 1000)) == [Measured(GAS, {"gas_lel": 61.5}, T + 1000)]
    assert not host.durable


def test_data_without_aliases_are_read_by_their_names(host):
    host.hear("DBIRTH/NOI-0001", birth([Tag("offset", -3, datatype=INT16)], 2, T))

    items = host.hear("DDATA/NOI-0001", data([Tag("offset", -4, datatype=INT16)], 3, T))

    assert items == [Measured("NOI-0001", {"offset": -4}, T)]


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        (INT8, -128),
        (INT16, -4),
        (INT32, -(2**31)),
        (INT64, -(2**63)),
        (INT64, 2**62),
        (UINT8, 255),
        (UINT16, 65535),
        (UINT32, 2**32 - 1),
        (UINT64, 2**64 - 1),
        (FLOAT, 3.25),
        (DOUBLE, 0.1),
        (BOOLEAN, True),
        (BOOLEAN, False),
    ],
)
def test_each_numeric_type_keeps_its_value_in_births_and_data(host, datatype, value):
    tag = Tag("x", value, alias=9, datatype=datatype)
    for items in (
        host.hear(f"DBIRTH/{GAS}", birth([tag], 2, T)),
        host.hear(f"DDATA/{GAS}", data([tag], 3, T)),
    ):
        (measured,) = [item for item in items if isinstance(item, Measured)]
        assert (measured.values, type(measured.values["x"])) == ({"x": value}, type(value))


@pytest.mark.parametrize("field", ["int_value", "long_value"])
def test_a_small_signed_integer_may_come_sign_extended(host, field):
    host.hear(f"DBIRTH/{GAS}", birth([Tag("x", 0, alias=9, datatype=INT8)], 2, T))
    payload = PAYLOAD(timestamp=T, seq=3, metrics=[{"alias": 9, field: 2**32 - 5}])

    assert host.hear(f"DDATA/{GAS}", payload.SerializeToString()) == [Measured(GAS, {"x": -5}, T)]


def test_a_metrics_own_time_goes_before_the_payloads_and_history_is_a_reading_like_any(host):
    late = gas(2.0, t=T - 60_000, historical=True)
    plain = PAYLOAD(seq=3, metrics=[{"alias": 1, "double_value": 4.0}])

    assert host.hear(f"DDATA/{GAS}", data([late, gas(3.0)], 2, T)) == [
        Measured(GAS, {"gas_lel": 2.0}, T - 60_000),
        Measured(GAS, {"gas_lel": 3.0}, T),
    ]
    assert host.hear(f"DDATA/{GAS}", plain.SerializeToString()) == [Measured(GAS, {"gas_lel": 4.0}, None)]


def test_null_and_control_metrics_are_no_readings_and_no_faults(host):
    tags = [Tag("gas_lel", None), Tag("Device Control/Reboot", False, datatype=BOOLEAN), Tag("Properties/model", "G1")]

    assert host.hear(f"DBIRTH/{GAS}", birth(tags, 2, T)) == [Reach(GAS, True, T)]


def test_texts_data_sets_and_templates_are_refused_by_name_and_the_good_ones_stay(host):
    born = PAYLOAD.FromString(birth([gas(9.0), Tag("mode", "auto", datatype=TEXT), Tag("bare", None)], 2, T))
    born.metrics[2].ClearField("is_null")
    born.metrics.add(name=b"rows", datatype=16, dataset_value=b"\x08\x01")
    born.metrics.add(name=b"kind", datatype=19, template_value=b"")
    born.metrics.add(name=b"list", datatype=22, bytes_value=b"\x01")

    _, measured, refused = host.hear(f"DBIRTH/{GAS}", born.SerializeToString())

    assert measured == Measured(GAS, {"gas_lel": 9.0}, T)
    assert (refused.reason, refused.readings) == ("wrong_type", 5)
    assert refused.detail == (
        "mode must be a number, not text; bare holds no value; rows holds a data set; kind holds a template; "
        "list holds an array"
    )


def test_a_refused_part_can_be_replayed_by_itself_once_fields_says_what_it_means(host):
    (refused,) = host.hear(f"DDATA/{GAS}", data([Tag("mode", "ON")], 2, T))
    host.dialect = SparkplugB("GW-0001", {"fields": {"mode": {"metric": "on", "values": {"ON": 1, "OFF": 0}}}})
    before = host.memory

    assert host.hear(f"DDATA/{GAS}", refused.payload, replayed_from=NOW) == [Measured(GAS, {"on": 1}, T)]
    assert host.memory is before


def test_options_name_the_group_the_node_and_the_fields():
    options = {"group": "plant", "node": "edge 1", "fields": {"LEL": {"metric": "gas_lel", "scale": 0.1}}}
    dialect = SparkplugB("GW-0001", options)
    message = Message("spBv1.0/plant/NBIRTH/edge 1", birth([Tag("LEL", 500)], 0, T, 0), NOW)

    assert dialect.topics == ("spBv1.0/plant/+/edge 1", "spBv1.0/plant/+/edge 1/+")
    assert dialect.answers == ("spBv1.0/plant/NCMD/edge 1/#", "spBv1.0/plant/DCMD/edge 1/#")
    assert dialect.decode(message)[1] == Measured("edge 1", {"gas_lel": 50.0}, T)
    with pytest.raises(OptionsRefused) as refused:
        SparkplugB("GW-0001", {"group": "a/b", "node": "+", "fields": 1})
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["group", "node", "fields"]


@pytest.mark.parametrize(
    ("place", "payload", "reason"),
    [
        ("NBIRTH", b"\xff\xff", "not_decodable"),
        ("NBIRTH", birth([], 0, T), "wrong_type"),
        ("NBIRTH", birth([], 1, T, 0), "wrong_type"),
        (
            "NBIRTH",
            PAYLOAD(metrics=[{"name": b"bdSeq", "string_value": b"1"}], seq=0).SerializeToString(),
            "wrong_type",
        ),
        ("NDEATH", b"", "wrong_type"),
        ("NODATA", b"", "unknown_topic"),
        ("DDATA", b"", "unknown_topic"),
        ("NDATA/x", b"", "unknown_topic"),
        ("NDATA", PAYLOAD(uuid=COMPRESSED, body=b"x").SerializeToString(), "unsupported"),
    ],
)
def test_what_is_no_message_of_a_node_is_refused_by_name(host, place, payload, reason):
    before = host.memory

    assert reasons(host.hear(place, payload)) == [reason]
    assert host.memory is before


def test_a_device_without_a_name_is_not_taken_for_the_node(host):
    message = Message("spBv1.0/shouwang/DBIRTH/GW-0001/", birth([], 2, T), NOW)

    assert reasons(host.dialect.decode(message, host.memory)) == ["unknown_topic"]


def test_a_node_can_not_make_the_host_remember_without_end(host):
    before = host.memory.births
    many = [Tag(f"m{number}", float(number)) for number in range(MOST_KNOWN + 1)]

    refused, measured = host.hear(f"DBIRTH/{GAS}", birth(many, 2, T))

    assert (refused.reason, len(measured.values)) == ("too_many", MOST_KNOWN + 1)
    assert host.memory.births == before


def test_what_is_packed_is_all_but_the_sequence(host):
    packed = host.dialect.pack(host.memory)
    kept = host.dialect.unpack(packed)

    assert (kept.bd_seq, kept.births, kept.reached) == (0, host.memory.births, frozenset({GAS}))
    assert (kept.seq, kept.wanted, kept.asked_at) == (None, False, 0)
    host.memory = kept
    assert host.hear(f"DDATA/{GAS}", data([gas(7.0)], 99, T)) == [Measured(GAS, {"gas_lel": 7.0}, T)]
    assert host.hear("NDEATH", node_death(0)) == [Status(False), Reach(GAS, False)]


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x00", b'{"bd_seq":1}', b"\x81\xa6births\x91\x01", b"\xa1\xff"])
def test_what_was_never_packed_is_refused(packed):
    with pytest.raises(ValueError):
        SparkplugB("GW-0001", {}).unpack(packed)
