"""The integrators' page, done as it is written: its sheets imported, its payloads tried, its lines published."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.clock import MINUTE, SystemClock
from core.journal import RecordKind
from devices.device_types import load_device_types
from devices.town import import_town
from ingest.words import Block, Event, Reject, decode_event, decode_reject
from shouwang.cli_town import SHEETS
from shouwang.wiring import Platform, open_database
from tests.servers import Mosquitto, program, wait_until
from tests.shouwang.small_platform import records, rows, running, small_settings

ROOT = Path(__file__).parents[2]
PAGE, CHINESE = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("integrators.md", "integrators.zh-CN.md")
)
_BLOCKS = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_TOWN = ("villages.csv", "grids.geojson", "enterprises.csv", "sites.csv")
ARRIVED = {
    ("GAS-9001", "gas_lel"): 3.2,
    ("GAS-9001", "battery"): 97,
    ("GAS-9002", "gas_lel"): 4.1,
    ("GAS-9002", "battery"): 96,
    ("CBL-9003", "cable_temp"): 41.5,
    ("CBL-9003", "residual_current"): 12,
    ("MHC-9004", "tilt"): 2.5,
    ("MHC-9004", "cover_open"): 0,
    ("DST-9005", "pm25"): 35.2,
    ("DST-9005", "pm10"): 80,
    ("CBL-9006", "cable_temp"): 21.5,
    ("SMK-9007", "battery"): 88,
    ("GAS-9008", "gas_lel"): 3.25,
    ("GAS-9008", "battery"): 97,
}


def _blocks(page: str, kind: str) -> list[str]:
    return [text for found, text in _BLOCKS.findall(page) if found == kind]


def _published() -> list[str]:
    """The shell lines that publish, in their order."""
    return [block for block in _blocks(PAGE, "sh") if "mosquitto_pub" in block]


def test_both_languages_hold_the_same_sheets_and_lines() -> None:
    assert _BLOCKS.findall(PAGE) == _BLOCKS.findall(CHINESE)


@pytest.fixture
def platform(tmp_path: Path, mosquitto: Callable[[], Mosquitto]) -> Iterator[Platform]:
    """One that takes in readings from a Mosquitto, in the example town with the page's gateways and devices."""
    with _connected(tmp_path, mosquitto()) as running_one:
        yield running_one


@contextmanager
def _connected(folder: Path, broker: Mosquitto) -> Iterator[Platform]:
    settings, clock = small_settings(folder, broker=SecretStr(broker.url)), SystemClock()
    town = folder / "town"
    town.mkdir()
    for name in _TOWN:
        shutil.copy(ROOT / "examples" / "wangting" / name, town)
    for name, content in zip(("gateways.csv", "devices.csv"), _blocks(PAGE, "csv"), strict=True):
        (town / name).write_text(content, encoding="utf-8")
    engine = open_database(settings)
    import_town(engine, town, SHEETS, load_device_types(), clock.now())
    engine.dispose()
    config = folder / "config"
    config.mkdir()
    (config / "mosquitto_pub").write_text(f"-h 127.0.0.1\n-p {broker.port}\n", encoding="utf-8")
    with running(settings, clock, ("ingest",)) as platform:
        yield platform


def test_the_lines_of_the_page_arrive(platform: Platform, tmp_path: Path) -> None:
    program(["mosquitto_pub"], "mosquitto-clients")
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config"), "PASSWORD": "secret"}
    for lines in _published():
        subprocess.run(["sh", "-e", "-c", lines], env=environment, check=True, timeout=30)

    wait_until(lambda: _readings(platform).keys() >= ARRIVED.keys(), "the arrival of every reading", 20)
    found = _readings(platform)
    assert {series: value for series, (value, _) in found.items()} == ARRIVED
    now = SystemClock().now()
    old = {device for (device, _), (_, at) in found.items() if abs(now - at) > 5 * MINUTE}
    assert old == {"DST-9005", "GAS-9008"}, "only the two whose bytes hold a time"
    events = {(event.id, event.type): event.attributes for event in _events(platform)}
    assert events[("SMK-9007", "smoke_alarm")] == {"active": True}
    assert events[("CBL-9006", "status")] == {"online": True}
    assert events[("GW-9008", "status")] == {"online": True}
    assert not _rejects(platform)


def _readings(platform: Platform) -> dict[tuple[str, str], tuple[float, int]]:
    """By device and metric, the value that was journalled and its time, µs."""
    series = {
        number: (device, metric)
        for number, device, metric in rows(platform, "SELECT number, device, metric FROM series")
    }
    blocks = [Block.from_bytes(each.payload) for each in records(platform) if each.kind is RecordKind.BLOCK]
    return {
        series[int(number)]: (round(float(value), 6), int(at))
        for block in blocks
        for number, value, at in zip(block.series, block.value, block.at, strict=True)
        if not series[int(number)][0].startswith("SW-")
    }


def _events(platform: Platform) -> list[Event]:
    return [decode_event(each.payload) for each in records(platform) if each.kind is RecordKind.EVENT]


def _rejects(platform: Platform) -> list[Reject]:
    return [decode_reject(each.payload) for each in records(platform) if each.kind is RecordKind.REJECT]


def test_the_payload_to_try_is_told_as_the_page_says(tmp_path: Path) -> None:
    (line,) = (block for block in _blocks(PAGE, "sh") if "formats try" in block)
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}

    told = subprocess.run(["sh", "-c", line], env=environment, check=True, timeout=60, capture_output=True, text=True)

    assert "GAS-9002" in told.stdout
    assert "refused: wrong_type: GAS-9002 mode must be a number, not text" in told.stdout
