"""What gateways do to a running platform: old readings at once, a clock that is off, the same said twice, a flood."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import update

from core.clock import MILLISECOND, SystemClock
from core.database import open_engine, writing
from devices.enrolment import raise_version
from devices.tables import device
from ingest.words import Quality
from tests.e2e.gateway_voice import Voice, voice
from tests.e2e.town_under_fire import Meter, PlatformProcess, Records, make_town
from tests.servers import Mosquitto, wait_until

pytestmark = pytest.mark.long

_LEL = 60.0
_HALF_MINUTE = 30_000
_TEN_MINUTES = 600_000
_AT_ONCE = 8.0
"""s: the rule's dwell of five, and some."""


@dataclass
class Scene:
    """A platform that runs, its town's gas detectors, and a gateway's voice."""

    state: Path
    platform: PlatformProcess
    records: Records
    voice: Voice
    leaking: list[Meter]
    quiet: list[Meter]

    def leaks(self, meter: Meter) -> list[tuple[int, bool, str]]:
        """(onset in ms, was it paged, state) of a detector's alerts."""
        statement = f"SELECT onset, paged, state FROM alert WHERE rule = 'gas.leak' AND subject_id = '{meter.code}'"
        return [(onset // MILLISECOND, bool(paged), state) for onset, paged, state in self.records.rows(statement)]

    def notices(self, meter: Meter) -> int:
        """How many notices tell of a detector's alerts."""
        return self.records.one(
            "SELECT count(*) FROM notice JOIN alert ON alert.id = notice.alert "
            f"WHERE alert.rule = 'gas.leak' AND alert.subject_id = '{meter.code}'"
        )

    def stop_and_read(self) -> dict[str, list[tuple[int, float, int]]]:
        """End the platform; what its store holds of each detector: (t in ms, value, quality)."""
        assert self.platform.stop() < 10
        numbers = dict(self.records.rows("SELECT number, device FROM series WHERE metric = 'gas_lel'"))
        with duckdb.connect(str(self.state / "readings.duckdb"), read_only=True) as store:
            rows = store.execute('SELECT series, "at", value, quality FROM reading ORDER BY series, "at"').fetchall()
        found: dict[str, list[tuple[int, float, int]]] = {}
        for series, at, value, quality in rows:
            found.setdefault(numbers[series], []).append((at // MILLISECOND, value, quality))
        return found


@contextmanager
def scene_on(broker: Mosquitto, state: Path, **settings: Any) -> Iterator[Scene]:
    """A platform on the example town's gas detectors, and a connected gateway."""
    leaking, quiet = make_town(state)
    platform = PlatformProcess(state, broker.port, canary_s=0, **settings)
    records = Records(f"sqlite:///{state / 'shouwang.db'}")
    platform.listen()
    try:
        with voice(broker.port) as gateway:
            yield Scene(state, platform, records, gateway, leaking, quiet)
    finally:
        records.close()
        platform.end()


def now_ms() -> int:
    return SystemClock().now() // MILLISECOND


def test_an_hour_delivered_at_once_is_stored_and_pages_only_for_what_still_burns(mosquitto, tmp_path):
    with scene_on(mosquitto(), tmp_path / "state") as scene:
        over, burning, calm = scene.leaking[:3]
        now = now_ms()
        times = [now - 3_600_000 + n * _HALF_MINUTE for n in range(121)]
        sent = {
            over: [(t, _LEL if 40 <= n < 60 else 1.0) for n, t in enumerate(times)],
            burning: [(t, _LEL if n >= 90 else 1.0) for n, t in enumerate(times)],
            calm: [(t, 1.0 + n % 5 / 10) for n, t in enumerate(times)],
        }
        for start in range(0, 121, 40):
            for meter, points in sent.items():
                scene.voice.levels(meter, points[start : start + 40])
        wait_until(lambda: scene.notices(burning) > 0, "the notice of what still burns", 10)
        scene.platform.wait_for("shouwang_stored_total", 3 * 121)
        assert scene.leaks(burning) == [(times[90], True, "open")]
        assert [(onset, paged) for onset, paged, _ in scene.leaks(over)] in ([], [(times[40], False)])
        assert scene.notices(over) == 0
        assert not scene.leaks(calm)
        assert scene.records.one("SELECT count(*) FROM ticket WHERE hazard = 'gas'") == 1
        stored = scene.stop_and_read()
    for meter, points in sent.items():
        assert [(t, value) for t, value, _ in stored[meter.code]] == points


def test_a_leak_behind_a_clock_ten_minutes_off_pages_at_once_and_stays_one_reading(mosquitto, tmp_path):
    with scene_on(mosquitto(), tmp_path / "state") as scene:
        meter = scene.leaking[0]
        t = now_ms() - _TEN_MINUTES
        points = [(t, 1.0), (t + 1_000, _LEL), (t + 2_000, _LEL)]
        for point in points:
            scene.voice.levels(meter, [point])
        began = time.monotonic()
        wait_until(lambda: scene.notices(meter) > 0, "the notice", 10)
        assert time.monotonic() - began < _AT_ONCE
        for point in points:
            scene.voice.levels(meter, [point])
        scene.platform.wait_for("shouwang_readings_total", 6)
        scene.platform.wait_for("shouwang_duplicates_total", 3)
        assert scene.leaks(meter) == [(t + 1_000, True, "open")]
        assert scene.records.one("SELECT count(*) FROM alert WHERE rule = 'gas.leak'") == 1
        stored = scene.stop_and_read()
    assert [(at, value) for at, value, _ in stored[meter.code]] == points


@pytest.mark.soak
@pytest.mark.timeout(500)
def test_a_clock_ten_minutes_off_is_estimated_flagged_and_told(mosquitto, tmp_path, record_property):
    with scene_on(mosquitto(), tmp_path / "state") as scene:
        meter = scene.leaking[0]
        sent: list[tuple[int, float]] = []

        def say(level: float) -> None:
            last = sent[-1][0] if sent else 0  # two in one millisecond would be one reading
            sent.append((max(now_ms() - _TEN_MINUTES, last + 1), level))
            scene.voice.levels(meter, sent[-1:])

        told = f"SELECT count(*) FROM alert WHERE rule = 'gateway.clock' AND subject_id = '{meter.gateway}'"
        began = time.monotonic()
        while not scene.records.one(told):
            assert time.monotonic() - began < 360, "the clock was not estimated"
            say(1.0)
            time.sleep(2)
        record_property("counts", f"estimated after {time.monotonic() - began:.0f} s")
        say(_LEL)
        leaked = time.monotonic()
        say(_LEL)
        wait_until(lambda: scene.notices(meter) > 0, "the notice", 10)
        assert time.monotonic() - leaked < _AT_ONCE
        assert scene.leaks(meter) == [(sent[-2][0], True, "open")]
        assert scene.records.one("SELECT age FROM alert WHERE rule = 'gas.leak'") == 0, "it is not late"
        scene.voice.levels(meter, sent[-1:])
        scene.platform.wait_for("shouwang_duplicates_total", 1)
        stored = scene.stop_and_read()[meter.code]
    assert [(t, value) for t, value, _ in stored] == sent
    assert all(quality & Quality.CLOCK_OFF and not quality & Quality.AGED for _, _, quality in stored[-2:])


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_restart_reports_no_silence_but_what_is_silent(mosquitto, tmp_path, record_property):
    with scene_on(mosquitto(), tmp_path / "state") as scene:
        meters = [*scene.quiet, *scene.leaking]
        shared = Counter(meter.gateway for meter in meters)
        dead = next(meter for meter in meters if shared[meter.gateway] > 1)
        speaking = [meter for meter in meters if meter is not dead]
        hasten(scene)
        speak(scene, [*speaking, dead], 5)
        scene.platform.kill()
        down = time.monotonic()
        while time.monotonic() - down < 30:
            speak(scene, speaking, 5)
        scene.platform.start()
        silent = "SELECT subject_id FROM alert WHERE rule IN ('device.silence', 'gateway.offline')"
        back = time.monotonic()
        while time.monotonic() - back < 45:
            speak(scene, speaking, 1)
        assert set(scene.records.rows(silent)) == {(dead.code,)}, "silent are others than the one that is dead"
        record_property("counts", f"{len(speaking)} devices of 2 s heard on, 30 s of downtime, 1 silent")


def hasten(scene: Scene) -> None:
    """Make all detectors ones that report every two seconds."""
    engine = open_engine(f"sqlite:///{scene.state / 'shouwang.db'}")
    with writing(engine) as connection:
        connection.execute(update(device).values(attributes={"interval_s": 2}))
        raise_version(connection)
    engine.dispose()
    scene.platform.kill()  # it reads the registry at its start
    scene.platform.start()


def speak(scene: Scene, meters: list[Meter], seconds: float) -> None:
    """Let these detectors report every second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for meter in meters:
            scene.voice.levels(meter, [(now_ms(), 1.0)])
        time.sleep(1)
