"""The embedded broker with the clients it is for: paho with manual acknowledgement, and aiomqtt."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from core.lifecycle import PartFailed
from ingest.amqtt_sessions import BEHIND
from ingest.embedded_broker import EmbeddedBroker, own_topics
from tests.servers import wait_until

PLATFORM = "platform"
PASSWORDS = {PLATFORM: "secret", **{f"GW-{n:04}": f"p{n}" for n in range(1, 201)}}


def check(username: str, password: str) -> bool:
    return PASSWORDS.get(username) == password


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(check, own_topics(PLATFORM))
    broker.start()
    yield broker
    broker.stop()


@dataclass
class Subscriber:
    """The platform's pair: paho, MQTT 3.1.1, a persistent session, acknowledging by hand."""

    port: int
    topic: str = "sw/v1/#"
    acknowledging: bool = True
    client_id: str = "shouwang"
    username: str = PLATFORM
    seen: list[tuple[str, bytes, bool, bool]] = field(default_factory=list)
    subscribed: threading.Event = field(default_factory=threading.Event)
    refused: list[int] = field(default_factory=list)

    def __enter__(self) -> "Subscriber":
        client = paho.Client(CallbackAPIVersion.VERSION2, self.client_id, clean_session=False, manual_ack=True)
        client.username_pw_set(self.username, PASSWORDS[self.username])
        client.on_connect = lambda client, _d, _f, reason, _p: client.subscribe(self.topic, 1)
        client.on_subscribe = lambda _c, _d, _m, reasons, _p: self.note_subscription(reasons)
        client.on_message = self.note_message
        client.connect("127.0.0.1", self.port, 30)
        client.loop_start()
        self.client = client
        assert self.subscribed.wait(5)
        return self

    def note_subscription(self, reasons: list) -> None:
        self.refused = [reason.value for reason in reasons if reason.is_failure]
        self.subscribed.set()

    def note_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if self.acknowledging:
            client.ack(message.mid, message.qos)
        self.seen.append((message.topic, message.payload, message.retain, message.dup))

    def vanish(self) -> None:
        """The connection breaks without DISCONNECT."""
        self.client._sock_close()
        self.client.loop_stop()

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _, _ in self.seen]


def gateway(broker: EmbeddedBroker, n: int = 1, **options: object) -> aiomqtt.Client:
    name = f"GW-{n:04}"
    return aiomqtt.Client("127.0.0.1", broker.port, username=name, password=PASSWORDS[name], identifier=name, **options)


def publish(broker: EmbeddedBroker, *payloads: bytes, n: int = 1, **options: object) -> None:
    async def main() -> None:
        async with gateway(broker, n) as client:
            for payload in payloads:
                await client.publish(f"sw/v1/GW-{n:04}/telemetry", payload, qos=1, **options)

    asyncio.run(main())


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    wait_until(condition, "what the test waits for", seconds)


def numbers(first: int, end: int) -> list[bytes]:
    return [b"%d" % n for n in range(first, end)]


def test_delivers_in_order(broker: EmbeddedBroker) -> None:
    with Subscriber(broker.port) as platform:
        publish(broker, *numbers(0, 500))
        until(lambda: len(platform.seen) == 500)
    assert platform.payloads() == numbers(0, 500)
    assert not any(retained or dup for _, _, retained, dup in platform.seen)


def test_what_was_not_acknowledged_comes_again_after_a_reconnect(broker: EmbeddedBroker) -> None:
    with Subscriber(broker.port, acknowledging=False) as platform:
        publish(broker, *numbers(0, 20))
        until(lambda: len(platform.seen) == 20)
        platform.vanish()
    publish(broker, *numbers(20, 30))
    with Subscriber(broker.port) as platform:
        until(lambda: len(platform.seen) == 30)
    assert platform.payloads() == numbers(0, 30)
    assert all(dup for _, _, _, dup in platform.seen[:20])
    assert not any(retained for _, _, retained, _ in platform.seen)
    with Subscriber(broker.port) as platform:
        publish(broker, b"last")
        until(lambda: bool(platform.seen))
    assert platform.payloads() == [b"last"]


def test_a_slow_subscriber_loses_nothing(broker: EmbeddedBroker) -> None:
    """amqtt alone drops what is not acknowledged within 5 s."""
    with Subscriber(broker.port, acknowledging=False) as platform:
        publish(broker, b"waiting")
        until(lambda: bool(platform.seen))
        time.sleep(5.5)
        platform.vanish()
    with Subscriber(broker.port) as platform:
        until(lambda: platform.payloads() == [b"waiting"])


def test_a_subscriber_that_is_far_behind_holds_up_the_gateways(broker: EmbeddedBroker) -> None:
    """Nothing is acknowledged that the broker could not keep for the subscriber."""
    sent = BEHIND + 500

    async def main() -> int:
        done = 0
        async with gateway(broker, max_inflight_messages=0, timeout=60) as client:
            tasks = [asyncio.create_task(client.publish("sw/v1/GW-0001/telemetry", n, qos=1)) for n in numbers(0, sent)]
            done = len((await asyncio.wait(tasks, timeout=3))[0])
            platform.acknowledging = True
            for mid in range(1, len(platform.seen) + 1):
                platform.client.ack(mid, 1)
            await asyncio.wait(tasks)
        return done

    with Subscriber(broker.port, acknowledging=False) as platform:
        assert asyncio.run(main()) <= BEHIND + 1
        until(lambda: len(platform.seen) == sent)
    assert platform.payloads() == numbers(0, sent)


