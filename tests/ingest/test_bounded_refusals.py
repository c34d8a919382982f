"""One message leaves a bounded number of dead letters, and bytes of them, whatever stands in it."""

import json

from ingest.formats.items import Refused
from ingest.gate import Gate
from ingest.refusals import MAX_PAYLOAD, MOST_REFUSALS, bounded, reject
from ingest.words import Message
from tests.ingest.test_gate import NOW, small_registry


def message(*readings: object) -> Message:
    return Message("sw/v1/GW-0001/telemetry", json.dumps({"readings": readings}).encode(), NOW)


def gas(**values: object) -> dict[str, object]:
    return {"device": "GAS-0001", "t": NOW // 1000, "values": values}


def test_some_refusals_are_told_one_by_one() -> None:
    rejects = Gate(small_registry()).judge([message(gas(a=1, b=2), gas(gas_lel=3))]).rejects
    assert [each.detail for each in rejects] == ["GAS-0001 has no metric a", "GAS-0001 has no metric b"]


def test_very_many_become_one_that_holds_the_whole_message() -> None:
    unknown = dict.fromkeys((f"m{number}" for number in range(MOST_REFUSALS + 1)), 1)
    sent = message(gas(**unknown), gas(gas_lel=3))
    judged = Gate(small_registry()).judge([sent])
    (one,) = judged.rejects
    assert (one.reason, one.readings, one.payload) == ("unknown_metric", MOST_REFUSALS + 1, sent.payload)
    assert one.detail == f"GAS-0001 has no metric m0; and {MOST_REFUSALS} more refusals"
    assert judged.block.value.tolist() == [3]


def test_few_that_are_together_much_larger_than_a_message_become_one() -> None:
    topic = "sw/v1/GW-0001/telemetry"
    sent = Message(topic, b"x" * MAX_PAYLOAD, NOW)
    rejects = [reject(sent, "GW-0001", Refused("wrong_type", f"field {number}", 1)) for number in range(5)]
    assert bounded(sent, "GW-0001", rejects[:3]) == rejects[:3]
    (one,) = bounded(sent, "GW-0001", rejects)
    assert (one.detail, one.readings, one.payload) == ("field 0; and 4 more refusals", 5, sent.payload)


def test_values_that_are_no_numbers_are_told_together() -> None:
    reading = '{"device":"GAS-0001","t":%d,"values":{"gas_lel":1e999}}'
    readings = ",".join(reading % (NOW // 1000 + n) for n in range(500))
    sent = Message("sw/v1/GW-0001/telemetry", f'{{"readings":[{readings}]}}'.encode(), NOW)
    (one,) = Gate(small_registry()).judge([sent]).rejects
    assert (one.reason, one.readings, one.payload) == ("not_finite", 500, sent.payload)
    assert one.detail.startswith("GAS-0001 gas_lel; GAS-0001 gas_lel; ")
    assert one.detail.endswith("and 495 more: not a finite number")
