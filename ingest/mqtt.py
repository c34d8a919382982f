"""The platform's session with the broker: paho, QoS 1, a persistent session, acknowledged by hand and last."""

import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from core.clock import Clock
from core.lifecycle import Worker
from ingest.formats.v1 import SUBSCRIPTIONS
from ingest.mqtt_network import Network
from ingest.subscriptions import Change, Subscriptions
from ingest.words import Connected, Control, Lost, Message

_log = structlog.get_logger()
_KEEPALIVE = 30  # s
_FIRST_RETRY, _LONGEST_RETRY = 1, 15  # s
_CANARY_EVERY = 2.0  # s
_CUTS_BY_CANARY = 3  # in a row, before any canary returned: the broker cuts us off for it
_CANARIES_MISSED = 5
_REFUSED_AGAIN = 30  # canaries
_TLS_SCHEMES = {"mqtts"}
_NO_TEXT = "\ufffd"  # in no gateway's topics
DROPS = "$SYS/broker/publish/messages/dropped"
"""Where Mosquitto tells how many messages it dropped since its start."""


@dataclass(frozen=True)
class BrokerAddress:
    """Where and as whom to connect; from `mqtt[s]://USER:PASSWORD@HOST:PORT?ca=FILE&client_id=NAME`."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca: str | None = None
    client_id: str = "shouwang"

    @classmethod
    def parse(cls, url: str) -> "BrokerAddress":
        """Read a URL; ValueError says what is wrong with it.

        >>> BrokerAddress.parse("mqtts://town:secret@broker.example").port
        8883
        """
        parts = urlsplit(url)
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
            raise ValueError(
                "a broker's URL is mqtt://HOST or mqtts://HOST, with USER:PASSWORD@ and :PORT where needed"
            )
        options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if unknown := options.keys() - {"ca", "client_id"}:
            raise ValueError(f"a broker's URL takes ?ca=FILE and ?client_id=NAME, not {', '.join(sorted(unknown))}")
        tls = parts.scheme in _TLS_SCHEMES
        return cls(
            parts.hostname,
            parts.port or (8883 if tls else 1883),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            tls,
            **options,
        )


class Receipt(NamedTuple):
    """What acknowledges a message: its id, valid only within the connection that delivered it."""

    connection: int
    mid: int
    qos: int


class Arrival(NamedTuple):
    """A message or a control of the session, in the order in which they happened."""

    what: Message | Control
    receipt: Receipt | None


class Inbox:
    """What has arrived and is not yet journalled; bounded by the broker's in-flight limit, as none is acknowledged."""

    def __init__(self) -> None:
        self._waiting: deque[Arrival] = deque()
        self._filled = threading.Event()

    def put(self, arrival: Arrival) -> None:
        self._waiting.append(arrival)
        if not self._filled.is_set():
            self._filled.set()

    def take(self, most: int, timeout: float) -> list[Arrival]:
        """Up to `most` arrivals in order; waits up to `timeout` seconds for the first."""
        if not self._waiting and not self._filled.wait(timeout):
            return []
        self._filled.clear()
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(most, len(waiting)))]

    def __len__(self) -> int:
        return len(self._waiting)


