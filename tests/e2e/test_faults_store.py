"""InfluxDB taken away under the running platform: nothing lost, nothing twice, alerts on time, caught up soon after."""

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.platform import Running, make_town, running
from benchmarks.platform import mosquitto as private_mosquitto
from benchmarks.throughput import alert_latencies, settings_for, steady
from ingest.influx_address import InfluxAddress
from ingest.influx_wire import InfluxWire
from tests.e2e.town_under_fire import url_of
from tests.influx_server import InfluxOne, make_buckets
from tests.servers import program, wait_until

_VALUES = 4
_LATE_MS = 300
_LIVE_S = 2
"""s of readings that a store which keeps up may still have before it."""


@pytest.fixture
def server() -> Iterator[InfluxOne]:
    """An InfluxDB of this test's own, to be stopped and started."""
    own = InfluxOne.installed()
    try:
        own.start()
        yield own
    finally:
        own.stop()


@dataclass
class Load:
    """So many messages a second, for so long before, during and after the store is away (s)."""

    rate: int
    devices: int
    before: float
    away: float
    after: float

    @property
    def seconds(self) -> int:
        return int(self.before + self.away + self.after)


def test_a_short_outage_at_a_low_rate(server, tmp_path, record_property):
    counts = store_away(server, Load(100, 500, 2, 3, 2), tmp_path)
    record_property("counts", counts)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_minute_without_the_store_at_five_thousand_messages_a_second(server, tmp_path, record_property):
    counts = store_away(server, Load(5_000, 2_000, 10, 60, 70), tmp_path)
    record_property("counts", counts)


def store_away(server: InfluxOne, load: Load, folder: Path) -> str:
    """Publish, take the store away and give it back; in the end count what it holds."""
    program(["mosquitto"], "mosquitto mosquitto-clients")
    address = make_buckets(server.address("town"))
    with private_mosquitto(folder) as port:
        settings = settings_for(folder, port)
        make_town(settings, load.devices)
        with running(settings, url_of(address)) as platform:
            platform.wait_until("shouwang_broker_connected", 1, 60)
            publishing = steady(port, load.devices, load.rate, load.seconds)
            spans: list[float] = []
            database = settings.state / "shouwang.db"
            watching = threading.Thread(
                target=lambda: spans.extend(alert_latencies(publishing, database, load.seconds))
            )
            watching.start()
            time.sleep(load.before)
            server.stop_influxd(signal.SIGTERM)
            left = behind(platform)
            time.sleep(load.away)
            assert behind(platform) > left, "the store was not away"
            server.start_influxd()
            caught_up = seconds_until_live(platform, load)
            watching.join()
            taken = int(publishing.communicate()[0])
            wait_until(lambda: in_store(address) >= taken * _VALUES, "every reading in the store", 60)
    assert in_store(address) == taken * _VALUES
    assert len(spans) > load.seconds
    p99 = float(np.percentile(spans, 99))
    assert p99 <= _LATE_MS, f"alerts came late: {p99:.0f} ms"
    assert caught_up <= 60
    return f"{taken} messages, {len(spans)} alerts p99 {p99:.0f} ms, caught up {caught_up:.1f} s after its return"


def behind(platform: Running) -> float:
    """How many journalled readings are not stored yet."""
    done = platform.metric("shouwang_stored_total") + platform.metric("shouwang_duplicates_total")
    return platform.metric("shouwang_readings_total") - done


def seconds_until_live(platform: Running, load: Load) -> float:
    """How long it takes until the store is only as far behind as one that was never away."""
    began = time.monotonic()
    wait_until(lambda: behind(platform) < _LIVE_S * load.rate * _VALUES, "that the store caught up", 90)
    return time.monotonic() - began


def in_store(address: InfluxAddress) -> int:
    """How many readings the store holds."""
    wire = InfluxWire(address)
    try:
        found = list(wire.query(address.bucket, ["SELECT count(*) FROM meter"]))
    finally:
        wire.close()
    return sum(sum(row[1:]) for _, answer in found for row in answer.values)
