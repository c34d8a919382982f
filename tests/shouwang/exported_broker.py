"""A Mosquitto that runs on what `shouwang broker export` wrote, and clients that try what they may and may not."""

import os
import pwd
import queue
import signal
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from devices.credentials import hash_generated
from devices.registry import GatewayRow, Registry
from ingest.mqtt import BrokerAddress
from shouwang.broker_accounts import broker_town
from shouwang.broker_export import Listener, MosquittoPlan
from shouwang.cli_broker import write_plan
from tests.servers import accepts, free_port, program, wait_until

USER = pwd.getpwuid(os.geteuid()).pw_name
PLATFORM, SECRET, CLIENT_ID = "platform", "the platform's own", "shouwang"


def a_gateway(code: str, password: str = "", **more: Any) -> GatewayRow:
    """A gateway with this password."""
    options = {"index": 0, "format": "v1", "site": "", "in_service_at": 0, **more}
    return GatewayRow(code=code, password_hash=hash_generated(password) if password else "", **options)


def registry_of(*gateways: GatewayRow) -> Registry:
    """A registry that holds these gateways and no device."""
    none, nothing = np.empty(0, np.int32), np.empty(0, np.int64)
    return Registry(
        id="town", version=1, types={}, gateways={row.code: row for row in gateways},
        gateway_codes=[row.code for row in gateways], device_codes=[], device_index={}, gateway=none, type_code=[],
        site=[], state=[], state_until=nothing, in_service_at=nothing, interval=nothing, silence=nothing,
        attributes={}, metrics=[], series_of={}, device=none, metric=none, low=np.empty(0), high=np.empty(0),
        late=nothing,
    )  # fmt: skip


class ExportedBroker:
    """Mosquitto on an exported folder, on free ports: one for gateways, one for the platform."""

    def __init__(self, folder: Path, registry: Registry, **more: Any) -> None:
        self.program = program(["mosquitto"], "mosquitto mosquitto-clients")
        gateways, platform = (Listener(free_port(), "127.0.0.1") for _ in range(2))
        self.plan = MosquittoPlan(folder, gateways, platform, user=USER, **more)
        self.export(registry)

    @property
    def address(self) -> BrokerAddress:
        """The platform's way in."""
        return BrokerAddress("127.0.0.1", self.plan.platform.port, PLATFORM, SECRET, client_id=CLIENT_ID)

    @property
    def log(self) -> Path:
        return self.plan.folder / "log"

    def export(self, registry: Registry) -> list[str]:
        """Write its files for a registry; the names of what changed."""
        return write_plan(self.plan, broker_town(registry, PLATFORM, CLIENT_ID), SECRET)

    def start(self) -> None:
        command = [str(self.program), "-c", str(self.plan.folder / "mosquitto.conf")]
        with self.log.open("ab") as output:  # and it ends with the thread that started it
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "INT", "--", *command], stdout=output, stderr=subprocess.STDOUT
            )
        wait_until(lambda: accepts(self.plan.platform.port), f"the start of Mosquitto ({self.log})")

    def reload(self) -> None:
        """As `systemctl reload` does."""
        self.process.send_signal(signal.SIGHUP)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(10)


@contextmanager
def exported(folder: Path, registry: Registry, **more: Any) -> Iterator[ExportedBroker]:
    """Such a broker, running."""
    broker = ExportedBroker(folder, registry, **more)
    broker.start()
    try:
        yield broker
    finally:
        broker.end()


class Account:
    """A client that is connected, or was refused; it keeps what it hears and says when it is cut off."""

    def __init__(self, port: int, username: str, password: str, client_id: str = "", ca: Path | None = None) -> None:
        kept = {"client_id": client_id, "clean_session": False} if client_id else {}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, **kept)  # type: ignore[arg-type]
        if username:
            self.client.username_pw_set(username, password)
        if ca:
            self.client.tls_set(ca_certs=str(ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.heard: list[tuple[str, bytes]] = []
        self.answers: queue.Queue[bool] = queue.Queue()
        self.suback: queue.Queue[list[bool]] = queue.Queue()
        self.client.on_connect = lambda _c, _d, _f, reason, _p: self.answers.put(not reason.is_failure)
        self.client.on_disconnect = self._ended
        self.client.on_subscribe = lambda _c, _d, _m, reasons, _p: self.suback.put([not r.is_failure for r in reasons])
        self.client.on_message = lambda _c, _d, message: self.heard.append((message.topic, message.payload))
        self.cut = False
        self.client.connect("localhost" if ca else "127.0.0.1", port, 30)
        self.client.loop_start()
        self.admitted = self.answers.get(timeout=10)

    def _ended(self, client: paho.Client, *_: Any) -> None:
        self.cut = True
        client.disconnect()  # no second try

    def subscribe(self, *topics: str) -> list[bool]:
        """Which of the filters the broker granted."""
        self.client.subscribe([(topic, 1) for topic in topics])
        return self.suback.get(timeout=10)

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the broker's answer, or for its cutting us off."""
        sent = self.client.publish(topic, payload, qos=1, retain=retain)
        wait_until(lambda: sent.is_published() or self.cut, f"an answer to {topic}", 10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        client = self.client
        client.on_connect = client.on_disconnect = client.on_subscribe = client.on_message = None

    def __enter__(self) -> "Account":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """A throwaway authority and a certificate of it for localhost: CA, certificate, key."""
    tool = str(program(["openssl"], "openssl"))
    ca, ca_key, cert, key, asked = (folder / name for name in ("ca.pem", "ca.key", "cert.pem", "key.pem", "asked.pem"))
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", encoding="utf-8")
    signing = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", extensions]
    _run([tool, "req", "-x509", *new_key, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=town"])
    _run([tool, "req", *new_key, "-keyout", key, "-out", asked, "-subj", "/CN=localhost"])
    _run([tool, "x509", "-req", "-in", asked, *signing, "-out", cert])
    return ca, cert, key


def _run(command: Sequence[object]) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
