"""What a host makes of an edge node's births, data and deaths, in whatever order they come."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from core.clock import SECOND
from ingest.formats.items import Answer, Item, Measured, Reach, Refused, Remember, Status
from ingest.formats.options import OptionsRefused
from ingest.formats.sparkplug_b import ASK_EVERY, MOST_KNOWN, Node, SparkplugB
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
    REBIRTH,
    TEXT,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Tag,
    birth,
    data,
    device_death,
    node_death,
)
from ingest.words import Message

NOW = 1_790_000_000 * SECOND
T = NOW // 1000
GAS = "GAS-0001"


@dataclass
class Host:
    """Hears one node and remembers what the dialect wants remembered; a second passes with each message."""

    dialect: SparkplugB = field(default_factory=lambda: SparkplugB("GW-0001", {}))
    memory: Node | None = None
    now: int = NOW
    durable: bool = False

    def hear(self, place: str, payload: bytes, **more: Any) -> list[Item]:
        kind, _, device = place.partition("/")
        topic = f"spBv1.0/shouwang/{kind}/GW-0001" + (f"/{device}" if device else "")
        items = self.dialect.decode(Message(topic, payload, self.now, **more), self.memory)
        self.now += SECOND
        told = [item for item in items if isinstance(item, Remember)]
        self.durable = any(item.durable for item in told)
        self.memory = told[-1].memory if told else self.memory
        return [item for item in items if not isinstance(item, Remember)]

    def born(self, bd_seq: int = 0, t: int = T, *tags: Tag) -> list[Item]:
        return self.hear("NBIRTH", birth(tags, 0, t, bd_seq))


def gas(value: float = 3.25, **more: Any) -> Tag:
    return Tag("gas_lel", value, alias=1, **more)


def asked(items: list[Item]) -> list[str]:
    return [item.topic for item in items if isinstance(item, Answer)]


def reasons(items: list[Item]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Refused)]


@pytest.fixture
def host() -> Host:
    """A host to which a node with one gas detector was born: their seq were 0 and 1, the alias of gas_lel is 1."""
    host = Host()
    host.born()
    host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T))
    return host


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


# --- sequence and rebirth


def test_a_gap_asks_for_a_rebirth_and_its_values_are_used(host):
    items = host.hear(f"DDATA/{GAS}", data([gas(5.0)], 4, T + 1))

    measured, answer = items
    assert measured == Measured(GAS, {"gas_lel": 5.0}, T + 1)
    assert answer.topic == "spBv1.0/shouwang/NCMD/GW-0001"
    (command,) = PAYLOAD.FromString(answer.payload).metrics
    assert (command.name.decode(), command.boolean_value, command.datatype) == (REBIRTH, True, BOOLEAN)
    assert host.hear("NCMD", answer.payload) == []  # the broker hands us our own


def test_the_sequence_runs_over_from_255_to_0(host):
    for seq in range(2, 600):
        assert asked(host.hear(f"DDATA/{GAS}", data([gas()], seq % 256, T + seq))) == []


def test_requests_for_a_rebirth_keep_their_distance_until_one_is_answered(host):
    times = []
    for seq in range(3, 63, 2):  # each one a gap, one a second
        times += [host.now] * len(asked(host.hear(f"DDATA/{GAS}", data([gas()], seq, T + seq))))

    assert len(times) == 3
    assert all(later - earlier >= ASK_EVERY for earlier, later in pairwise(times))
    host.born(0, T + 100)
    host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T + 101))
    host.now += 2 * ASK_EVERY
    assert asked(host.hear(f"DDATA/{GAS}", data([gas()], 2, T + 102))) == []


def test_a_gap_within_the_distance_is_asked_for_afterwards(host):
    host.hear(f"DDATA/{GAS}", data([gas()], 9, T + 1))
    host.born(0, T + 2)
    host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T + 3))

    assert asked(host.hear(f"DDATA/{GAS}", data([gas()], 3, T + 4))) == []
    host.now += ASK_EVERY
    assert len(asked(host.hear(f"DDATA/{GAS}", data([gas()], 4, T + 5)))) == 1


def test_messages_handed_out_again_are_no_gap(host):
    sent = [(seq, data([gas(seq)], seq, T + seq)) for seq in range(2, 8)]
    for _, payload in sent:
        host.hear(f"DDATA/{GAS}", payload)
    for seq, payload in sent[2:]:
        assert host.hear(f"DDATA/{GAS}", payload) == [Measured(GAS, {"gas_lel": float(seq)}, T + seq)]
    assert asked(host.hear(f"DDATA/{GAS}", data([gas()], 8, T + 8))) == []


def test_a_node_whose_clock_was_set_back_is_asked_to_be_born_again_and_read_then(host):
    back = T - 3_600_000
    items = host.hear(f"DDATA/{GAS}", data([gas(60.0)], 2, back))
    assert (reasons(items), len(asked(items))) == (["no_birth"], 1)

    host.born(0, back + 1)
    host.hear(f"DBIRTH/{GAS}", birth([gas(60.0)], 1, back + 1))
    assert host.hear(f"DDATA/{GAS}", data([gas(60.0)], 2, back + 2)) == [Measured(GAS, {"gas_lel": 60.0}, back + 2)]


def test_a_session_whose_birth_was_missed_dies_by_any_death(host):
    host.hear("NDEATH", node_death(0))
    host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T + 10))

    assert host.hear("NDEATH", node_death(1)) == [Status(False), Reach(GAS, False)]


def test_the_same_message_twice_is_no_gap(host):
    payload = data([gas()], 2, T + 2)

    assert host.hear(f"DDATA/{GAS}", payload) == host.hear(f"DDATA/{GAS}", payload)
    assert asked(host.hear(f"DDATA/{GAS}", data([gas()], 3, T + 3))) == []


@pytest.mark.parametrize("restarted", [False, True])
def test_data_of_an_earlier_session_handed_out_again_are_not_read_by_the_new_aliases(host, restarted):
    old = data([gas(5.0)], 2, T + 1)
    host.hear(f"DDATA/{GAS}", old)
    host.hear("NDEATH", node_death(0))
    host.born(1, T + 100)
    host.hear(f"DBIRTH/{GAS}", birth([Tag("battery", 97.0, alias=1)], 1, T + 101))
    if restarted:
        host.memory = host.dialect.unpack(host.dialect.pack(host.memory))

    items = host.hear(f"DDATA/{GAS}", old)

    assert reasons(items) == ["no_birth"]
    assert host.hear(f"DDATA/{GAS}", data([Tag("battery", 96.0, alias=1)], 2, T + 102))[0].values == {"battery": 96.0}


def test_a_devices_birth_of_an_earlier_session_gives_its_values_and_teaches_nothing(host):
    host.born(1, T + 100)
    before = host.memory.births

    items = host.hear(f"DBIRTH/{GAS}", birth([gas(8.0)], 1, T + 1))

    assert items[0] == Measured(GAS, {"gas_lel": 8.0}, T + 1)
    assert host.memory.births == before


def test_births_handed_out_again_end_no_devices_birth(host):
    host.hear(f"DDATA/{GAS}", data([gas()], 2, T + 2))

    assert host.born() == [Status(True)]
    assert host.hear(f"DDATA/{GAS}", data([gas()], 3, T + 3)) == [Measured(GAS, {"gas_lel": 3.25}, T + 3)]


def test_data_before_any_birth_are_refused_whole_and_a_rebirth_is_asked_for():
    host = Host()
    refused, answer = host.hear(f"DDATA/{GAS}", data([gas(), gas()], 40, T))

    assert (refused.reason, refused.readings, refused.payload) == ("no_birth", 2, None)
    assert answer.topic.endswith("/NCMD/GW-0001")
    assert asked(host.hear("NDATA", data([gas()], 41, T))) == []


def test_an_unknown_alias_is_refused_alone_and_a_rebirth_is_asked_for(host):
    measured, refused, _ = host.hear(f"DDATA/{GAS}", data([gas(4.0), Tag("new", 1.0, alias=77)], 2, T))

    assert measured == Measured(GAS, {"gas_lel": 4.0}, T)
    assert (refused.reason, refused.readings) == ("no_birth", 1)
    assert "alias 77" in refused.detail
    again = host.hear(f"DDATA/{GAS}", refused.payload, replayed_from=NOW)
    assert (reasons(again), asked(again)) == (["no_birth"], [])
    host.hear(f"DBIRTH/{GAS}", birth([gas(), Tag("new", 1.0, alias=77)], 3, T))
    assert host.hear(f"DDATA/{GAS}", refused.payload, replayed_from=NOW) == [Measured(GAS, {"new": 1.0}, T)]


def test_a_devices_birth_without_its_nodes_is_used_and_the_nodes_is_asked_for():
    host = Host()
    reach, measured, answer = host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T))

    assert (reach.online, measured.values) == (True, {"gas_lel": 3.25})
    assert answer.topic.endswith("/NCMD/GW-0001")
    assert host.hear(f"DDATA/{GAS}", data([gas(9.0)], 2, T)) == [Measured(GAS, {"gas_lel": 9.0}, T)]


def test_what_comes_from_the_dead_letters_teaches_nothing(host):
    before = host.memory
    replayed = {"replayed_from": NOW - SECOND}

    assert host.hear("NBIRTH", birth([gas(1.0)], 7, T), **replayed) == [Measured("GW-0001", {"gas_lel": 1.0}, T)]
    assert host.hear("DBIRTH/X", birth([gas(1.0)], 7, T), **replayed) == [Measured("X", {"gas_lel": 1.0}, T)]
    assert host.hear(f"DDATA/{GAS}", data([gas(1.0)], 200, T), **replayed) == [Measured(GAS, {"gas_lel": 1.0}, T)]
    for place, payload in (("NDEATH", node_death(0)), (f"DDEATH/{GAS}", device_death(9, T))):
        assert host.hear(place, payload, **replayed) == []
    assert host.memory is before


# --- deaths


def test_a_nodes_death_marks_all_its_devices_unreachable_at_receipt(host):
    host.hear("DBIRTH/NOI-0001", birth([], 2, T))

    assert host.hear("NDEATH", node_death(0)) == [Status(False), Reach("GAS-0001", False), Reach("NOI-0001", False)]
    assert host.durable
    assert host.hear("NDEATH", node_death(0)) == []
    items = host.hear(f"DDATA/{GAS}", data([gas()], 3, T + 9))
    assert (reasons(items), len(asked(items))) == (["no_birth"], 1)


def test_the_death_of_an_earlier_session_is_ignored(host):
    host.born(1, T + 10)
    host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T + 10))

    assert host.hear("NDEATH", node_death(0)) == []
    assert host.hear(f"DDATA/{GAS}", data([gas()], 2, T + 11)) == [Measured(GAS, {"gas_lel": 3.25}, T + 11)]
    assert host.hear("NDEATH", node_death(1))[0] == Status(False)


def test_a_node_that_dies_unborn_is_offline():
    assert Host().hear("NDEATH", node_death(7)) == [Status(False)]


def test_a_devices_death_ends_its_birth(host):
    assert host.hear(f"DDEATH/{GAS}", device_death(2, T + 1)) == [Reach(GAS, False, T + 1)]
    assert reasons(host.hear(f"DDATA/{GAS}", data([gas()], 3, T + 2))) == ["no_birth"]
    assert host.hear("NDEATH", node_death(0)) == [Status(False)]


def test_after_a_nodes_new_birth_its_devices_must_be_born_again_but_stay_its_devices(host):
    host.born(1, T + 10)

    assert reasons(host.hear(f"DDATA/{GAS}", data([gas()], 1, T + 11))) == ["no_birth"]
    assert host.hear("NDEATH", node_death(1)) == [Status(False), Reach(GAS, False)]


# --- what can't be read


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


# --- memory


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
