"""InfluxDB taken away under the running platform: nothing lost, nothing twice, alerts on time, caught up soon after."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
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

pytestmark = pytest.mark.long

_VALUES = 4
_LATE_MS = 300
_IN_HAND = 20_000
"""Readings of the batch that the writer holds: counted when the journal lets them go, and stored after all."""
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
    """So many messages a second, for so long before, during and after the store is away (s).

    `late`: the ms from violation to alert that are too many; where other tests run beside it, what no busy machine
    takes but an alert that waits for the store does.
    """

    rate: int
    devices: int
    before: float
    away: float
    after: float
    late: int = _LATE_MS

    @property
    def seconds(self) -> int:
        return int(self.before + self.away + self.after)


def test_a_short_outage_at_a_low_rate(server, tmp_path, record_property):
    counts = store_away(server, Load(100, 500, 2, 3, 2, late=1_500), tmp_path)
    record_property("counts", counts)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_minute_without_the_store_at_five_thousand_messages_a_second(server, tmp_path, record_property):
    counts = store_away(server, Load(5_000, 2_000, 10, 60, 70), tmp_path)
    record_property("counts", counts)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_at_the_quota_only_what_the_store_still_waits_for_goes(server, tmp_path, record_property):
    load, quota = Load(1_500, 1_500, 5, 75, 20), f"{8_000_000 / 2**30:.6f}"
    with loaded(server, load, tmp_path, journal__quota_gb=quota) as run:
        time.sleep(load.before)
        server.stop_influxd(signal.SIGTERM)
        time.sleep(load.away)
        server.start_influxd()
        taken = run.finish()
        wait_until(lambda: in_store(run.address) + dropped(run.state) >= taken * _VALUES, "the rest in the store", 60)
        assert run.platform.metric("shouwang_readings_total") == taken * _VALUES
        counted, gone = dropped(run.state), taken * _VALUES - in_store(run.address)
        assert gone > 0, "the quota was not reached"
        assert gone <= counted <= gone + _IN_HAND
    p99 = on_time(run.spans, load)
    told = f"{taken} messages, {gone} readings gone, {counted} counted as dropped, alerts p99 {p99:.0f} ms"
    record_property("counts", told)


def store_away(server: InfluxOne, load: Load, folder: Path) -> str:
    """Publish, take the store away and give it back; in the end count what it holds."""
    with loaded(server, load, folder) as run:
        time.sleep(load.before)
        server.stop_influxd(signal.SIGTERM)
        left = behind(run.platform)
        time.sleep(load.away)
        assert behind(run.platform) > left, "the store was not away"
        server.start_influxd()
        caught_up = seconds_until_live(run.platform, load)
        taken = run.finish()
        wait_until(lambda: in_store(run.address) >= taken * _VALUES, "every reading in the store", 60)
    assert in_store(run.address) == taken * _VALUES
    p99 = on_time(run.spans, load)
    assert caught_up <= 60
    return f"{taken} messages, {len(run.spans)} alerts p99 {p99:.0f} ms, caught up {caught_up:.1f} s after its return"


class Run:
    """A platform under load. `spans` are the ms from each violation to its alert's row, known at the end."""

    def __init__(self, platform: Running, port: int, load: Load, state: Path, address: InfluxAddress) -> None:
        self.platform, self.state, self.address = platform, state, address
        self.spans: list[float] = []
        self._publishing = steady(port, load.devices, load.rate, load.seconds)
        self._threads = ThreadPoolExecutor(1)
        self._latencies = self._threads.submit(alert_latencies, self._publishing, state / "shouwang.db", load.seconds)

    def finish(self) -> int:
        """Wait for the publisher's end; how many messages it sent, each of which the broker acknowledged."""
        told = self._publishing.communicate()[0]
        assert self._publishing.returncode == 0, "too slow a machine for this load: nobody knows what the broker took"
        self.spans.extend(self._latencies.result())
        return int(told)

    def end(self) -> None:
        """Make sure that nothing is left of it, however the test ended."""
        with self._publishing:
            self._publishing.kill()
        self._threads.shutdown()


@contextmanager
def loaded(server: InfluxOne, load: Load, folder: Path, **settings: str) -> Iterator[Run]:
    """The platform with its readings in the server, and a publisher that has begun."""
    program(["mosquitto"], "mosquitto mosquitto-clients")
    address = make_buckets(server.address("town"))
    with private_mosquitto(folder) as port:
        chosen = settings_for(folder, port)
        make_town(chosen, load.devices)
        with running(chosen, url_of(address), **settings) as platform:
            platform.wait_until("shouwang_broker_connected", 1, 60)
            run = Run(platform, port, load, chosen.state, address)
            try:
                wait_until(lambda: platform.metric("shouwang_readings_total") > 0, "the publisher's first message", 60)
                yield run
            finally:
                run.end()


def on_time(spans: list[float], load: Load) -> float:
    """The p99 of the ms from violation to alert, which must be no later than ever."""
    assert len(spans) > load.seconds
    p99 = float(np.percentile(spans, 99))
    assert p99 <= load.late, f"alerts came late: {p99:.0f} ms"
    return p99


def dropped(state: Path) -> int:
    """How many readings the quota took from the store."""
    with closing(sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro", uri=True)) as journal:
        return int(journal.execute("SELECT dropped_readings FROM consumer WHERE name = 'store'").fetchone()[0])


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
