"""The broker killed and started again over its persistence file: what it answered for before its last save is kept."""

import random
import sqlite3
import time
from pathlib import Path

import pytest

from core.clock import MILLISECOND, SystemClock
from tests.e2e.town_under_fire import PlatformProcess, Publisher, Records, make_town, stored_readings
from tests.servers import Mosquitto, wait_until

pytestmark = pytest.mark.long

_UNSAVED = 2_500
"""ms before its death of which the broker may have saved nothing: its autosave interval of a second, and slack."""
_DYING = 500
"""ms after it within which an answer that it gave while it lived is read."""


def test_what_the_broker_saved_before_it_was_killed_is_stored(mosquitto, tmp_path, record_property):
    broker_dies(2, mosquitto(), tmp_path / "state", record_property)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_the_broker_killed_ten_times(mosquitto, tmp_path, record_property):
    broker_dies(10, mosquitto(), tmp_path / "state", record_property)


def broker_dies(kills: int, broker: Mosquitto, state: Path, record_property) -> None:
    """Publish, kill the broker, start it again, and in the end account for every reading that it acknowledged."""
    platform = PlatformProcess(state, broker.port)
    leaking, quiet = make_town(state)
    publisher = Publisher(broker.port, [], [*leaking, *quiet])
    platform.listen()
    publisher.start()
    deaths = [die_and_return(broker) for _ in range(kills)]
    publisher.stop()
    wait_until(lambda: platform.metric("shouwang_broker_connected") == 1, "the platform's new session", 60)
    wait_until_quiet(state)
    assert platform.stop() < 10
    records = Records(f"sqlite:///{state / 'shouwang.db'}")
    stored = stored_readings(state, records)
    assert stored.items() <= publisher.taken.items()
    lost = publisher.taken.keys() - stored.keys()
    for reading in lost:
        answered = publisher.answered[reading]
        assert any(died - _UNSAVED <= answered <= died + _DYING for died in deaths), (
            f"{reading}: lost by nobody's death"
        )
    silent = "SELECT count(*) FROM alert WHERE rule IN ('device.silence', 'gateway.offline')"
    assert records.one(silent) == 0, "the broker's death is no silence of the devices"
    records.close()
    told = f"{kills} deaths of the broker, {len(publisher.taken)} readings, {len(lost)} lost with what it had not saved"
    record_property("counts", told)


def die_and_return(broker: Mosquitto) -> int:
    """Kill the broker after a while and start it again; when it died, ms UTC."""
    time.sleep(random.uniform(1, 3))
    died = SystemClock().now() // MILLISECOND
    broker.kill()
    time.sleep(random.uniform(0.1, 1))
    broker.start()
    return died


def wait_until_quiet(state: Path, seconds: float = 2) -> None:
    """Until nothing but ticks and the canary was journalled for a while, and the store has read it all."""
    statement = (
        "SELECT (SELECT sum(weight) FROM record WHERE kind = 1 AND weight > 1), "
        "(SELECT max(n) FROM record WHERE kind = 1) <= (SELECT n FROM consumer WHERE name = 'store')"
    )

    def seen() -> tuple[int, int]:
        with sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro", uri=True) as journal:
            return journal.execute(statement).fetchone()

    before, since = seen(), time.monotonic()
    until = since + 90
    while not (before[1] and time.monotonic() - since > seconds):
        assert time.monotonic() < until, "the journal does not come to rest"
        time.sleep(0.2)
        now = seen()
        if now[0] != before[0]:
            since = time.monotonic()
        before = now
