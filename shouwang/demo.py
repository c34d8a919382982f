"""The demonstration: the whole platform in one process, a synthetic town, simulated gateways and scripted incidents."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as TimeOfDay
from importlib.resources import as_file
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from alerts.working_time import WorkCalendar
from core.clock import SECOND, SHANGHAI, ShiftedClock, SystemClock, local, moment_of
from core.lifecycle import Group, Lifecycle
from devices.device_types import load_device_types
from devices.registry import load_registry
from shouwang.channel_settings import ChannelSettings
from shouwang.demo_report import drain, report
from shouwang.demo_town import DemoError, add_stray, load_town, simulated_gateways, town_folder
from shouwang.incidents import write_script
from shouwang.settings import ConsoleSettings, Settings
from shouwang.simulation import Fleet, Published
from shouwang.wiring import Platform, build

_CONNECT = 60.0  # s
_LEAD = 5 * SECOND
_LONG_SPAN = 150 * SECOND


@dataclass(frozen=True)
class DemoOptions:
    """`seconds` None runs until stopped; `rate` 0 is the devices' own pace; `devices` 0 is the whole town."""

    state: Path
    at: TimeOfDay = TimeOfDay(10, 0)
    seconds: float | None = None
    rate: float = 0
    devices: int = 0
    port: int = 8000


@dataclass
class Demo:
    """A demonstration that stands ready; `password` is the dispatcher's, for this run."""

    platform: Platform
    fleet: Fleet
    published: Published
    password: str
    connected: threading.Event

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return self.platform.settings.console.address


class _Countdown:
    """Sets `done` when `tick` was called `count` times."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.done = threading.Event()

    def tick(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.done.set()


def scripted_clock(at: TimeOfDay, today: date | None = None) -> ShiftedClock:
    """A clock that starts at this local time of the latest workday: the day of the run decides nothing."""
    day, calendar = today or local(SystemClock().now()).date(), WorkCalendar()
    while not calendar.day(day).worked:
        day -= timedelta(days=1)
    return ShiftedClock.starting_at(moment_of(datetime.combine(day, at, SHANGHAI)))


def prepare(options: DemoOptions) -> Demo:
    """Load the town and put everything together. Raises DemoError when the state folder is not empty."""
    if options.state.exists() and any(options.state.iterdir()):
        raise DemoError(f"{options.state} is not empty: a demonstration starts from an empty folder")
    clock = scripted_clock(options.at)
    broker_port = free_port()
    passwords: dict[str, str] = {}
    with as_file(town_folder()) as town:
        settings = demo_settings(options, town, broker_port)
        types = load_device_types(settings.device_types)
        password = load_town(settings, town, types, options.devices, clock)
        platform = build(settings, clock, gateways=lambda user, word: passwords.get(user) == word)
    registry = load_registry(platform.engine, types)
    span = int(options.seconds * 0.7 * SECOND) if options.seconds else _LONG_SPAN
    script = write_script(registry, platform.engine, clock.now() + _LEAD, span)
    gateways = simulated_gateways(registry, script, options.rate)
    add_stray(gateways, types)
    passwords.update({gateway.code: gateway.password for gateway in gateways})
    published, connected = Published(), _Countdown(len(gateways))
    fleet = Fleet("127.0.0.1", broker_port, gateways, script.incidents, clock, published, connected.tick)
    return Demo(platform, fleet, published, password, connected.done)


def demo_settings(options: DemoOptions, town: Path, broker_port: int) -> Settings:
    """One process, embedded adapters, every channel on the phone page: no request leaves the machine."""
    return Settings(
        state=options.state,
        broker=SecretStr(f"embedded://127.0.0.1:{broker_port}"),
        rules=[town / "rules"],
        console=ConsoleSettings(port=free_port(options.port)),
        channels={"phone": ChannelSettings(kind="phone"), "robot": ChannelSettings(kind="phone")},
        demo=True,
    )


def free_port(wanted: int = 0) -> int:
    """This port of the loopback address if it is free, else any that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no port is free on 127.0.0.1")


def run(demo: Demo, options: DemoOptions, ready: Callable[[Demo], None]) -> dict[str, Any] | None:
    """Run for the bounded time and return the report; without one run until stopped, and return None."""
    lifecycle = Lifecycle([Group("platform", demo.platform.lifecycle), demo.fleet], drain=20)
    if options.seconds is None:
        lifecycle.run(ready=lambda: ready(demo))
        return None
    lifecycle.start()
    try:
        if not demo.connected.wait(_CONNECT):
            raise DemoError("the simulated gateways could not all connect")
        ready(demo)
        threading.Event().wait(options.seconds)
        demo.fleet.stop(15)
        if not drain(demo.platform, demo.published):
            raise DemoError("what was published was not all stored and told in 30 s")
        return report(demo.platform, demo.published)
    finally:
        lifecycle.stop()
