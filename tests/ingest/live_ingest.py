"""Ingest alone, as the wiring puts it together, with the gateways and brokers of a test around it."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
from sqlalchemy import create_engine

from core.clock import SystemClock
from core.journal import START, RecordKind
from core.metrics import Metrics
from core.sqlite_journal import SqliteJournal
from devices.registry import Registry
from ingest.embedded_broker import EmbeddedBroker
from ingest.gate import Gate
from ingest.gateway_figures import GatewayFigures
from ingest.mqtt import BrokerAddress, BrokerSession, Inbox, Receipt
from ingest.pipeline import Outlets, Pipeline
from ingest.registry_reader import RegistryReader
from ingest.words import Block, decode_control, decode_reject
from tests.ingest.test_gate import small_registry
from tests.servers import free_port

WORD = "secret"


class Platform:
    """Ingest alone: session, pipeline, journal, as the wiring puts them together."""

    def __init__(self, folder: Path, port: int, registry: Registry | None = None) -> None:
        clock = SystemClock()
        self.journal = SqliteJournal(folder / "journal.db", "town", ["gate"])
        self.metrics = Metrics()
        self.registry = registry or small_registry()
        self.disabled: list[tuple[str, str]] = []
        inbox, gate = Inbox(), Gate(self.registry)
        address = BrokerAddress.parse(f"mqtt://platform:{WORD}@127.0.0.1:{port}")
        held = folder / "subscriptions.json"
        self.session = BrokerSession(address, gate.routes.subscriptions, inbox, clock, held)
        reader = RegistryReader(lambda: self.registry, gate.admission)
        self.pipeline = Pipeline(
            inbox,
            gate,
            self.journal,
            clock,
            self.metrics,
            folder / "gate.snapshot",
            Outlets(self.acknowledge, self.session.publish, self.session.follow, self.disable),
            reader,
            GatewayFigures(create_engine("sqlite://"), clock),
        )
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=run, args=(self._ending,), daemon=True) for run in (self.pipeline.run, reader.run)
        ]

    def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        self.session.acknowledge(receipts)

    def disable(self, gateway: str, why: str) -> None:
        self.disabled.append((gateway, why))

    def start(self) -> None:
        self.pipeline.resume()
        for thread in self._threads:
            thread.start()
        self.session.start()
        wait_for(lambda: self.session.connected)

    def stop(self) -> None:
        self.session.stop(5)
        self._ending.set()
        for thread in self._threads:
            thread.join(5)
        self.journal.close()

    def values(self) -> list[float]:
        records = self.journal.read(START, 100_000)
        blocks = [Block.from_bytes(r.payload) for r in records if r.kind is RecordKind.BLOCK]
        return [value for block in blocks for value in block.value.tolist()]

    def rejects(self) -> list[str]:
        records = self.journal.read(START, 100_000)
        return [decode_reject(r.payload).reason for r in records if r.kind is RecordKind.REJECT]

    def controls(self) -> list[object]:
        records = self.journal.read(START, 100_000)
        return [decode_control(r.payload) for r in records if r.kind is RecordKind.CONTROL]


def wait_for(condition, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


class Embedded:
    """The embedded broker, handled as a server of its own that can be killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self._broker = EmbeddedBroker(lambda _user, word: word == WORD, lambda *_: True, self.port)
        self._broker.start()

    def kill(self) -> None:
        self._broker.stop()


def calling(code: str) -> paho.Client:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=code)
    client.username_pw_set(code, WORD)
    return client


def publish(client: paho.Client, value: float, **options) -> paho.MQTTMessageInfo:
    now = SystemClock().now() // 1000
    payload = msgspec.json.encode({"t": now, "values": {"gas_lel": value}})
    return client.publish("sw/v1/GW-0001/GAS-0001/telemetry", payload, qos=1, **options)
