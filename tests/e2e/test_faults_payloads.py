"""Payloads that nobody foresaw, of every format: each is answered for, counted, and none stops what comes behind it."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from core.clock import MILLISECOND, SystemClock
from core.database import open_engine
from devices.device_types import load_device_types
from devices.registry import load_registry
from ingest.gate import Gate, Judged
from ingest.words import Message
from tests.e2e.fuzzed_payloads import fuzzed, make_babel
from tests.e2e.gateway_voice import voice
from tests.e2e.town_under_fire import Meter, PlatformProcess, Records
from tests.servers import wait_until

pytestmark = pytest.mark.long

_BATCH = 200
Payloads = Iterable[tuple[str, bytes]]


def seeded(record_property) -> random.Random:
    seed = random.SystemRandom().randrange(10**6)
    record_property("seed", seed)
    return random.Random(seed)


def gate_of(state: Path) -> Gate:
    engine = open_engine(f"sqlite:///{state / 'shouwang.db'}")
    gate = Gate(load_registry(engine, load_device_types()))
    engine.dispose()
    return gate


def judged(gate: Gate, payloads: Payloads) -> Counter[str]:
    """What the gate makes of them, counted as the platform's metrics are."""
    counts: Counter[str] = Counter()
    waiting = [Message(topic, payload, SystemClock().now(), qos=1) for topic, payload in payloads]
    for start in range(0, len(waiting), _BATCH):
        outcome = gate.judge(waiting[start : start + _BATCH])
        gate.settle(outcome)
        counts["messages"] += len(waiting[start : start + _BATCH])
        counts.update(_counted(outcome))
    return counts


def _counted(outcome: Judged) -> dict[str, int]:
    refused = sum(reject.readings for reject in outcome.rejects)
    return {"readings": len(outcome.block), "events": len(outcome.events), "rejected_readings": refused}


def alarm(smoke: Meter) -> tuple[str, bytes]:
    """A smoke detector's alarm."""
    event = {"t": SystemClock().now() // MILLISECOND, "type": "smoke_alarm", "attributes": {"active": True}}
    return f"sw/v1/{smoke.gateway}/{smoke.code}/event", json.dumps(event).encode()


def test_two_thousand_payloads_pass_the_gate_and_a_good_one_is_still_heard(tmp_path, record_property):
    chance, state = seeded(record_property), tmp_path / "state"
    smokes = make_babel(state)
    gate = gate_of(state)
    for smoke in smokes[:20]:
        assert judged(gate, fuzzed(100, chance))["messages"] == 100
        assert judged(gate, [alarm(smoke)])["events"] == 1


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_hundred_thousand_payloads_through_the_running_platform(mosquitto, tmp_path, record_property):
    through_the_platform(100, 1_000, mosquitto().port, tmp_path / "state", record_property)


def test_some_payloads_through_the_running_platform(mosquitto, tmp_path, record_property):
    through_the_platform(4, 250, mosquitto().port, tmp_path / "state", record_property)


def through_the_platform(rounds: int, each: int, port: int, state: Path, record_property) -> None:
    chance = seeded(record_property)
    smokes = make_babel(state)
    expected, gate = Counter[str](), gate_of(state)
    platform = PlatformProcess(state, port, canary_s=0)
    platform.listen()
    records = Records(f"sqlite:///{state / 'shouwang.db'}")
    alerts = "SELECT count(DISTINCT subject_id) FROM alert WHERE rule LIKE 'smoke%' AND subject_kind = 'device'"
    with voice(port) as gateway:
        for number in range(rounds):
            payloads = [*fuzzed(each, chance), alarm(smokes[number])]
            for topic, payload in payloads:
                gateway.say(topic, payload, wait=False)
            gateway.say(*alarm(smokes[number]))
            expected += judged(gate, [*payloads, alarm(smokes[number])])
            wait_until(lambda wanted=number + 1: records.one(alerts) >= wanted, f"alarm {number + 1}", 60)
    platform.wait_for("shouwang_messages_total", expected["messages"])
    found = {name: platform.metric(f"shouwang_{name}_total") for name in expected}
    assert platform.stop() < 10
    records.close()
    assert held_by_the_broker(port) == 0, "messages that nobody acknowledged"
    assert "Traceback" not in (state / "run.log").read_text(errors="replace")
    own = found["messages"] - expected["messages"]  # Sparkplug's commands come back to whoever hears all of a node
    assert own >= 0
    assert found == expected + Counter(messages=own)
    record_property("counts", ", ".join(f"{count} {name}" for name, count in found.items()))


def held_by_the_broker(port: int) -> int:
    """How many messages the broker still keeps for the platform's session."""
    held: list[bytes] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="shouwang", clean_session=False, manual_ack=True)
    client.on_message = lambda *arguments: held.append(arguments[2].payload)
    client.connect("127.0.0.1", port)
    client.loop_start()
    wait_until(client.is_connected, "the session", 20)
    time.sleep(1)
    client.disconnect()
    client.loop_stop()
    client.on_message = None
    return len(held)
