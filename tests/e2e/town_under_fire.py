"""What tests of faults are made of: a town of gas detectors, a publisher that knows the truth, the real processes."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import create_engine, delete, select, text, update

from alerts.responder_sheets import RESPONDER_SHEETS
from alerts.tables import contact
from core.clock import MILLISECOND, SystemClock
from core.database import writing
from devices.device_types import load_device_types
from devices.enrolment import raise_version
from devices.tables import device, site
from devices.town import import_town
from devices.town_sheets import TOWN_SHEETS
from ingest.influx_address import InfluxAddress
from ingest.influx_wire import InfluxWire
from shouwang.settings import Settings
from shouwang.wiring import open_database
from tests.servers import free_port, wait_until

ROOT = Path(__file__).parents[2]
LEAKING, QUIET = 12, 20
_PACE = 0.1  # s between two rounds of readings
_LEAK_ROUNDS, _CALM_ROUNDS = 90, 60


@dataclass(frozen=True)
class Meter:
    """A gas detector and the gateway it speaks through."""

    code: str
    gateway: str


def make_town(state: Path, database: str = "") -> tuple[list[Meter], list[Meter]]:
    """The example town with only some gas detectors in service: one in each of twelve grids will leak, others won't.

    Teams and stations are told by their robots alone.
    """
    engine = open_database(Settings(state=state, database=database))
    now = SystemClock().now()
    import_town(engine, ROOT / "examples" / "wangting", (*TOWN_SHEETS, *RESPONDER_SHEETS), load_device_types(), now)
    with writing(engine) as connection:
        chosen = select(device.c.code, device.c.gateway, site.c.grid).join(site, site.c.code == device.c.site)
        rows = connection.execute(chosen.where(device.c.type == "gas").order_by(device.c.code)).all()
        grids: dict[str, Meter] = {}
        rest = []
        for row in rows:
            meter = Meter(row.code, row.gateway)
            if row.grid in grids or len(grids) == LEAKING:
                rest.append((row.grid, meter))
            else:
                grids[row.grid] = meter
        quiet = [meter for grid, meter in rest if grid not in grids][:QUIET]
        served = [meter.code for meter in (*grids.values(), *quiet)]
        connection.execute(update(device).where(device.c.code.not_in(served)).values(state="commissioning"))
        connection.execute(delete(contact).where(contact.c.channel != "robot"))
        raise_version(connection)
    engine.dispose()
    return list(grids.values()), quiet


class Records:
    """The database as it stands, read while the platform lives and dies."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def one(self, statement: str) -> int:
        return int(self.rows(statement)[0][0])

    def close(self) -> None:
        self._engine.dispose()

    def settled(self, leaks: int) -> bool:
        """Every leak has its alert, every alert is over, and every notice of a gas ticket has come to its end."""
        if self.one("SELECT count(*) FROM alert WHERE rule = 'gas.leak' AND state = 'closed'") < leaks:
            return False
        return not self.one(
            "SELECT count(*) FROM notice JOIN ticket ON ticket.id = notice.ticket WHERE ticket.hazard = 'gas' AND "
            "(notice.state IN ('queued', 'sending') OR notice.state = 'uncertain' AND notice.claimed_by IS NOT NULL)"
        )


