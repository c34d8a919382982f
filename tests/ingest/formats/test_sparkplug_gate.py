"""An edge node behind the gate: its death reaches its devices, and a kill of the platform forgets no birth."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.clock import SECOND
from core.journal import Offset, Record, RecordKind
from devices.registry import GatewayRow, Registry
from ingest.formats.sparkplug_payload import FLOAT, Tag, birth, data, node_death
from ingest.gate import Gate
from ingest.words import Event, Message, encode
from tests.ingest.test_gate import small_registry

NOW = 1_790_000_000 * SECOND
T = NOW // 1000
LEL = Tag("gas_lel", 3.25, alias=4, datatype=FLOAT)


def sparkplug_registry() -> Registry:
    """The small town, GW-0001 an edge node that calls its gas detector LEL-7."""
    registry = small_registry()
    registry.gateways["GW-0001"] = GatewayRow(0, "GW-0001", "sparkplug_b", "", 0, "", attributes={"node": "edge"})
    registry.attributes["GAS-0001"] = {"alias": "LEL-7"}
    return registry


def told(place: str, payload: bytes, second: int = 0, **more: bool) -> Message:
    kind, _, device = place.partition("/")
    topic = f"spBv1.0/shouwang/{kind}/edge" + (f"/{device}" if device else "")
    return Message(topic, payload, NOW + second * SECOND, **more)


BORN = (told("NBIRTH", birth([], 0, T, 5)), told("DBIRTH/LEL-7", birth([LEL], 1, T)))
DATA = told("DDATA/LEL-7", data([LEL._replace(value=61.5)], 2, T + 1000), 1)
DEATH = told("NDEATH", node_death(5), 60)


class Platform:
    """A gate and the control records that a journal would hold of it."""

    def __init__(self, journalled: Sequence[Record] = ()) -> None:
        self.gate = Gate(sparkplug_registry())
        self.journalled = list(journalled)
        for record in journalled:
            self.gate.replay(record)

    def hear(self, *messages: Message):
        judged = self.gate.judge(messages)
        for remembered in self.gate.remembered(judged):
            place = Offset(0, len(self.journalled) + 1)
            self.journalled.append(Record(place, NOW, RecordKind.CONTROL, encode(remembered)))
        self.gate.settle(judged)
        return judged


def statuses(events: Sequence[Event]) -> list[tuple[str, str, bool]]:
    return [(event.kind, event.id, event.attributes["online"]) for event in events if event.type == "status"]


def test_births_and_data_become_readings_and_statuses():
    judged = Platform().hear(*BORN, DATA)

    assert judged.block.value.tolist() == [3.25, 61.5]
    assert judged.block.at.tolist() == [NOW, NOW + SECOND]
    assert statuses(judged.events) == [("gateway", "GW-0001", True), ("device", "GAS-0001", True)]
    assert (judged.rejects, list(judged.answers)) == ([], [])


def test_a_nodes_death_marks_its_devices_unreachable():
    platform = Platform()
    platform.hear(*BORN, DATA)

    judged = platform.hear(DEATH)

    assert statuses(judged.events) == [("gateway", "GW-0001", False), ("device", "GAS-0001", False)]
    assert {event.at for event in judged.events} == {DEATH.received_at}


@pytest.mark.parametrize("batches", [[BORN, (DATA,)], [(BORN[0],), (BORN[1], DATA)], [(*BORN, DATA)]])
def test_after_a_kill_aliases_and_devices_are_known_from_the_journal(batches):
    before = Platform()
    for batch in batches:
        before.hear(*batch)

    after = Platform(before.journalled)
    judged = after.hear(told("DDATA/LEL-7", data([LEL._replace(value=7.0)], 77, T + 2000), 2))

    assert (judged.block.value.tolist(), judged.rejects, list(judged.answers)) == ([7.0], [], [])
    assert statuses(after.hear(DEATH).events) == [("gateway", "GW-0001", False), ("device", "GAS-0001", False)]


def test_after_a_death_and_a_kill_the_node_is_still_dead():
    before = Platform()
    before.hear(*BORN)
    before.hear(DEATH)

    judged = Platform(before.journalled).hear(DATA)

    assert [reject.reason for reject in judged.rejects] == ["no_birth"]
    assert [answer.topic for answer in judged.answers] == ["spBv1.0/shouwang/NCMD/edge"]


def test_the_gates_snapshot_holds_the_births(tmp_path: Path):
    before = Platform()
    before.hear(*BORN)
    before.gate.save(tmp_path / "gate", Offset(0, 9))
    after = Platform()

    assert after.gate.restore(tmp_path / "gate") == Offset(0, 9)
    assert after.hear(DATA).block.value.tolist() == [61.5]


def test_plain_data_write_no_memory_into_the_journal():
    platform = Platform()
    platform.hear(*BORN)
    written = len(platform.journalled)

    for second in range(2, 20):
        platform.hear(told("DDATA/LEL-7", data([LEL], second, T + 1000 * second), second))

    assert len(platform.journalled) == written


def test_what_was_judged_but_never_journalled_is_not_remembered():
    platform = Platform()
    platform.gate.judge(BORN)

    assert [reject.reason for reject in platform.hear(DATA).rejects] == ["no_birth"]


def test_retained_births_are_refused():
    judged = Platform().hear(told("NBIRTH", birth([], 0, T, 5), retained=True))

    assert [reject.reason for reject in judged.rejects] == ["retained"]
    assert judged.events == []


def test_values_of_a_device_that_is_not_registered_can_be_replayed_as_version_1_afterwards():
    judged = Platform().hear(BORN[0], told("DBIRTH/NEW", birth([LEL], 1, T)))

    by_reason = {reject.reason: reject for reject in judged.rejects if reject.topic.startswith("sw/v1/")}
    assert by_reason["unknown_device"].payload == (
        b'{"readings":[{"device":"NEW","values":{"gas_lel":3.25},"t":1790000000000}]}'
    )


def test_a_changed_format_forgets_the_node_quietly():
    before = Platform()
    before.hear(*BORN)
    plain = Gate(small_registry())
    for record in before.journalled:
        plain.replay(record)

    assert [reject.reason for reject in plain.judge([DATA]).rejects] == ["unknown_topic"]