def test_subscribing_under_traffic_loses_nothing(broker: EmbeddedBroker) -> None:
    async def main() -> None:
        async def send(n: int) -> None:
            async with gateway(broker, n) as client:
                for i in range(40):
                    await client.publish(f"sw/v1/GW-{n:04}/telemetry", b"%d %d" % (n, i), qos=1)
                    if i % 5 == 0:
                        await client.subscribe(f"sw/v1/GW-{n:04}/rejects")
                        await client.unsubscribe(f"sw/v1/GW-{n:04}/rejects")

        await asyncio.gather(*(send(n) for n in range(1, 21)))

    with Subscriber(broker.port) as platform:
        asyncio.run(main())
        until(lambda: len(platform.seen) == 800)
    assert len(set(platform.payloads())) == 800


def test_what_was_acknowledged_to_a_gateway_that_leaves_is_delivered(broker: EmbeddedBroker) -> None:
    with Subscriber(broker.port) as platform:
        for n in range(1, 11):
            publish(broker, *numbers(0, 20), n=n)
        until(lambda: len(platform.seen) == 200)


def test_a_retained_status_reaches_later_subscribers_only_as_theirs(broker: EmbeddedBroker) -> None:
    async def main() -> list[str]:
        async with gateway(broker, 1) as client:
            await client.publish("sw/v1/GW-0001/status", b"online", qos=1, retain=True)
        got: list[str] = []
        async with gateway(broker, 2) as other:
            await other.subscribe("sw/v1/GW-0002/rejects")
            await other.publish("sw/v1/GW-0002/status", b"online", qos=1, retain=True)
            try:
                async with asyncio.timeout(0.5):
                    async for message in other.messages:
                        got.append(message.topic.value)
            except TimeoutError:
                pass
        return got

    with Subscriber(broker.port, client_id="holds-a-subscription"):
        assert asyncio.run(main()) == []
    with Subscriber(broker.port) as platform:
        until(lambda: len(platform.seen) == 2)
    assert {(topic, payload, retained) for topic, payload, retained, _ in platform.seen} == {
        (f"sw/v1/GW-000{n}/status", b"online", True) for n in (1, 2)
    }


def raw_gateway(broker: EmbeddedBroker, keep_alive: int, will: bytes = b"offline", n: int = 1) -> socket.socket:
    """A bare connection of a gateway with a retained will; nothing answers or pings for it."""

    def text(value: bytes) -> bytes:
        return struct.pack(">H", len(value)) + value

    name = f"GW-{n:04}".encode()
    body = text(b"MQTT") + bytes([4, 0b11101110]) + struct.pack(">H", keep_alive)
    body += text(name) + text(b"sw/v1/" + name + b"/status") + text(will) + text(name) + text(b"p%d" % n)
    connection = socket.create_connection(("127.0.0.1", broker.port))
    connection.sendall(bytes([0x10, len(body)]) + body)
    assert connection.recv(4) == b"\x20\x02\x00\x00"
    return connection


@pytest.mark.parametrize("ending", ["reset", "closed", "vanished", "taken over"])
def test_the_will_of_a_lost_gateway_is_published_and_retained(broker: EmbeddedBroker, ending: str) -> None:
    with Subscriber(broker.port) as platform:
        connection = raw_gateway(broker, keep_alive=1 if ending == "vanished" else 60)
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if ending == "taken over":
            raw_gateway(broker, keep_alive=60).close()
        if ending in {"reset", "closed"}:
            connection.close()
        until(lambda: ("sw/v1/GW-0001/status", b"offline", False, False) in platform.seen)
        connection.close()
    with Subscriber(broker.port, client_id="later") as later:
        until(lambda: later.seen == [("sw/v1/GW-0001/status", b"offline", True, False)])


def test_no_will_after_a_proper_goodbye(broker: EmbeddedBroker) -> None:
    will = aiomqtt.Will("sw/v1/GW-0001/status", b"offline", 1, True)

    async def main() -> None:
        async with gateway(broker, 1, will=will) as client:
            await client.publish("sw/v1/GW-0001/status", b"online", qos=1, retain=True)

    with Subscriber(broker.port) as platform:
        asyncio.run(main())
        publish(broker, b"after", n=2)
        until(lambda: b"after" in platform.payloads())
        assert platform.payloads() == [b"online", b"after"]


@pytest.mark.parametrize(
    ("username", "password"), [(None, None), ("GW-0001", "wrong"), ("GW-0001", None), ("GW-9999", "p1")]
)
def test_refuses_who_cannot_prove_who_they_are(
    broker: EmbeddedBroker, username: str | None, password: str | None
) -> None:
    async def main() -> None:
        async with aiomqtt.Client("127.0.0.1", broker.port, username=username, password=password):
            pass

    with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authorized|code:5"):
        asyncio.run(main())