class BrokerSession:
    """Delivers messages into an Inbox; `acknowledge` answers the broker once they are on disk.

    Subscribes at every connect and whenever `follow` brings other filters, and lets go of those of an earlier run,
    which `held` (a file) remembers. A filter of version 1 that is refused is a session that can't work; any other is
    one gateway's trouble, listed in `refused` and asked for again. A receipt of an earlier connection is dropped: the
    broker delivers that message again, and its id may by then mean another one. A canary goes to the broker and back:
    when it stops returning and nothing else comes either, the session is made anew. Where the broker's rules forbid
    the canary (some brokers answer by cutting the connection) it is given up. `dropped` is how many messages the
    broker says that it dropped since its start, None where it doesn't.
    """

    name = "mqtt"

    def __init__(
        self,
        address: BrokerAddress,
        subscriptions: Sequence[str],
        inbox: Inbox,
        clock: Clock,
        held: Path | None = None,
    ) -> None:
        self.connected = False
        self.dropped: int | None = None
        self.refused: frozenset[str] = frozenset()
        self._address = address
        self._canary = f"sw/v1/{address.client_id}/canary"
        self._subscriptions = Subscriptions(subscriptions, held)
        self._asking = threading.Lock()
        self._asked: dict[int, list[str]] = {}
        self._letting_go: dict[int, list[str]] = {}
        self._standing = False  # a connection through which to subscribe
        self._secretive = False
        self._inbox = inbox
        self._clock = clock
        self._connection = 0
        self._lock = threading.Lock()
        self._heard = 0
        self._returned = False  # a broker whose rules forbid the canary is no dead one
        self._cuts = 0
        self._forbidden = False
        self._unanswered = 0
        self._probing: list[Worker] = []
        self._client = self._make_client()
        self._network = Network(self._client, _FIRST_RETRY, _LONGEST_RETRY)

    def _make_client(self) -> paho.Client:
        address = self._address
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=address.client_id, clean_session=False, manual_ack=True
        )
        sign_in(client, address)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_unsubscribe = self._on_unsubscribe
        return client

    def start(self) -> None:
        """Begin to connect, and to try again for as long as it takes."""
        self._network.start(self._address.host, self._address.port, _KEEPALIVE)
        self._probing.append(Worker("canary", self._probe))
        self._probing[0].start()

    def stop(self, timeout: float) -> None:
        while self._probing:
            self._probing.pop().stop(timeout)
        client = self._client
        self._network.stop(timeout)
        # no cycle is left: a collector might free the client's sockets before the client closes them
        client.on_connect = client.on_subscribe = client.on_disconnect = client.on_message = None
        client.on_unsubscribe = None

    def acknowledge(self, receipts: Iterable[Receipt]) -> None:
        """Tell the broker that these are durable."""
        with self._lock:
            for receipt in receipts:
                if receipt.connection == self._connection and receipt.qos:
                    self._client.ack(receipt.mid, receipt.qos)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send without waiting or guarantee (QoS 0)."""
        self._client.publish(topic, payload, qos=0)

    def follow(self, subscriptions: Sequence[str]) -> None:
        """Want these topic filters from now on: on the session that stands, and on all to come."""
        self._subscriptions.want(subscriptions)
        self.refused &= frozenset(subscriptions)
        with self._asking:
            if self._standing:
                self._ask(self._subscriptions.begin(anew=False))

    def _ask(self, change: Change, *more: str) -> None:
        """Ask the broker for filters; the answers come under these numbers, perhaps at once: hold `_asking`."""
        topics = [*change.new, *more]
        if topics:
            _, mid = self._client.subscribe([(topic, int(topic not in more)) for topic in topics])
            if mid is not None:
                self._asked[mid] = topics
        if change.gone:
            _, mid = self._client.unsubscribe(change.gone)
            if mid is not None:
                self._letting_go[mid] = change.gone

    def _probe(self, ending: threading.Event) -> None:
        looks = 0
        while not ending.wait(_CANARY_EVERY):
            looks += 1
            if self.refused and looks % _REFUSED_AGAIN == 0:
                with self._asking:
                    self._ask(Change(sorted(self.refused), []))
            if not self.connected or self._forbidden:
                continue
            if self._returned and self._unanswered >= _CANARIES_MISSED:
                _log.error("nothing comes back from the broker: connecting anew", broker=self._address.host)
                self._unanswered = 0
                self._drop()
                continue
            self._unanswered += 1
            self.publish(self._canary, b"")

    def _drop(self) -> None:
        """Cut the connection, so that paho makes a new one; its own disconnect would be for good."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _give_up_canary(self) -> None:
        self._forbidden = True
        _log.warning("the broker forbids the canary: a session that is dead in silence won't be noticed; allow the "
                     "platform's account to publish and subscribe to it", topic=self._canary)  # fmt: skip

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: paho.ConnectFlags, reason: ReasonCode, _props: Properties | None
    ) -> None:
        if reason.is_failure:
            _log.error("broker refused the connection", broker=self._address.host, reason=str(reason))
            return
        with self._asking:
            self._asked.clear()
            self._letting_go.clear()
            self._standing = True
            self._ask(self._subscriptions.begin(anew=True), *([] if self._forbidden else [self._canary]))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, mid: int, reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        with self._asking:
            asked = self._asked.pop(mid, [])
        refused = {topic for topic, reason in zip(asked, reasons, strict=False) if reason.is_failure}
        if essential := refused.intersection(SUBSCRIPTIONS):
            _log.error("broker refused a subscription", topics=sorted(essential))
            self._drop()
            return
        if self._canary in refused:
            self._give_up_canary()
        self._note_refused(asked, refused - {self._canary, DROPS})
        if not self.connected:
            self.connected, self._unanswered, self._heard = True, 0, self._clock.now()
            self._inbox.put(Arrival(Connected(self._heard), None))
            self._ask_for_drops()
        _log.info("subscribed", broker=self._address.host, topics=len(asked))

    def _ask_for_drops(self) -> None:
        """Alone and last, as a broker may cut the connection for it; then it is not asked again."""
        if not self._secretive:
            with self._asking:
                self._ask(Change([], []), DROPS)

    def _note_refused(self, asked: Sequence[str], refused: set[str]) -> None:
        if refused:
            _log.error("the broker lets the platform not hear some gateways: trying again", topics=sorted(refused))
        self.refused = (self.refused - set(asked)) | refused

    def _on_unsubscribe(
        self, _client: paho.Client, _data: Any, mid: int, _reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        with self._asking:
            gone = self._letting_go.pop(mid, [])
        self._subscriptions.let_go(gone)
        _log.info("unsubscribed", broker=self._address.host, topics=gone)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: Any,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _props: Properties | None,
    ) -> None:
        with self._lock:
            self._connection += 1
        with self._asking:
            self._standing = False
            self._secretive |= [DROPS] in self._asked.values()
        if self.connected:
            self._cuts += bool(self._unanswered) and not self._returned
            if self._cuts == _CUTS_BY_CANARY:
                self._give_up_canary()
            self.connected = False
            self._inbox.put(Arrival(Lost(min(self._heard, self._clock.now())), None))
            tell = _log.info if reason == 0 else _log.warning  # 0: we said goodbye ourselves
            tell("broker connection ended", broker=self._address.host, reason=str(reason))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        topic = _topic_of(message)
        if topic == DROPS:  # no sign that the subscription to readings lives
            self.dropped = int(message.payload) if message.payload.isdigit() else self.dropped
            return
        self._unanswered, self._heard = 0, self._clock.now()
        if topic == self._canary:
            self._returned = True
            return
        receipt = Receipt(self._connection, message.mid, message.qos)
        received = Message(topic, bytes(message.payload), self._heard, message.retain, qos=message.qos)
        self._inbox.put(Arrival(received, receipt))


