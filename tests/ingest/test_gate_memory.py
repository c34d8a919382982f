"""What a convention remembers from message to message: held once it is journalled, back after a kill."""

from pathlib import Path

import msgspec
import pytest

from core.journal import Offset, Record, RecordKind
from devices.registry import GatewayRow, Registry
from ingest.formats import FORMATS
from ingest.gate import Gate
from ingest.words import Message, Remembered, decode_control, encode
from tests.ingest.scripted_dialect import Scripted
from tests.ingest.test_gate import NOW, small_registry


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "scripted", Scripted)


def town(name: str = "scripted") -> Registry:
    registry = small_registry()
    registry.gateways["GW-0001"] = GatewayRow(0, "GW-0001", name, "", 0, "", 0, {"topics": ["plant/#"]})
    return registry


def says(**body: object) -> Message:
    return Message("plant/1", msgspec.json.encode(body), NOW)


def count(gate: Gate) -> int:
    """How many messages the gate remembers to have read."""
    (answer,) = gate.judge([says(answer="how/many")]).answers
    return int(answer.payload) - 1


def test_messages_of_a_batch_build_on_each_other_and_the_next_batch_on_what_was_settled():
    gate = Gate(town())
    judged = gate.judge([says(), says(), says(answer="plant/1/down")])
    assert [(answer.topic, answer.payload) for answer in judged.answers] == [("plant/1/down", b"3")]
    assert count(gate) == 0, "not journalled yet: judged again, it would be the same"
    gate.settle(judged)
    assert count(gate) == 3


def test_what_is_durable_is_journalled_and_the_rest_only_held():
    gate = Gate(town())
    assert gate.remembered(gate.judge([says(durable=False)])) == []
    judged = gate.judge([says(), says(durable=False)])
    assert gate.remembered(judged) == [Remembered("GW-0001", b"2")], "durable once, durable as a whole"


def test_a_kill_forgets_nothing_that_was_journalled(tmp_path: Path):
    gate = Gate(town())
    first = gate.judge([says()])
    gate.settle(first)
    gate.save(tmp_path / "gate", Offset(0, 1))
    second = gate.judge([says()])
    again = Gate(town())
    again.restore(tmp_path / "gate")
    assert count(again) == 1
    for control in gate.remembered(second):
        record = encode(control)
        assert decode_control(record) == control
        again.replay(Record(Offset(0, 2), NOW, RecordKind.CONTROL, record))
    assert count(again) == 2


@pytest.mark.parametrize("packed", [b"gibberish", b""])
def test_a_memory_that_its_dialect_does_not_read_is_forgotten(packed: bytes):
    gate = Gate(town())
    gate.control(Remembered("GW-0001", packed))
    gate.control(Remembered("GW-7777", b"5"))
    assert count(gate) == 0


def test_a_gateway_that_changed_its_format_begins_anew(tmp_path: Path):
    gate = Gate(town())
    gate.settle(gate.judge([says()]))
    gate.load(gate.admission(town("v1")))
    gate.save(tmp_path / "gate", Offset(0, 1))
    gate.load(gate.admission(town()))
    assert count(gate) == 0


def test_a_newer_registry_keeps_the_memory_of_those_that_stay():
    gate = Gate(town())
    gate.settle(gate.judge([says()]))
    gate.load(gate.admission(town()))
    assert count(gate) == 1


def test_a_reach_is_a_status_of_the_device():
    (event,) = Gate(town()).judge([says(device="GAS-0001", online=False)]).events
    assert (event.kind, event.id, event.type) == ("device", "GAS-0001", "status")
    assert event.attributes == {"online": False}


@pytest.mark.parametrize("body", [{"online": True}, {"type": "fault"}, {"values": {"gas_lel": 1}}])
def test_strangers_are_refused_whatever_is_said_of_them(body: dict[str, object]):
    judged = Gate(town()).judge([says(device="GAS-9999", **body)])
    assert [reject.reason for reject in judged.rejects] == ["unknown_device"]
    assert judged.events == []
