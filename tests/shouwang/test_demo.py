"""The bounded demonstration as a process of its own, at night: nothing is lost, and every incident reaches people."""

import json
import os
import subprocess
import sys
from datetime import date
from datetime import time as TimeOfDay
from typing import Any

import pytest

from core.clock import local
from shouwang.demo import scripted_clock

pytestmark = pytest.mark.long

SECONDS = 15  # incidents begin after 5 s, the longest dwell is 5 s
HOPS = ("journal", "store", "alert", "ticket", "notice")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `--json` wrote; the process ended well, in another folder than the repository's, leaving nothing."""
    folder = tmp_path_factory.mktemp("demo")
    options = ["--for", str(SECONDS), "--devices", "300", "--at", "22:30", "--json", "report.json"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "shouwang", "demo", *options]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert [path.name for path in folder.iterdir()] == ["report.json"]
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def test_the_report_has_every_field(told: dict[str, Any]) -> None:
    numbers = {
        "messages_published",
        "readings_published",
        "readings_journalled",
        "readings_duplicate",
        "readings_stored",
        "detections",
        "alerts",
        "readings_lost",
        "duplicate_alerts",
    }
    assert set(told) == numbers | {"rejects", "tickets", "notices", "latency_ms"}
    assert all(isinstance(told[name], int) for name in numbers)
    assert tuple(told["latency_ms"]) == HOPS
    for hop in HOPS:
        assert 0 < told["latency_ms"][hop]["p50"] <= told["latency_ms"][hop]["p99"]


def test_the_sums_hold_and_nothing_is_lost(told: dict[str, Any]) -> None:
    assert told["readings_stored"] == told["readings_journalled"] - told["readings_duplicate"]
    assert told["readings_published"] >= told["readings_stored"] > 150
    assert told["readings_lost"] == told["duplicate_alerts"] == 0
    assert told["rejects"].keys() == {"unknown_device"}, "the stray detector, and nothing else"


def test_the_incidents_become_tickets_with_notices(told: dict[str, Any]) -> None:
    assert sum(told["tickets"].values()) >= 4
    assert told["alerts"] >= sum(told["tickets"].values())
    assert told["detections"] >= told["alerts"]
    assert told["notices"]["accepted"] >= 4
    waiting = {"queued", "expired"}  # for the morning, or replaced by what was told at once when it got worse
    assert told["notices"].keys() <= {"accepted", *waiting}


@pytest.mark.parametrize(
    ("today", "day"),
    [
        (date(2026, 9, 23), date(2026, 9, 23)),
        (date(2026, 9, 20), date(2026, 9, 20)),  # a Sunday that is worked, for the holiday after it
        (date(2026, 10, 4), date(2026, 9, 30)),  # within the National Day holiday
        (date(2026, 9, 27), date(2026, 9, 24)),  # a Sunday after the Mid-Autumn Festival
        (date(2199, 9, 22), date(2199, 9, 20)),  # a Sunday of a year that the calendar doesn't know
    ],
)
def test_the_scripted_day_is_always_a_workday(today: date, day: date) -> None:
    shown = local(scripted_clock(TimeOfDay(22, 30), today).now())
    assert (shown.date(), shown.hour, shown.minute) == (day, 22, 30)