def _topic_of(message: paho.MQTTMessage) -> str:
    """Its topic, which not every broker checks to be text; what is raised in a callback ends paho's thread for good."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return _NO_TEXT


SILENT = "no answer"
"""Instead of a refusal: it took the connection, and said nothing that a broker says."""


def refusal_of(address: BrokerAddress, timeout: float = 5.0) -> str:
    """Why the broker does not let this account in, empty when it does, SILENT when it says nothing.

    Connects once, under a client id of its own.

    Raises OSError when nothing answers.
    """
    answered, reasons = threading.Event(), list[ReasonCode]()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{address.client_id}-doctor")
    sign_in(client, address)

    def on_connect(_client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        reasons.append(reason)
        answered.set()

    client.on_connect = on_connect
    client.connect(address.host, address.port, _KEEPALIVE)
    client.loop_start()
    answered.wait(timeout)
    client.disconnect()
    client.loop_stop()
    client.on_connect = None
    if not reasons:
        return SILENT
    return str(reasons[0]) if reasons[0].is_failure else ""


def sign_in(client: paho.Client, address: BrokerAddress) -> None:
    """Give a client the account, and what it trusts, of an address."""
    if address.username:
        client.username_pw_set(address.username, address.password)
    if address.tls:
        client.tls_set(ca_certs=address.ca, tls_version=ssl.PROTOCOL_TLS_CLIENT)