def test_a_refused_login_disturbs_nobody(broker: EmbeddedBroker) -> None:
    async def main(username: str, password: str, clean: bool) -> None:
        async with aiomqtt.Client(
            "127.0.0.1", broker.port, username=username, password=password, identifier="shouwang", clean_session=clean
        ):
            pass

    with Subscriber(broker.port) as platform:
        for username, password in ((PLATFORM, "guess"), ("GW-0001", "p1")):
            for clean in (True, False):
                with pytest.raises(aiomqtt.MqttError):
                    asyncio.run(main(username, password, clean))
        publish(broker, b"still here", n=2)
        until(lambda: platform.payloads() == [b"still here"])


def test_a_gateway_speaks_and_hears_only_what_is_its_own(broker: EmbeddedBroker) -> None:
    async def main() -> None:
        async with gateway(broker, 1) as client:
            await client.publish("sw/v1/GW-0002/telemetry", b"forged", qos=1)
            await client.publish("sw/v1/GW-0001/telemetry", b"own", qos=1)

    with Subscriber(broker.port) as platform:
        asyncio.run(main())
        until(lambda: platform.payloads() == [b"own"])
    for topic in ("#", "sw/v1/+/telemetry", "sw/v1/GW-0001/#", "sw/v1/GW-0002/rejects"):
        with Subscriber(broker.port, topic, client_id="nosy", username="GW-0001") as nosy:
            assert nosy.refused == [0x80]


def test_a_will_for_another_gateway_is_refused(broker: EmbeddedBroker) -> None:
    async def main() -> None:
        async with gateway(broker, 1, will=aiomqtt.Will("sw/v1/GW-0002/status", b"offline", 1, True)):
            pass

    with pytest.raises(aiomqtt.MqttError):
        asyncio.run(main())


def test_a_password_is_checked_once_until_it_is_forgotten() -> None:
    asked = []

    def count(username: str, password: str) -> bool:
        asked.append(username)
        return check(username, password)

    broker = EmbeddedBroker(count, own_topics(PLATFORM))
    broker.start()
    publish(broker, b"1")
    publish(broker, b"2")
    assert asked == ["GW-0001"]
    broker.forget_credentials()
    publish(broker, b"3")
    assert asked == ["GW-0001", "GW-0001"]
    broker.stop()


def test_what_is_published_before_the_platform_listens_waits_for_it() -> None:
    """Acknowledged sooner, it would be lost: no session is there to keep it."""
    broker = EmbeddedBroker(check, own_topics(PLATFORM), awaited=PLATFORM)
    broker.start()
    early = threading.Thread(target=publish, args=(broker, b"a leak"))
    early.start()
    try:
        early.join(0.3)
        assert early.is_alive(), "it was acknowledged before anybody could hear it"
        with Subscriber(broker.port) as platform:
            until(lambda: platform.payloads() == [b"a leak"])
        early.join(5)
        assert not early.is_alive()
    finally:
        broker.stop()


def test_survives_what_is_not_mqtt(broker: EmbeddedBroker) -> None:
    for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff", b"\x00" * 100, b"\x10\x05\x00\x04MQ"):
        with socket.create_connection(("127.0.0.1", broker.port)) as connection:
            connection.sendall(noise)
    bad = raw_gateway(broker, 60)
    bad.sendall(b"\x30\x05\x00\x03a/+")
    bad.close()
    with Subscriber(broker.port, "sw/v1/+/telemetry") as platform:
        publish(broker, b"fine", n=2)
        until(lambda: platform.payloads() == [b"fine"])


def test_a_taken_port_is_told(broker: EmbeddedBroker) -> None:
    second = EmbeddedBroker(check, own_topics(PLATFORM), broker.port)
    with pytest.raises(PartFailed, match="can't listen on 127"):
        second.start()
    second.stop()


def test_starts_no_thread_before_start_and_leaves_none() -> None:
    before = set(threading.enumerate())
    broker = EmbeddedBroker(check, own_topics(PLATFORM))
    assert set(threading.enumerate()) == before
    broker.start()
    with Subscriber(broker.port):
        pass
    broker.stop()
    assert set(threading.enumerate()) == before


def test_carries_a_town_of_gateways(broker: EmbeddedBroker) -> None:
    gateways, each = 150, 20

    async def send(n: int) -> None:
        will = aiomqtt.Will(f"sw/v1/GW-{n:04}/status", b"offline", 1, True)
        async with gateway(broker, n, will=will, timeout=30) as client:
            for i in range(each):
                await client.publish(f"sw/v1/GW-{n:04}/telemetry", b"%d %d" % (n, i), qos=1)

    async def main() -> None:
        await asyncio.gather(*(send(n) for n in range(1, gateways + 1)))

    with Subscriber(broker.port) as platform:
        asyncio.run(main())
        until(lambda: len(platform.seen) == gateways * each, 20)
    assert len(set(platform.payloads())) == gateways * each
