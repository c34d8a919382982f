"""The session with a real broker: its subscriptions, its canary, what the broker tells of itself."""

import time

import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from core.clock import SECOND, SystemClock
from core.journal import Entry, RecordKind
from devices.registry import GatewayRow, Registry
from ingest.formats.v1 import SUBSCRIPTIONS
from ingest.mqtt import DROPS, BrokerAddress, Receipt, refusal_of
from ingest.words import Connected, Lost, RegistryChanged, encode
from tests.ingest.live_ingest import WORD, Embedded, Platform, calling, publish, wait_for
from tests.ingest.test_gate import small_registry

pytestmark = pytest.mark.long


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
    wait_for(lambda: "unknown_topic" in second.rejects())
    time.sleep(0.2)
    before = len(second.rejects())  # the first one's message too, where the broker had not heard its acknowledgement
    noise(gateway, "senml/a", 53.0)
    publish(gateway, 1.0)
    wait_for(lambda: second.values() == [51.0, 1.0])
    assert second.rejects() == ["unknown_topic"] * before
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


def test_a_topic_that_is_no_text_is_refused_and_ends_nothing(platform, gateway):
    """A broker that does not check what it passes on: an exception would end the client's thread for good."""
    message = paho.MQTTMessage(7, b"sw/v1/GW-0001/\xff\xfe")
    message.payload, message.qos = b"{}", 1
    session = platform.session
    session._client._handle_on_message(message)
    wait_for(lambda: platform.rejects() != [])
    assert platform.rejects() == ["unknown_topic"]
    publish(gateway, 1.0)
    wait_for(lambda: platform.values() == [1.0])


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
