"""How many QoS 1 messages a second go through the whole platform, beside what mosquitto_sub reads in the same run.

A real Mosquitto holds the same backlog for both, so that no publisher takes part in the race: first mosquitto_sub
drains it, then the platform does (journal, readings store and detectors on, one process). Then messages are published
at a steady pace and the way from publication to the alert's row in the database is timed.
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
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr

from benchmarks.platform import DATA, GATEWAYS, Running, free_port, make_town, mosquitto, running
from core.clock import MILLISECOND, SystemClock
from shouwang.settings import ConsoleSettings, Settings

_VALUES = 4


def payload(device: int, t: int, high: bool = False) -> str:
    """One message: four values of one meter at `t` ms, the first beyond its limit when `high`."""
    first = 95.5 if high else 20.25
    values = f'{{"a":{first},"b":101.5,"c":21.75,"d":231.25}}'
    return f'{{"readings":[{{"device":"M-{device}","t":{t},"values":{values}}}]}}'


def publish_backlog(port: int, messages: int, devices: int, folder: Path) -> None:
    """Let mosquitto_pub send the messages, each gateway's by a process of its own."""
    start = SystemClock().now() // MILLISECOND - messages // devices - 1
    senders = []
    for number in range(GATEWAYS):
        lines = folder / f"lines-{number}"
        mine = range(number, messages, GATEWAYS)
        with lines.open("w") as file:
            file.writelines(f"{payload(n % devices, start + n // devices)}\n" for n in mine)
        command = ["mosquitto_pub", "-p", str(port), "-q", "1", "-l", "-t", f"sw/v1/GW-{number}/telemetry"]
        senders.append(subprocess.Popen(command, stdin=lines.open()))
    for sender in senders:
        if sender.wait(300):
            raise RuntimeError("mosquitto_pub failed")


def hold_session(port: int, client_id: str, topic: str) -> None:
    """Make a persistent session that is away, so that the broker holds what comes."""
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topic, 1)
    subscribed.wait(10)
    client.disconnect()
    client.loop_stop()


def drain_with_mosquitto_sub(port: int, messages: int) -> float:
    """Messages a second that mosquitto_sub reads of a held backlog."""
    command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-c", "-i", "baseline", "-C", str(messages)]
    began = time.monotonic()
    subprocess.run([*command, "-t", "sw/v1/+/telemetry"], stdout=subprocess.DEVNULL, check=True, timeout=300)
    return messages / (time.monotonic() - began)


def drain_with_platform(platform: Running, messages: int) -> float:
    """Messages a second that the platform journals, stores and judges of a held backlog."""
    began = platform.wait_until("shouwang_messages_total", 1, 60)
    first = platform.metric("shouwang_messages_total")
    stored = platform.wait_until("shouwang_stored_total", messages * _VALUES, 600)
    return (messages - first) / (stored - began)


def alert_latencies(port: int, database: Path, devices: int, rate: int, seconds: int) -> list[float]:
    """Publish at a steady pace with a violation ten times a second; ms from each to its alert's row."""
    seen: dict[int, int] = {}
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(database, seen, ending))
    watcher.start()
    command = [sys.executable, "-m", "benchmarks.publisher", str(port), str(devices), str(rate), str(seconds)]
    subprocess.run(command, check=True, timeout=seconds + 60)
    time.sleep(2)
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


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run everything once."""
    state = folder / "state"
    with mosquitto(folder) as port:
        settings = Settings(
            state=state,
            broker=SecretStr(f"mqtt://127.0.0.1:{port}"),
            console=ConsoleSettings(port=free_port()),
            device_types=[DATA / "meter.yaml"],
            rules=[DATA / "rules"],
        )
        make_town(settings, arguments.devices)
        hold_session(port, "baseline", "sw/v1/+/telemetry")
        hold_session(port, "shouwang", "sw/v1/+/telemetry")
        publish_backlog(port, arguments.messages, arguments.devices, folder)
        baseline = drain_with_mosquitto_sub(port, arguments.messages)
        with running(settings) as platform:
            speed = drain_with_platform(platform, arguments.messages)
            spans = alert_latencies(port, state / "shouwang.db", arguments.devices, arguments.rate, arguments.seconds)
            peak = platform.peak_rss_mb()
    return {
        "benchmark": "throughput",
        "messages_per_s": round(speed),
        "readings_per_s": round(speed * _VALUES),
        "baseline_messages_per_s": round(baseline),
        "ratio": round(speed / baseline, 3),
        "publish_alert_ms": {f"p{p}": round(float(np.percentile(spans, p)), 1) for p in (50, 99)} if spans else None,
        "alerts_timed": len(spans),
        "peak_rss_mb": peak,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000, help="in the backlog")
    parser.add_argument("--devices", type=int, default=2_000)
    parser.add_argument("--rate", type=int, default=5_000, help="messages a second while alerts are timed")
    parser.add_argument("--seconds", type=int, default=20)
    arguments = parser.parse_args(argv)
    for program in ("mosquitto_pub", "mosquitto_sub"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: apt-get install mosquitto mosquitto-clients")
    with tempfile.TemporaryDirectory(prefix="shouwang-bench-") as folder:
        print(json.dumps(measure(arguments, Path(folder))))


if __name__ == "__main__":
    main()
