"""What an exported Mosquitto holds while the platform is away, at 5,000 messages a second from a process of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import wait_until
from tests.shouwang.exported_broker import (
    CLIENT_ID,
    PLATFORM,
    SECRET,
    Account,
    ExportedBroker,
    a_gateway,
    exported,
    registry_of,
)

RATE, SECONDS = 5_000, 3
SENT = RATE * SECONDS
TOWN = registry_of(a_gateway("GW-A", "pa"))

PUBLISHER = """
import sys, time
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

port, count, rate = map(int, sys.argv[1:])
client = paho.Client(CallbackAPIVersion.VERSION2)
client.username_pw_set("GW-A", "pa")
client.max_inflight_messages_set(1000)
client.connect("127.0.0.1", port, 30)
client.loop_start()
begun, sent = time.monotonic(), []
for n in range(count):
    sent.append(client.publish("sw/v1/GW-A/telemetry", b'{"readings":[{"device":"GAS-1","t":%d}]}' % n, qos=1))
    if (ahead := n / rate - (time.monotonic() - begun)) > 0.005:
        time.sleep(ahead)
for message in sent:
    message.wait_for_publish(30)
print(time.monotonic() - begun)
client.disconnect()
client.loop_stop()
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ExportedBroker]:
    with exported(tmp_path / "broker", TOWN, autosave_s=1) as running:
        yield running


def platform(broker: ExportedBroker) -> Account:
    """The platform's persistent session."""
    return Account(broker.plan.platform.port, PLATFORM, SECRET, CLIENT_ID)


def publish(broker: ExportedBroker) -> float:
    """Send SENT messages at RATE, each acknowledged by the broker; the seconds that it took."""
    port = broker.plan.gateways.port
    command = [sys.executable, "-c", PUBLISHER, str(port), str(SENT), str(RATE)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=90, text=True)
    return float(done.stdout)


def expected() -> list[tuple[str, bytes]]:
    return [("sw/v1/GW-A/telemetry", b'{"readings":[{"device":"GAS-1","t":%d}]}' % n) for n in range(SENT)]


def test_three_seconds_of_our_downtime_lose_nothing(
    broker: ExportedBroker, record_property: Callable[[str, object], None]
) -> None:
    with platform(broker) as session:
        session.subscribe("sw/v1/#")
    record_property("seconds_to_send", f"{publish(broker):.1f}")
    begun = time.monotonic()
    with platform(broker) as session:
        wait_until(lambda: len(session.heard) >= SENT, f"all of {SENT} messages", 60)
        record_property("seconds_to_catch_up", f"{time.monotonic() - begun:.1f}")
        assert session.heard == expected(), "every one of them, once and in order"


def test_what_was_saved_survives_a_kill_of_the_broker(broker: ExportedBroker) -> None:
    """The autosave's promise: what is older than its interval is on the disk; nothing is promised of what is newer."""
    with platform(broker) as session:
        session.subscribe("sw/v1/#")
    publish(broker)
    saved, since = broker.plan.folder / "mosquitto.db", time.time()
    wait_until(lambda: saved.exists() and saved.stat().st_mtime > since, "the next autosave", 30)
    broker.end(signal.SIGKILL)
    broker.start()
    with platform(broker) as session:
        wait_until(lambda: len(session.heard) >= SENT, f"all of {SENT} messages", 60)
        assert session.heard == expected()


def test_a_stop_in_good_order_loses_nothing(broker: ExportedBroker) -> None:
    with platform(broker) as session, Account(broker.plan.gateways.port, "GW-A", "pa") as gateway:
        session.subscribe("sw/v1/#")
        session.close()
        gateway.publish("sw/v1/GW-A/telemetry", b"last")
        broker.end()
    broker.start()
    with platform(broker) as session:
        wait_until(lambda: session.heard == [("sw/v1/GW-A/telemetry", b"last")], "what was held")
