"""A steady publisher, a process of its own: PORT DEVICES RATE SECONDS; now and then a value is too high.

It ends once the broker has answered for everything, and prints how many messages that were; when the broker does not
within five minutes it fails, for then nobody knows how many the broker took.
"""

import sys
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.platform import GATEWAYS
from benchmarks.throughput import payload
from core.clock import MILLISECOND, SystemClock

_SLOT = 0.01  # s
_ANSWERS = 300.0  # s
_KEEPALIVE = 5  # s: a starved paho may sleep until its next ping, and what it holds would seem late
_HIGH_EVERY = 13  # slots; no divisor of a turn, so that a meter that was too high is normal the next time


def publish(port: int, devices: int, rate: int, seconds: int) -> int:
    """Send `rate` messages a second in slots of 10 ms; how many that were, each acknowledged by the broker.

    A meter that was too high is normal again one turn later. Raises TimeoutError when the machine is too slow for that.
    """
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
    client.max_inflight_messages_set(20_000)
    client.max_queued_messages_set(0)
    taken = 0

    def on_publish(*_arguments: object) -> None:
        nonlocal taken
        taken += 1

    client.on_publish = on_publish
    client.connect("127.0.0.1", port, _KEEPALIVE)
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
    sent, until = int(seconds / _SLOT) * int(rate * _SLOT), time.monotonic() + _ANSWERS
    while taken < sent and time.monotonic() < until:
        time.sleep(0.05)
    if taken < sent:
        raise TimeoutError(
            f"the machine is too slow: {taken} of {sent} messages acknowledged after {_ANSWERS:g} s more"
        )
    client.disconnect()
    client.loop_stop()
    return taken


if __name__ == "__main__":
    print(publish(*(int(argument) for argument in sys.argv[1:5])))
