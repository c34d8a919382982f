"""A real platform process on a small town of test meters, and a real Mosquitto, for measuring."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import insert

from console.accounts import create_account
from core.clock import SystemClock
from core.database import writing
from devices.device_types import load_device_types
from devices.enrolment import NewDevice, enrol
from devices.tables import gateway, grid, site, village
from ingest.floods import OVERRIDE
from shouwang.settings import Settings
from shouwang.wiring import open_database

DATA = Path(__file__).parent / "data"
GATEWAYS = 10
USERS = 20
PASSWORD = "only-for-measuring"
_UNLIMITED = 1_000_000  # messages a second: what a test publishes through ten gateways is a flood
_SQUARE = '{"type":"Polygon","coordinates":[[[120.4,31.4],[120.5,31.4],[120.5,31.5],[120.4,31.5],[120.4,31.4]]]}'


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_town(settings: Settings, devices: int) -> None:
    """One grid, one site, ten gateways that may flood, so many meters of four values, and twenty dispatchers."""
    engine = open_database(settings)
    types = load_device_types(settings.device_types)
    now = SystemClock().now()
    with writing(engine) as connection:
        connection.execute(insert(village).values(code="V1", name="一村"))
        connection.execute(insert(grid).values(code="G1", village="V1", name="一网格", polygon=_SQUARE))
        connection.execute(insert(site).values(code="S1", kind="site", name="一号", lng=120.45, lat=31.45, grid="G1"))
        free = {"site": "S1", "attributes": {OVERRIDE: _UNLIMITED}}
        connection.execute(insert(gateway), [{"code": f"GW-{n}", **free} for n in range(GATEWAYS)])
        for number in range(USERS):
            create_account(connection, f"user-{number}", "dispatcher", PASSWORD, now=now)
        meters = [
            NewDevice(f"M-{n}", "meter", f"GW-{n % GATEWAYS}", "S1", state="in_service", in_service_at=now)
            for n in range(devices)
        ]
        enrol(connection, types, meters)
    engine.dispose()


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """A Mosquitto that holds everything for who is away; its port."""
    port = free_port()
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "persistence false",
        "max_queued_messages 0",
        "max_queued_bytes 0",
        "max_inflight_messages 4000",
        "set_tcp_nodelay true",
        *(["user root"] if os.geteuid() == 0 else []),
    ]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen(
            ["mosquitto", "-c", str(config)], stdout=log, stderr=log, env={**os.environ, "PATH": path}
        )
        try:
            _wait_for_port(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_port(port: int, seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


@dataclass
class Running:
    """A platform process and its metrics page."""

    process: subprocess.Popen[bytes]
    console: int
    client: httpx.Client

    def metric(self, name: str) -> float:
        """The value of a metric without labels, 0 while there is no page."""
        try:
            page = self.client.get(f"http://127.0.0.1:{self.console}/metrics").text
        except httpx.TransportError:
            return 0.0
        values = [line.split(" ")[1] for line in page.splitlines() if line.startswith(f"{name} ")]
        return float(values[0]) if values else 0.0

    def peak_rss_mb(self) -> int:
        """The most memory the process ever had, MB."""
        return round(_memory_mb(self.process.pid, "VmHWM"))

    def rss_mb(self) -> float:
        """The memory that the process has now, MB."""
        return _memory_mb(self.process.pid, "VmRSS")

    def wait_until(self, name: str, value: float, seconds: float) -> float:
        """Wait until the metric reaches `value`; the monotonic time at which it was seen."""
        until = time.monotonic() + seconds
        while (seen := self.metric(name)) < value:
            if time.monotonic() > until:
                raise TimeoutError(f"{name} is {seen}, not {value}, after {seconds} s")
            time.sleep(0.05)
        return time.monotonic()


def _memory_mb(process: int, what: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


@contextmanager
def running(settings: Settings, store: str = "", **more: str) -> Iterator[Running]:
    """`shouwang run` as a process of its own, with these settings in its environment; `store` is its readings' URL.

    `more` are settings by their names there, without the prefix. Without its canary, which would be counted too.
    """
    environment = {
        **os.environ,
        "SHOUWANG_STATE": str(settings.state),
        "SHOUWANG_BROKER": settings.broker.get_secret_value(),
        "SHOUWANG_CONSOLE__PORT": str(settings.console.port),
        "SHOUWANG_DEVICE_TYPES": f'["{DATA / "meter.yaml"}"]',
        "SHOUWANG_RULES": f'["{DATA / "rules"}"]',
        "SHOUWANG_CANARY_S": "0",
        **({"SHOUWANG_STORE": store} if store else {}),
        **{f"SHOUWANG_{name.upper()}": value for name, value in more.items()},
    }
    with (settings.state / "run.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "shouwang", "run"], stdout=log, stderr=log, env=environment)
        try:
            with httpx.Client(timeout=5, limits=httpx.Limits(max_keepalive_connections=0)) as client:
                yield Running(process, settings.console.port, client)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
