"""A steady publisher, a process of its own: PORT DEVICES RATE SECONDS; now and then a value is too high."""

import sys
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.platform import GATEWAYS
from benchmarks.throughput import payload
from core.clock import MILLISECOND, SystemClock

_SLOT = 0.01  # s
_HIGH_EVERY = 13  # slots; no divisor of a turn, so that a meter that was too high is normal the next time


def publish(port: int, devices: int, rate: int, seconds: int) -> None:
    """Send `rate` messages a second in slots of 10 ms; a meter that was too high is normal again one turn later."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
    client.max_inflight_messages_set(20_000)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    clock, device = SystemClock(), 0
    began = time.monotonic()
    for slot in range(int(seconds / _SLOT)):
        for turn in range(int(rate * _SLOT)):
            high = turn == 0 and slot % _HIGH_EVERY == 0
            body = payload(device, clock.now() // MILLISECOND, high)
            client.publish(f"sw/v1/GW-{device % GATEWAYS}/telemetry", body, qos=1)
            device = (device + 1) % devices
        time.sleep(max(0.0, began + (slot + 1) * _SLOT - time.monotonic()))
    time.sleep(1)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    publish(*(int(argument) for argument in sys.argv[1:5]))
