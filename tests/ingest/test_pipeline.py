"""From a real broker to the journal: acknowledged last, nothing lost over reconnects, restarts and a full journal."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from sqlalchemy import create_engine

from core.clock import SECOND, SystemClock
from core.journal import START, Entry, JournalFull, Offset, RecordKind
from core.metrics import Metrics
from core.sqlite_journal import SqliteJournal
from devices.registry import GatewayRow, Registry
from ingest.embedded_broker import EmbeddedBroker
from ingest.formats.v1 import SUBSCRIPTIONS
from ingest.gate import Gate
from ingest.gateway_figures import GatewayFigures
from ingest.mqtt import DROPS, BrokerAddress, BrokerSession, Inbox, Receipt, refusal_of
from ingest.pipeline import Outlets, Pipeline
from ingest.registry_reader import RegistryReader
from ingest.words import Block, Connected, Lost, RegistryChanged, decode_control, decode_event, decode_reject, encode
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
        self._threads = [threading.Thread(target=run, args=(self._ending,), daemon=True) for run in (self.pipeline.run, reader.run)]

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


def wait_for(condition, seconds: float = 10.0) -> None:
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


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request):
    """Every broker that a URL can name keeps what follows."""
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto")()
        return
    embedded = Embedded()
    yield embedded
    embedded.kill()


@pytest.fixture
def gateway(broker) -> Iterator[paho.Client]:
    client = calling("GW-0001")
    client.max_inflight_messages_set(500)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def calling(code: str) -> paho.Client:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=code)
    client.username_pw_set(code, WORD)
    return client


def publish(client: paho.Client, value: float, **options) -> paho.MQTTMessageInfo:
    now = SystemClock().now() // 1000
    payload = msgspec.json.encode({"t": now, "values": {"gas_lel": value}})
    return client.publish("sw/v1/GW-0001/GAS-0001/telemetry", payload, qos=1, **options)


@pytest.fixture
def platform(broker, tmp_path):
    platform = Platform(tmp_path, broker.port)
    platform.start()
    yield platform
    platform.stop()


def test_messages_reach_the_journal_once_and_in_order(platform, gateway):
    for value in range(100):
        publish(gateway, value)
    wait_for(lambda: len(platform.values()) == 100)
    assert platform.values() == [float(v) for v in range(100)]
    assert platform.metrics.latencies["journal"].percentiles()["p50"] < 1000


def test_what_is_refused_is_journalled_acknowledged_and_told_to_the_gateway(platform, gateway):
    told: list[dict] = []
    gateway.on_message = lambda _c, _d, m: told.append(msgspec.json.decode(m.payload))
    gateway.subscribe("sw/v1/GW-0001/rejects")
    gateway.publish("sw/v1/GW-0001/telemetry", b"not json", qos=1)
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0] and told)
    records = platform.journal.read(START, 1000)
    (reject,) = [decode_reject(r.payload) for r in records if r.kind is RecordKind.REJECT]
    assert (reject.reason, reject.payload) == ("not_decodable", b"not json")
    assert told[0]["reason"] == "not_decodable"


def test_a_dead_gateways_will_becomes_its_status(platform, broker):
    client = calling("GW-0002")
    client.will_set("sw/v1/GW-0002/status", b"offline", qos=1, retain=True)
    client.connect("127.0.0.1", broker.port, keepalive=5)
    client.loop_start()
    client.publish("sw/v1/GW-0002/status", b"online", qos=1, retain=True).wait_for_publish(5)
    client.loop_stop()
    client.socket().close()

    def statuses() -> list[bool]:
        records = platform.journal.read(START, 1000)
        return [decode_event(r.payload).attributes["online"] for r in records if r.kind is RecordKind.EVENT]

    wait_for(lambda: statuses() == [True, False])


def test_ticks_once_a_second_and_the_session_in_the_journal(platform):
    def ticks() -> list[int]:
        return [r.time for r in platform.journal.read(START, 1000) if r.kind is RecordKind.TICK]

    wait_for(lambda: len(ticks()) >= 3)
    gaps = [b - a for a, b in zip(ticks(), ticks()[1:], strict=False)]
    assert all(0.9 * SECOND < gap < 1.5 * SECOND for gap in gaps)
    assert [type(c) for c in platform.controls()] == [Lost, Connected]


def test_messages_sent_while_we_are_down_come_when_we_are_back(broker, gateway, tmp_path):
    first = Platform(tmp_path, broker.port)
    first.start()
    publish(gateway, 1.0)
    wait_for(lambda: first.values() == [1.0])
    first.stop()
    for value in (2.0, 3.0):
        publish(gateway, value).wait_for_publish(5)
    second = Platform(tmp_path, broker.port)
    second.start()
    wait_for(lambda: second.values() == [1.0, 2.0, 3.0])
    wait_for(lambda: isinstance(second.controls()[-1], Connected))  # a broker may deliver before it answers
    lost, connected = second.controls()[-2:]
    ticks = [r.time for r in second.journal.read(START, 1000) if r.kind is RecordKind.TICK]
    assert any(abs(tick - lost.at) < SECOND // 10 for tick in ticks), "lost as of the last tick before"
    assert isinstance(connected, Connected)
    assert lost.at < connected.at
    second.stop()


def test_a_broker_that_restarts_is_found_again(platform, broker, gateway):
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0])
    broker.kill()
    wait_for(lambda: not platform.session.connected)
    broker.start()
    wait_for(lambda: platform.session.connected and gateway.is_connected(), 30)
    publish(gateway, 2.0)
    wait_for(lambda: platform.values() == [1.0, 2.0])
    assert [type(c) for c in platform.controls()] == [Lost, Connected, Lost, Connected]


def test_a_subscription_that_died_in_silence_is_made_anew(platform, gateway, monkeypatch):
    """The connection stands, but nothing comes back: told as a loss since the last thing that came."""
    monkeypatch.setattr("ingest.mqtt._CANARY_EVERY", 0.1)
    wait_for(lambda: platform.session._returned)
    session = platform.session
    session._client.unsubscribe([session._canary, *session._subscriptions.wanted])
    wait_for(lambda: not session.connected)
    wait_for(lambda: session.connected)
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0])
    first, connected, lost, again = platform.controls()
    assert (type(first), type(connected), type(lost), type(again)) == (Lost, Connected, Lost, Connected)
    assert connected.at < lost.at < again.at - SECOND // 4


def test_a_broker_that_lets_no_canary_through_is_no_dead_one(platform, gateway, monkeypatch):
    monkeypatch.setattr("ingest.mqtt._CANARY_EVERY", 0.05)
    monkeypatch.setattr(platform.session, "publish", lambda *_: None)
    platform.session._returned = False
    time.sleep(1)
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0])
    assert [type(c) for c in platform.controls()] == [Lost, Connected]


def test_a_broker_whose_rules_forbid_the_canary_is_left_in_peace(mosquitto, tmp_path, monkeypatch):
    """Mosquitto cuts off who publishes what it may not: the canary is given up, and readings come through."""
    monkeypatch.setattr("ingest.mqtt._CANARY_EVERY", 0.1)
    monkeypatch.setattr("ingest.mqtt._FIRST_RETRY", 0)
    rules = tmp_path / "acl"
    rules.write_text("user platform\ntopic read sw/v1/+/telemetry\ntopic read sw/v1/+/+/telemetry\n"
                     "topic read sw/v1/+/+/event\ntopic read sw/v1/+/status\n"
                     "user GW-0001\ntopic write sw/v1/GW-0001/#\n")  # fmt: skip
    broker = mosquitto([f"acl_file {rules}"])
    platform = Platform(tmp_path, broker.port)
    platform.start()
    wait_for(lambda: platform.session._forbidden, 30)
    wait_for(lambda: platform.session.connected)
    client = calling("GW-0001")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    publish(client, 1.0)
    wait_for(lambda: platform.values() == [1.0])
    connection = platform.session._connection
    time.sleep(0.5)
    assert platform.session._connection == connection, "it stays connected"
    client.disconnect()
    client.loop_stop()
    platform.stop()


def other_town(*topics: str) -> Registry:
    """GW-0002 speaks SenML under these topics."""
    registry = small_registry()
    registry.gateways["GW-0002"] = GatewayRow(1, "GW-0002", "senml", "", 0, "", 0, {"topic": list(topics)})
    return registry


def change_registry(platform: Platform, registry: Registry) -> None:
    platform.registry = registry
    platform.journal.append([Entry(RecordKind.CONTROL, encode(RegistryChanged(2)))], SystemClock().now())


def noise(client: paho.Client, topic: str, value: float) -> None:
    payload = msgspec.json.encode([{"bn": "NOI-0001:", "n": "laeq", "v": value, "t": SystemClock().now() / SECOND}])
    client.publish(topic, payload, qos=1).wait_for_publish(5)


def test_subscriptions_follow_the_registry_on_the_session_that_stands(platform, gateway):
    connection = platform.session._connection
    change_registry(platform, other_town("senml/a"))
    wait_for(lambda: "senml/a" in platform.session._subscriptions._held)
    time.sleep(0.2)
    noise(gateway, "senml/a", 51.0)
    wait_for(lambda: platform.values() == [51.0])
    change_registry(platform, other_town("senml/b"))
    wait_for(lambda: "senml/a" not in platform.session._subscriptions._held)
    noise(gateway, "senml/a", 52.0)
    noise(gateway, "senml/b", 53.0)
    wait_for(lambda: platform.values() == [51.0, 53.0])
    assert platform.session._connection == connection, "the same session"
    assert platform.rejects() == []


def test_a_filter_of_an_earlier_run_is_let_go(broker, gateway, tmp_path):
    """A persistent session would bring it for ever; what comes meanwhile is a dead letter, not lost in silence."""
    first = Platform(tmp_path, broker.port, other_town("senml/a"))
    first.start()
    noise(gateway, "senml/a", 51.0)
    wait_for(lambda: first.values() == [51.0])
    first.stop()
    noise(gateway, "senml/a", 52.0)
    second = Platform(tmp_path, broker.port)
    second.start()
    wait_for(lambda: second.session._subscriptions._held == set(SUBSCRIPTIONS))
    wait_for(lambda: second.rejects() == ["unknown_topic"])
    noise(gateway, "senml/a", 53.0)
    publish(gateway, 1.0)
    wait_for(lambda: second.values() == [51.0, 1.0])
    assert second.rejects() == ["unknown_topic"]
    second.stop()


def test_a_gateways_refused_filter_is_its_own_trouble(platform, gateway, monkeypatch):
    session = platform.session
    monkeypatch.setattr("ingest.mqtt._CANARY_EVERY", 0.05)
    connection = session._connection
    change_registry(platform, other_town("senml/a"))
    wait_for(lambda: "senml/a" in session._subscriptions._held)
    session._asked[-1] = ["senml/a"]
    session._on_subscribe(session._client, None, -1, [ReasonCode(PacketTypes.SUBACK, identifier=128)], None)
    assert session.refused == {"senml/a"}
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0])
    wait_for(lambda: not session.refused)
    assert session._connection == connection


def test_a_broker_tells_how_much_it_dropped_and_that_is_no_message(mosquitto, tmp_path):
    broker = mosquitto(["sys_interval 1", "max_queued_messages 1"])
    platform = Platform(tmp_path, broker.port)
    platform.start()
    wait_for(lambda: platform.session.dropped == 0)
    asleep = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="asleep", clean_session=False)
    asleep.username_pw_set("platform", WORD)
    asleep.connect("127.0.0.1", broker.port)
    asleep.loop_start()
    asleep.subscribe("sw/v1/+/+/telemetry", 1)
    time.sleep(0.5)
    asleep.disconnect()
    asleep.loop_stop()
    client = calling("GW-0001")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for value in range(20):
        publish(client, value)
    wait_for(lambda: (platform.session.dropped or 0) > 0)
    assert platform.rejects() == []
    client.disconnect()
    client.loop_stop()
    platform.stop()


def test_a_broker_that_cuts_who_asks_for_its_counts_is_asked_no_more(platform, gateway):
    session = platform.session
    session._asked[-1] = [DROPS]
    session._drop()
    wait_for(lambda: not session.connected)
    wait_for(lambda: session.connected)
    assert session._secretive
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0])


def test_a_refused_subscription_is_asked_for_again(platform, gateway):
    session = platform.session
    session._asked[-1] = list(SUBSCRIPTIONS)
    refused = [ReasonCode(PacketTypes.SUBACK, identifier=128)] * len(SUBSCRIPTIONS)
    session._on_subscribe(session._client, None, -1, refused, None)
    wait_for(lambda: not session.connected)
    wait_for(lambda: session.connected)
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0])


def test_nothing_is_acknowledged_while_the_journal_is_full(platform, broker, gateway, monkeypatch):
    append, full = platform.journal.append, threading.Event()

    def refuse_readings(entries: list[Entry], now: int) -> Offset:
        if full.is_set() and any(e.kind is RecordKind.BLOCK for e in entries):
            raise JournalFull("for the test")
        return append(entries, now)

    monkeypatch.setattr(platform.journal, "append", refuse_readings)
    acknowledged: list[object] = []
    original = platform.session.acknowledge
    monkeypatch.setattr(
        platform.session, "acknowledge", lambda receipts: (acknowledged.extend(receipts), original(receipts))
    )
    full.set()
    publish(gateway, 9.0)
    time.sleep(1.5)
    assert acknowledged == []
    full.clear()
    wait_for(lambda: platform.values() == [9.0])
    wait_for(lambda: len(acknowledged) == 1)


def test_a_changed_registry_is_followed_at_its_control_record(platform, gateway):
    newer = small_registry()
    newer.state[0] = "retired"
    platform.registry = newer
    platform.journal.append([Entry(RecordKind.CONTROL, encode(RegistryChanged(2)))], SystemClock().now())
    wait_for(lambda: "GAS-0001" not in platform.pipeline._gate._admitted["GW-0001"].series, 5)
    publish(gateway, 1.0)

    def reasons() -> list[str]:
        records = platform.journal.read(START, 1000)
        return [decode_reject(r.payload).reason for r in records if r.kind is RecordKind.REJECT]

    wait_for(lambda: reasons() == ["retired_device"])


def test_a_receipt_of_an_earlier_connection_acknowledges_nothing(platform, broker, gateway, monkeypatch):
    session, sent = platform.session, []
    monkeypatch.setattr(session._client, "ack", lambda mid, qos: sent.append(mid))
    old = session._connection
    session._on_disconnect(session._client, None, None, None, None)
    session.acknowledge([Receipt(old, 7, 1), Receipt(old + 1, 8, 1), Receipt(old + 1, 0, 0)])
    assert sent == [8]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://broker", "mqtt://HOST"),
        ("mqtt://", "mqtt://HOST"),
        ("mqtt://broker?qos=2", "not qos"),
    ],
)
def test_a_brokers_url_is_checked(url, problem):
    with pytest.raises(ValueError, match=problem):
        BrokerAddress.parse(url)


def test_a_brokers_url_hides_its_password():
    address = BrokerAddress.parse("mqtts://town:p%40ss@broker:8884?ca=/etc/ca.pem")
    assert (address.password, address.port, address.tls, address.ca) == ("p@ss", 8884, True, "/etc/ca.pem")
    assert "p@ss" not in repr(address)


def test_a_login_is_tried_before_it_is_needed():
    embedded = Embedded()
    assert refusal_of(BrokerAddress.parse(f"mqtt://platform:{WORD}@127.0.0.1:{embedded.port}")) == ""
    assert "uthori" in refusal_of(BrokerAddress.parse(f"mqtt://platform:wrong@127.0.0.1:{embedded.port}"))
    embedded.kill()
    with pytest.raises(OSError, match="refused"):
        refusal_of(BrokerAddress.parse(f"mqtt://platform:{WORD}@127.0.0.1:{embedded.port}"))
