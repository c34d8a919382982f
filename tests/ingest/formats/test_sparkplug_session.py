"""Whatever is missed, handed out again or dies: gaps, rebirths and deaths of an edge node and its devices."""

from itertools import pairwise

import pytest

from core.clock import SECOND
from ingest.formats.items import Measured, Reach, Status
from ingest.formats.sparkplug_b import ASK_EVERY
from ingest.formats.sparkplug_payload import BOOLEAN, PAYLOAD, REBIRTH, Tag, birth, data, device_death, node_death
from tests.ingest.formats.sparkplug_host import GAS, NOW, Host, T, asked, gas, host_of_a_gas_detector, reasons


@pytest.fixture
def host() -> Host:
    return host_of_a_gas_detector()


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
