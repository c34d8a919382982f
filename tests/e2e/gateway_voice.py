"""A gateway that says what a test tells it, QoS 1, and waits for the broker's answer."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.town_under_fire import Meter
from tests.servers import wait_until


class Voice:
    """Publishes levels of gas detectors."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client

    def say(self, topic: str, payload: bytes | str, wait: bool = True) -> paho.MQTTMessageInfo:
        """Publish; the broker has it when this returns, unless `wait` is False."""
        sent = self._client.publish(topic, payload, qos=1)
        if wait:
            sent.wait_for_publish(30)
        return sent

    def levels(self, meter: Meter, points: Sequence[tuple[int, float]]) -> None:
        """Points (t in ms, %LEL) of one detector in one message."""
        readings = [{"device": meter.code, "t": t, "values": {"gas_lel": level}} for t, level in points]
        self.say(f"sw/v1/{meter.gateway}/telemetry", json.dumps({"readings": readings}))


@contextmanager
def voice(port: int, name: str = "voice") -> Iterator[Voice]:
    """A connected one."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_until(client.is_connected, "the gateway's connection", 20)
        yield Voice(client)
    finally:
        client.disconnect()
        client.loop_stop()