def stored_readings(state: Path, records: Records) -> dict[tuple[str, int], float]:
    """What a store that is closed holds of the gas detectors: (device, t in ms) → value; each must stand once."""
    numbers = dict(records.rows("SELECT number, device FROM series WHERE metric = 'gas_lel'"))
    with duckdb.connect(str(state / "readings.duckdb"), read_only=True) as store:
        rows = store.execute('SELECT series, "at", value FROM reading').fetchall()
    stored = [((numbers[series], at // MILLISECOND), value) for series, at, value in rows if series in numbers]
    assert len(dict(stored)) == len(stored), "a reading stands twice"
    return dict(stored)


def url_of(address: InfluxAddress) -> str:
    """The address as the settings want it."""
    scheme, _, host = address.base.partition("://")
    return f"influx+{scheme}://{address.token}@{host}/{address.org}/{address.bucket}"


def readings_in(address: InfluxAddress) -> dict[tuple[str, int], float]:
    """What an InfluxDB holds of the gas detectors: (device, t in ms) → value; there a point stands once by itself."""
    wire = InfluxWire(address)
    try:
        found = list(wire.query(address.bucket, ["SELECT gas_lel FROM gas GROUP BY device"]))
    finally:
        wire.close()
    return {(answer.tags["device"], at // MILLISECOND): value for _, answer in found for at, value in answer.values}


@dataclass
class Publisher:
    """Publishes every detector's level ten times a second, QoS 1, and remembers what the broker took.

    A leak lasts nine seconds at 60 %LEL and is followed by six seconds of calm; the leaks begin one after the other.
    `taken` are the (device, t in ms) → value that were acknowledged, `answered` when that was (ms; what was measured
    while the broker was away it answers for later), `leaks` the (device, t of the first high reading) of those whose
    readings all were.
    """

    port: int
    leaking: list[Meter]
    quiet: list[Meter]
    taken: dict[tuple[str, int], float] = field(default_factory=dict)
    answered: dict[tuple[str, int], int] = field(default_factory=dict)
    leaks: set[tuple[str, int]] = field(default_factory=set)

    def start(self) -> None:
        """Connect and publish in a thread of its own."""
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher", clean_session=False)
        self._client.max_inflight_messages_set(1000)
        self._client.on_publish = self._on_publish
        self._sent: dict[int, tuple[str, int, float]] = {}
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def publishing(self) -> bool:
        """Whether it was started and not stopped."""
        return hasattr(self, "_thread") and self._thread.is_alive()

    def stop(self) -> None:
        """Finish the leaks that are under way, then wait until the broker has answered for everything."""
        self._ending.set()
        self._thread.join()
        until = time.monotonic() + 20
        while self._sent and time.monotonic() < until:
            time.sleep(0.05)
        assert not self._sent, "the broker did not acknowledge everything"
        self._client.disconnect()
        self._client.loop_stop()

    def _on_publish(self, _client: object, _data: object, mid: int, *_rest: object) -> None:
        code, t, value = self._sent.pop(mid)
        self.taken[code, t] = value
        self.answered[code, t] = SystemClock().now() // MILLISECOND

    def _run(self) -> None:
        cycle = _LEAK_ROUNDS + _CALM_ROUNDS
        clock, turn = SystemClock(), 0
        leaking_since: dict[str, int] = {}
        while not self._ending.is_set() or leaking_since:
            began = time.monotonic()
            for place, meter in enumerate(self.leaking):
                phase = (turn + place * cycle // len(self.leaking)) % cycle
                t = clock.now() // MILLISECOND
                starts = phase == 0 and turn and not self._ending.is_set()
                if starts:
                    leaking_since[meter.code] = t
                if phase >= _LEAK_ROUNDS and meter.code in leaking_since:
                    self.leaks.add((meter.code, leaking_since.pop(meter.code)))
                self._publish(meter, t, 60.0 if meter.code in leaking_since else 1.0)
            for meter in self.quiet:
                self._publish(meter, clock.now() // MILLISECOND, 1.0 + turn % 7 / 10)
            turn += 1
            time.sleep(max(0.0, began + _PACE - time.monotonic()))

    def _publish(self, meter: Meter, t: int, value: float) -> None:
        body = json.dumps({"t": t, "values": {"gas_lel": value}})
        topic = f"sw/v1/{meter.gateway}/{meter.code}/telemetry"
        with self._client._out_message_mutex:  # on_publish must not come before the message is noted
            sent = self._client.publish(topic, body, qos=1)
            self._sent[sent.mid] = (meter.code, t, value)


class PlatformProcess:
    """`shouwang run` with a robot, on a state folder that outlives its deaths."""

    def __init__(
        self, state: Path, broker_port: int, robot_port: int = 0, database: str = "", **settings: str | float
    ) -> None:
        """`settings` by their names in the environment, without the prefix: `journal__reserve_gb=2`."""
        robot = {"kind": "wecom_robot", "url": f"http://127.0.0.1:{robot_port}"}
        self.console = free_port()
        self._environment = {
            **os.environ,
            "SHOUWANG_STATE": str(state),
            "SHOUWANG_DATABASE": database,
            "SHOUWANG_BROKER": f"mqtt://127.0.0.1:{broker_port}",
            "SHOUWANG_CONSOLE__PORT": str(self.console),
            "SHOUWANG_CHANNELS": json.dumps({"robot": robot if robot_port else {"kind": "phone"}}),
            "PYTHONWARNINGS": "default",
            **{f"SHOUWANG_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._log = state / "run.log"
        self._client = httpx.Client(timeout=5, limits=httpx.Limits(max_keepalive_connections=0))
        self._process: subprocess.Popen[bytes] | None = None

    def metric(self, name: str) -> int:
        """The value of a metric, over all its labels; 0 while there is no page."""
        try:
            page = self._client.get(f"http://127.0.0.1:{self.console}/metrics").text
        except httpx.TransportError:
            return 0
        lines = (line for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{")))
        return int(sum(float(line.rpartition(" ")[2]) for line in lines))

    def wait_for(self, name: str, value: int, seconds: float = 30) -> None:
        """Wait until a metric has come to `value`."""
        wait_until(lambda: self.metric(name) >= value, f"{name} {value}", seconds)

    def log(self) -> str:
        """What it said so far, over all its lives."""
        return self._log.read_text(errors="replace")

    def listen(self) -> None:
        """Start for the first time, and wait for the session: from then on the broker keeps what is published."""
        self.start()
        wait_until(lambda: "subscribed" in self.log(), "the first subscription", 60)

    def start(self) -> None:
        command = [sys.executable, "-m", "shouwang", "run"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment, cwd=ROOT)

    def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        assert self._process
        assert self._process.poll() is None, "the platform ended by itself"
        self._process.kill()
        self._process.wait()

    def stop(self) -> float:
        """SIGTERM; the seconds it took to drain and end."""
        assert self._process
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(20) == 0
        return time.monotonic() - began

    def end(self) -> None:
        """Make sure that it is gone, however the test ended."""
        self._client.close()
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def live_and_die(self, chance: random.Random) -> None:
        """Run for a random while, often too short to come up at all, and be killed."""
        self.start()
        time.sleep(chance.choice([chance.uniform(0.3, 2.5), chance.uniform(2.5, 5.0)]))
        self.kill()

    def live_and_die_sending(self, chance: random.Random, records: Records, seconds: float = 12) -> None:
        """Run until a request is under way, for so long at most, and be killed within it.

        However slowly a machine starts the platform, some kills then hit what they are about.
        """
        self.start()
        assert self._process
        asking = f"SELECT count(*) FROM notice WHERE state = 'sending' AND claimed_by LIKE '%:{self._process.pid}:%'"
        with suppress(TimeoutError):
            wait_until(lambda: records.one(asking) > 0, "a request", seconds)
        time.sleep(chance.uniform(0, 0.1))
        self.kill()
