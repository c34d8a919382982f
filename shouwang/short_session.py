"""A short connection to the broker beside the platform's own session: to ask something and go."""

import queue
import secrets
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.mqtt import BrokerAddress, sign_in

_KEEPALIVE = 30  # s
_DROPPED = "$SYS/broker/publish/messages/dropped"


class BrokerSilent(ConnectionError):
    """The broker did not let us in, did not answer, or cut the connection; the text says which."""


class ShortSession:
    """A clean session under a client id of its own; every wait takes at most `timeout` seconds.

    Entering raises BrokerSilent when the broker does not let the account in, other OSErrors when nothing listens.
    """

    def __init__(self, address: BrokerAddress, timeout: float = 5.0) -> None:
        self._address, self._timeout = address, timeout
        self._answers: queue.Queue[ReasonCode | None] = queue.Queue()
        self._heard: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        name = f"{address.client_id}-{secrets.token_hex(4)}"
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)

    def __enter__(self) -> Self:
        client, address = self._client, self._address
        sign_in(client, address)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.connect(address.host, address.port, _KEEPALIVE)
        client.loop_start()
        try:
            self._settle("the connection")
        except BrokerSilent:
            self._close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        client = self._client
        client.disconnect()
        client.loop_stop()
        client.on_connect = client.on_subscribe = client.on_disconnect = client.on_message = None

    def subscribe(self, topics: Collection[str]) -> None:
        """Hear these topics. Raises BrokerSilent when the broker refuses."""
        self._client.subscribe([(topic, 1) for topic in topics])
        self._settle("a subscription")

    def publish(self, topic: str, payload: bytes) -> None:
        """Send with QoS 1, without waiting."""
        self._client.publish(topic, payload, qos=1)

    def hear(self) -> tuple[str, bytes]:
        """The next message: topic and payload. Raises BrokerSilent when none comes or the connection ends."""
        try:
            heard = self._heard.get(timeout=self._timeout)
        except queue.Empty:
            raise BrokerSilent(f"{self._where} does not answer within {self._timeout:g} s") from None
        if heard is None:
            raise BrokerSilent(f"{self._where} ended the connection")
        return heard

    @property
    def _where(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    def _settle(self, what: str) -> None:
        try:
            answer = self._answers.get(timeout=self._timeout)
        except queue.Empty:
            raise BrokerSilent(f"{self._where} does not answer within {self._timeout:g} s") from None
        if answer is None or answer.is_failure:
            raise BrokerSilent(f"{self._where} refuses {what}: {answer or 'it ended the connection'}")

    def _on_connect(self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        self._answers.put(reason)

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        self._answers.put(next((reason for reason in reasons if reason.is_failure), reasons[0]))

    def _on_disconnect(self, client: paho.Client, _data: Any, _flags: Any, _reason: ReasonCode, _props: Any) -> None:
        client.disconnect()  # no second try
        self._answers.put(None)
        self._heard.put(None)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self._heard.put((message.topic, bytes(message.payload)))


def dropped_messages(address: BrokerAddress, timeout: float = 2.0) -> int | None:
    """How many messages a Mosquitto has dropped since it started; None from a broker that does not say.

    Raises OSError when it can't be asked.
    """
    with ShortSession(address, timeout) as session:
        try:
            session.subscribe([_DROPPED])
            _, told = session.hear()
        except BrokerSilent:
            return None
    return int(told) if told.isdigit() else None
