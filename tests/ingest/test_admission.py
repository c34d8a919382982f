"""Names as gateways spell them: aliases of devices and spellings of metrics, resolved by the gate."""

import msgspec
import pytest

from devices.registry import Registry
from ingest.admission import Admission, admitted_devices
from ingest.gate import Gate
from ingest.words import Message
from tests.ingest.test_gate import NOW, TYPES, small_registry, telemetry

SPELLED = msgspec.structs.replace(TYPES["gas"].metrics["gas_lel"], spellings=("LEL%", "可燃气体"))


def town(alias: object = ("a840", "厨房报警器")) -> Registry:
    registry = small_registry()
    gas = TYPES["gas"]
    registry.types = TYPES | {"gas": msgspec.structs.replace(gas, metrics=gas.metrics | {"gas_lel": SPELLED})}
    registry.attributes["GAS-0001"] = {"alias": list(alias) if isinstance(alias, tuple) else alias}
    return registry


def reading(device: str, metric: str = "gas_lel") -> Message:
    return telemetry({"device": device, "values": {metric: 5}})


@pytest.mark.parametrize("name", ["GAS-0001", "a840", "厨房报警器"])
def test_a_device_is_known_by_its_code_and_its_aliases(name):
    judged = Gate(town()).judge([reading(name)])
    assert (judged.block.series.tolist(), judged.rejects) == ([0], [])


def test_one_alias_may_stand_alone():
    assert Gate(town("a840")).judge([reading("a840")]).block.series.tolist() == [0]


@pytest.mark.parametrize("alias", [5, [5, None], {"a": 1}])
def test_an_alias_that_is_no_text_is_none(alias):
    assert set(admitted_devices(town(alias))["GW-0001"].series) == {"GAS-0001"}


def test_an_alias_holds_at_its_own_gateway_only():
    (reject,) = Gate(town()).judge([telemetry({"device": "a840", "values": {"laeq": 5}}, gateway="GW-0002")]).rejects
    assert reject.reason == "unknown_device"


def test_an_alias_takes_no_other_devices_code():
    registry = town("NOI-0001")
    registry.gateway[2] = 0
    judged = Gate(registry).judge([telemetry({"device": "NOI-0001", "values": {"laeq": 50}})])
    assert (judged.block.series.tolist(), judged.rejects) == ([2], [])


@pytest.mark.parametrize("name", ["gas_lel", "LEL%", "可燃气体"])
def test_a_metric_is_known_by_its_spellings(name):
    assert Gate(town()).judge([reading("a840", name)]).block.series.tolist() == [0]


def test_an_event_under_an_alias_is_the_devices():
    body = msgspec.json.encode({"type": "fault"})
    (event,) = Gate(town()).judge([Message("sw/v1/GW-0001/a840/event", body, NOW)]).events
    assert event.id == "GAS-0001"


def test_life_safety_devices_are_known_by_all_their_names():
    admission = Admission.of(town())
    assert admission.admitted["GW-0001"].life == {"GAS-0001", "a840", "厨房报警器"}
    assert admission.admitted["GW-0002"].life == set()
    assert (admission.limits["GW-0001"].life, admission.limits["GW-0002"].life) == (True, False)


def test_retired_devices_are_not_admitted():
    admitted = admitted_devices(town())
    assert "GAS-0002" not in admitted["GW-0001"].series
    assert {code: own.place for code, own in admitted.items()} == {"GW-0001": 0, "GW-0002": 1}
