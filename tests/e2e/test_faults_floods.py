"""A gateway that floods: shed, counted, told, and in the end shut out; nobody else's alert waits for it."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select

from core.clock import MILLISECOND, SystemClock
from core.database import open_engine, writing
from devices.device_types import load_device_types
from devices.enrolment import NewDevice, enrol
from devices.tables import gateway, site
from tests.e2e.gateway_voice import voice
from tests.e2e.town_under_fire import PlatformProcess, Publisher, Records, make_town
from tests.servers import wait_until

pytestmark = pytest.mark.long

FLOODER = "FLOOD-1"
_BURST = 500
_LATE_MS = 300


def make_flooded_town(state: Path):
    """The example town and one more gateway, with a noise meter that nobody's life depends on; its gas detectors."""
    meters = make_town(state)
    engine, types, now = open_engine(f"sqlite:///{state / 'shouwang.db'}"), load_device_types(), SystemClock().now()
    with writing(engine) as connection:
        place = connection.execute(select(site.c.code).limit(1)).scalar_one()
        connection.execute(insert(gateway).values(code=FLOODER, site=place))
        enrol(connection, types, [NewDevice("LOUD-1", "noise", FLOODER, place, state="in_service", in_service_at=now)])
    engine.dispose()
    return meters


class Flood(threading.Thread):
    """Sends so many messages a second until it is told to end; `sent` counts them."""

    def __init__(self, port: int, rate: int) -> None:
        super().__init__(name="flood")
        self._port, self._rate = port, rate
        self._ending = threading.Event()
        self.sent = 0

    def run(self) -> None:
        with voice(self._port, "flood") as loud:
            while not self._ending.is_set():
                for _ in range(self._rate // 10):
                    t = SystemClock().now() // MILLISECOND
                    loud.say(f"sw/v1/{FLOODER}/LOUD-1/telemetry", json.dumps({"t": t, "values": {"laeq": 50.5}}), False)
                    self.sent += 1
                self._ending.wait(0.1)
            loud.say(f"sw/v1/{FLOODER}/status", "online")

    def end(self) -> None:
        self._ending.set()
        self.join()


def alerts_on(records: Records, rule: str) -> int:
    return records.one(f"SELECT count(*) FROM alert WHERE rule = '{rule}' AND subject_id = '{FLOODER}'")


def test_a_flood_is_shed_counted_and_told_while_others_are_heard(mosquitto, tmp_path):
    broker, state = mosquitto(), tmp_path / "state"
    leaking, _ = make_flooded_town(state)
    platform = PlatformProcess(state, broker.port, canary_s=0, ingest__gateway_burst=_BURST)
    platform.listen()
    records = Records(f"sqlite:///{state / 'shouwang.db'}")
    flood = Flood(broker.port, 1_000)
    flood.start()
    try:
        wait_until(lambda: alerts_on(records, "gateway.flooding") == 1, "the alert on the flood", 30)
        with voice(broker.port) as other:
            t = SystemClock().now() // MILLISECOND
            other.levels(leaking[0], [(t, 60.0)])
            leak = f"SELECT opened_at, at FROM alert WHERE subject_id = '{leaking[0].code}' AND rule = 'gas.leak'"
            wait_until(lambda: len(records.rows(leak)) == 1, "the leak's alert", 10)
    finally:
        flood.end()
    platform.wait_for("shouwang_messages_total", flood.sent + 2)
    platform.wait_for("shouwang_shed_messages_total", 1)
    wait_until(lambda: answered_for(platform) - flood.sent in (1, 2), "every message heard or counted as shed", 20)
    platform.end()
    records.close()


def answered_for(platform: PlatformProcess) -> int:
    """Messages that became a reading, one other's leak among them, or were shed, perhaps the flooder's status too."""
    return platform.metric("shouwang_readings_total") + platform.metric("shouwang_shed_messages_total")


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_gateway_that_goes_on_flooding_is_shut_out_and_no_alert_waits_for_it(mosquitto, tmp_path, record_property):
    broker, state = mosquitto(), tmp_path / "state"
    meters = make_flooded_town(state)
    platform = PlatformProcess(state, broker.port)
    platform.listen()
    records = Records(f"sqlite:///{state / 'shouwang.db'}")
    publisher, flood = Publisher(broker.port, *meters), Flood(broker.port, 2_000)
    publisher.start()
    flood.start()
    try:
        shut = f"SELECT disabled_at FROM gateway WHERE code = '{FLOODER}'"
        wait_until(lambda: records.one(shut) > 0, "that the gateway is shut out", 120)
        time.sleep(5)
    finally:
        flood.end()
        publisher.stop()
    wait_until(lambda: records.settled(len(publisher.leaks)), "the end of every leak", 60)
    spans = [span / MILLISECOND for (span,) in records.rows("SELECT opened_at - at FROM alert WHERE rule = 'gas.leak'")]
    assert alerts_on(records, "gateway.flooding") == alerts_on(records, "gateway.shut_out") == 1
    leaks = {
        (code, t // MILLISECOND)
        for code, t in records.rows("SELECT subject_id, onset FROM alert WHERE rule = 'gas.leak'")
    }
    assert leaks == publisher.leaks
    p99 = float(np.percentile(spans, 99))
    assert p99 <= _LATE_MS, f"alerts came late: {p99:.0f} ms"
    platform.end()
    records.close()
    record_property("counts", f"{flood.sent} messages of the flood, {len(leaks)} leaks of others p99 {p99:.0f} ms")
