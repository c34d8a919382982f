"""An edge node, a real broker and the platform: the rebirth asked for arrives, and so does the node's will."""

import socket
import threading

import paho.mqtt.client as paho

from core.clock import SystemClock
from core.journal import START, RecordKind
from ingest.formats.sparkplug_payload import FLOAT, PAYLOAD, REBIRTH, Tag, birth, data, node_death
from ingest.words import decode_event, decode_reject
from tests.ingest import live_ingest
from tests.ingest.formats.test_sparkplug_gate import sparkplug_registry

LEL = Tag("gas_lel", 3.25, alias=4, datatype=FLOAT)


class EdgeNode:
    """A node that announces itself only when it is told to, and dies without a word."""

    def __init__(self, port: int) -> None:
        self._clock, self.reborn = SystemClock(), threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="edge")
        self._client.username_pw_set("GW-0001", live_ingest.WORD)
        self._client.will_set("spBv1.0/shouwang/NDEATH/edge", node_death(0), qos=1)
        self._client.on_message = self._commanded
        self._client.connect("127.0.0.1", port, keepalive=5)
        self._client.subscribe("spBv1.0/shouwang/NCMD/edge/#", qos=1)
        self._client.loop_start()

    def measure(self, value: float, seq: int) -> None:
        self._say("DDATA/edge/LEL-7", data([LEL._replace(value=value)], seq, self._now()))

    def vanish(self) -> None:
        self._client.loop_stop()
        self._client.on_message = None  # the two hold each other, and the client its sockets
        connection = self._client.socket()
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _commanded(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        (command,) = PAYLOAD.FromString(message.payload).metrics
        assert (command.name.decode(), command.boolean_value) == (REBIRTH, True)
        self._say("NBIRTH/edge", birth([], 0, self._now(), bd_seq=0))
        self._say("DBIRTH/edge/LEL-7", birth([LEL], 1, self._now()))
        self.reborn.set()

    def _say(self, place: str, payload: bytes) -> None:
        kind, _, rest = place.partition("/")
        self._client.publish(f"spBv1.0/shouwang/{kind}/{rest}", payload, qos=1)

    def _now(self) -> int:
        return self._clock.now() // 1000


def test_a_node_whose_birth_was_missed_is_asked_for_it_read_and_seen_to_die(mosquitto, tmp_path, monkeypatch):
    monkeypatch.setattr(live_ingest, "small_registry", sparkplug_registry)
    broker = mosquitto()
    platform = live_ingest.Platform(tmp_path, broker.port)
    platform.start()
    try:
        node = EdgeNode(broker.port)
        node.measure(9.0, seq=40)
        assert node.reborn.wait(10)
        node.measure(61.5, seq=2)
        live_ingest.wait_for(lambda: platform.values() == [3.25, 61.5])
        node.vanish()

        def statuses() -> list[tuple[str, bool]]:
            records = platform.journal.read(START, 1000)
            events = [decode_event(r.payload) for r in records if r.kind is RecordKind.EVENT]
            return [(event.id, event.attributes["online"]) for event in events]

        dead = [("GW-0001", False), ("GAS-0001", False)]
        live_ingest.wait_for(lambda: statuses() == [("GW-0001", True), ("GAS-0001", True), *dead])
        records = platform.journal.read(START, 1000)
        rejects = [decode_reject(r.payload).reason for r in records if r.kind is RecordKind.REJECT]
        assert rejects == ["no_birth"]
    finally:
        platform.stop()
