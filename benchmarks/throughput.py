"""How many QoS 1 messages a second go through the whole platform, beside what mosquitto_sub reads in the same run.

The same messages are published as fast as ten mosquitto_pub can, first to mosquitto_sub, then to the platform (journal,
readings store and detectors on, one process), with the broker and the publishers on the same cores. The platform's time
ends when the last reading is stored. Then messages are published at a steady pace while twenty dispatchers use the
console, and the way from publication to the alert's row in the database is timed.

The test's ten gateways send more than any gateway may: their registrations lift the limit (`max_messages_per_s`). The
canary is switched off, so that what is counted is what was published.
"""

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import SecretStr

from benchmarks.platform import DATA, GATEWAYS, USERS, Running, free_port, make_town, mosquitto, running
from benchmarks.readings_store import STORES, missing_for, readings_store
from core.clock import MILLISECOND, SystemClock
from shouwang.settings import ConsoleSettings, Settings

_VALUES = 4


def payload(device: int, t: int, high: bool = False) -> str:
    """One message: four values of one meter at `t` ms, the first beyond its limit when `high`."""
    first = 95.5 if high else 20.25
    values = f'{{"a":{first},"b":101.5,"c":21.75,"d":231.25}}'
    return f'{{"readings":[{{"device":"M-{device}","t":{t},"values":{values}}}]}}'


def write_lines(messages: int, devices: int, folder: Path) -> list[Path]:
    """The messages of each gateway as a file, a line a message; every (meter, time) once."""
    start = SystemClock().now() // MILLISECOND - messages // devices - 1
    files = [folder / f"lines-{number}" for number in range(GATEWAYS)]
    for number, file in enumerate(files):
        mine = range(number, messages, GATEWAYS)
        file.write_text("".join(f"{payload(n % devices, start + n // devices)}\n" for n in mine))
    return files


def publish(port: int, files: list[Path]) -> list[subprocess.Popen[bytes]]:
    """Let mosquitto_pub send the files as fast as it can, each gateway's by a process of its own."""
    command = ["mosquitto_pub", "-p", str(port), "-q", "1", "-l", "-t"]
    return [
        subprocess.Popen([*command, f"sw/v1/GW-{number}/telemetry"], stdin=file.open())
        for number, file in enumerate(files)
    ]


def read_by_mosquitto_sub(port: int, files: list[Path], messages: int) -> float:
    """Messages a second that mosquitto_sub reads while they are published."""
    command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-C", str(messages), "-t", "sw/v1/+/telemetry"]
    reader = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(1)
    began = time.monotonic()
    senders = publish(port, files)
    if reader.wait(600) or any(sender.wait(60) for sender in senders):
        raise RuntimeError("mosquitto_sub or mosquitto_pub failed")
    return messages / (time.monotonic() - began)


def read_by_platform(platform: Running, port: int, files: list[Path], messages: int) -> float:
    """Messages a second that the platform journals, judges and stores while they are published."""
    platform.wait_until("shouwang_broker_connected", 1, 60)
    began = time.monotonic()
    senders = publish(port, files)
    stored = platform.wait_until("shouwang_stored_total", messages * _VALUES, 600)
    if any(sender.wait(60) for sender in senders):
        raise RuntimeError("mosquitto_pub failed")
    return messages / (stored - began)


def steady(port: int, devices: int, rate: int, seconds: int) -> subprocess.Popen[str]:
    """Publish at a steady pace with a violation eight times a second, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.publisher", str(port), str(devices), str(rate), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def users_at(console: int, seconds: int) -> subprocess.Popen[str]:
    """Dispatchers who use the console, in a process of their own; returns when they are signed in."""
    command = [sys.executable, "-m", "benchmarks.users", str(console), str(USERS), str(seconds)]
    users = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if users.stdout is None or not users.stdout.readline():
        raise RuntimeError("the dispatchers can't sign in")
    return users


def alert_latencies(publishing: subprocess.Popen[str], database: Path, seconds: float) -> list[float]:
    """The ms from each violation that is being published to its alert's row."""
    seen: dict[int, int] = {}
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(database, seen, ending))
    watcher.start()
    try:
        if publishing.wait(seconds + 330):  # it gives up by itself
            raise RuntimeError("the publisher failed")
        time.sleep(2)
    finally:
        ending.set()
        watcher.join()
    return [(when - at) / MILLISECOND for at, when in seen.items()]


def _watch(database: Path, seen: dict[int, int], ending: threading.Event) -> None:
    """Note when each alert's row becomes visible, by the time of the reading that opened it."""
    connection, clock, last = sqlite3.connect(database, isolation_level=None), SystemClock(), 0
    connection.execute("PRAGMA query_only = 1")
    while not ending.wait(0.004):
        for number, at in connection.execute("SELECT id, at FROM alert WHERE id > ? AND rule = 'meter.a'", (last,)):
            seen[at] = clock.now()
            last = number
    connection.close()


def settings_for(folder: Path, port: int) -> Settings:
    """A platform on this broker, with the test's meters and their rules."""
    return Settings(
        state=folder / "state",
        broker=SecretStr(f"mqtt://127.0.0.1:{port}"),
        console=ConsoleSettings(port=free_port()),
        device_types=[DATA / "meter.yaml"],
        rules=[DATA / "rules"],
    )


def percentiles(spans: Sequence[float]) -> dict[str, float] | None:
    """p50 and p99, None of nothing."""
    return {f"p{p}": round(float(np.percentile(spans, p)), 1) for p in (50, 99)} if spans else None


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run everything once."""
    devices, seconds = arguments.devices, arguments.seconds
    with mosquitto(folder) as port, readings_store(arguments.store) as store:
        settings = settings_for(folder, port)
        make_town(settings, devices)
        files = write_lines(arguments.messages, devices, folder)
        baseline = read_by_mosquitto_sub(port, files, arguments.messages)
        with running(settings, store) as platform:
            speed = read_by_platform(platform, port, files, arguments.messages)
            users = users_at(platform.console, seconds + 4)
            time.sleep(2)
            publishing = steady(port, devices, arguments.rate, seconds)
            spans = alert_latencies(publishing, settings.state / "shouwang.db", seconds)
            used = json.loads(users.communicate(timeout=60)[0])
            peak = platform.peak_rss_mb()
    return {
        "benchmark": "throughput",
        "store": arguments.store,
        "messages_per_s": round(speed),
        "readings_per_s": round(speed * _VALUES),
        "baseline_messages_per_s": round(baseline),
        "ratio": round(speed / baseline, 3),
        "publish_alert_ms": percentiles(spans),
        "alerts_timed": len(spans),
        "console": used,
        "peak_rss_mb": peak,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print one JSON line; where the store is not installed, say so and end well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=STORES, default=STORES[0], help="where readings are kept")
    parser.add_argument("--messages", type=int, default=200_000, help="published as fast as it goes")
    parser.add_argument("--devices", type=int, default=2_000)
    parser.add_argument("--rate", type=int, default=5_000, help="messages a second while alerts are timed")
    parser.add_argument("--seconds", type=int, default=20)
    arguments = parser.parse_args(argv)
    refuse_without_broker()
    if packages := missing_for(arguments.store):
        print(f"not measured with {arguments.store}: apt-get install {packages}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="shouwang-bench-") as folder:
        print(json.dumps(measure(arguments, Path(folder))))


def refuse_without_broker() -> None:
    """End when Mosquitto's programs are not installed."""
    for program in ("mosquitto_pub", "mosquitto_sub"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: apt-get install mosquitto mosquitto-clients")


if __name__ == "__main__":
    main()
