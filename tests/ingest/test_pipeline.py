"""From a real broker to the journal: acknowledged last, nothing lost over reconnects, restarts and a full journal."""

import threading
import time

import msgspec

from core.clock import SECOND, SystemClock
from core.journal import START, Entry, JournalFull, Offset, RecordKind
from ingest.words import Connected, Lost, RegistryChanged, decode_event, decode_reject, encode
from tests.ingest.live_ingest import Platform, calling, publish, wait_for
from tests.ingest.test_gate import small_registry


def test_messages_reach_the_journal_once_and_in_order(platform, gateway):
    for value in range(100):
        publish(gateway, value)
    wait_for(lambda: len(platform.values()) == 100)
    assert platform.values() == [float(v) for v in range(100)]
    spans = platform.metrics.latencies["journal"]
    wait_for(lambda: spans.percentiles()["p50"] is not None)  # noted after the append
    assert spans.percentiles()["p50"] < 1000


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
    wait_for(lambda: "GAS-0001" not in platform.pipeline._gate._admitted["GW-0001"].series, 20)
    publish(gateway, 1.0)

    def reasons() -> list[str]:
        records = platform.journal.read(START, 1000)
        return [decode_reject(r.payload).reason for r in records if r.kind is RecordKind.REJECT]

    wait_for(lambda: reasons() == ["retired_device"])
