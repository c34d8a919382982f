"""A disk that fills up under the real process: nothing is acknowledged, and it goes on by itself once there is room."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from core.clock import MILLISECOND
from tests.e2e.town_under_fire import PlatformProcess, Publisher, Records, make_town, stored_readings
from tests.servers import wait_until

pytestmark = pytest.mark.long

GIGABYTE = 2**30


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder on a disk; gigabytes are too many for memory, where `tmp_path` may stand."""
    with TemporaryDirectory(prefix="sw-disk-") as folder:
        yield Path(folder)


@pytest.fixture
def filler(disk: Path):
    """Takes this many bytes of the disk, or gives them back."""
    file = disk / "filler"

    def fill(size: int) -> None:
        if not size:
            file.unlink()
            return
        with file.open("wb") as opened:
            os.posix_fallocate(opened.fileno(), 0, size)

    yield fill
    file.unlink(missing_ok=True)


def test_a_full_disk_stops_the_acknowledgements_and_nothing_is_lost(
    mosquitto, disk: Path, filler: Callable[[int], None], record_property
) -> None:
    broker, state = mosquitto(), disk / "state"
    margin = min(2 * GIGABYTE, shutil.disk_usage(disk).free // 4)
    publisher = Publisher(broker.port, *make_town(state))
    reserve = (shutil.disk_usage(state).free - margin) / GIGABYTE
    platform = PlatformProcess(state, broker.port, journal__reserve_gb=reserve)
    platform.listen()
    publisher.start()
    platform.wait_for("shouwang_readings_total", 200)
    filler(margin + margin // 2)
    wait_until(lambda: "the journal takes no readings" in platform.log(), "the journal's refusal", 20)
    before = platform.metric("shouwang_readings_total")
    time.sleep(3)
    assert platform.metric("shouwang_readings_total") == before, "taken although the disk is full"
    full = len(publisher.taken)
    filler(0)
    wait_until(lambda: len(publisher.taken) > full + 200, "readings after there was room")
    publisher.stop()
    wait_until(lambda: platform.metric("shouwang_stored_total") >= len(publisher.taken), "every reading", 60)
    assert platform.stop() < 10
    records = Records(f"sqlite:///{state / 'shouwang.db'}")
    assert stored_readings(state, records) == publisher.taken
    leaks = records.rows("SELECT subject_id, onset FROM alert WHERE rule = 'gas.leak'")
    assert {(code, onset // MILLISECOND) for code, onset in leaks} == publisher.leaks
    assert records.one("SELECT count(*) FROM alert WHERE rule IN ('device.silence', 'gateway.offline')") == 0
    records.close()
    record_property("counts", f"{len(publisher.taken)} readings, {len(leaks)} leaks")
