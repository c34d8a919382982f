"""Does the platform's memory stay flat: its resident size every ten seconds of a steady load, as one JSON line.

Flat is a growth below 5 % between the third quarter's mean and the last one's: what caches and compiled kernels take is
taken in the first half.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.platform import Running, make_town, mosquitto, running
from benchmarks.readings_store import STORES, missing_for, readings_store
from benchmarks.throughput import refuse_without_broker, settings_for, steady

_EVERY = 10.0  # s
_FLAT = 0.05


def growth_of(sizes: Sequence[float]) -> float:
    """By which share the last quarter's mean is above the third one's.

    >>> growth_of([50, 90, 100, 100, 100, 100, 104, 106])
    0.05
    """
    half = np.array(sizes[len(sizes) // 2 :])
    middle = len(half) // 2
    return round(float(half[middle:].mean() / half[:middle].mean() - 1), 3)


def sizes_of(platform: Running, seconds: float, every: float = _EVERY) -> list[float]:
    """The process's resident MB, again and again."""
    sizes, began = [], time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(every)
        sizes.append(round(platform.rss_mb(), 1))
    return sizes


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run once."""
    seconds = int(arguments.minutes * 60)
    with mosquitto(folder) as port, readings_store(arguments.store) as store:
        settings = settings_for(folder, port)
        make_town(settings, arguments.devices)
        with running(settings, store) as platform:
            platform.wait_until("shouwang_broker_connected", 1, 60)
            publishing = steady(port, arguments.devices, arguments.rate, seconds)
            sizes = sizes_of(platform, seconds, min(_EVERY, seconds / 8))
            taken = int(publishing.communicate(timeout=120)[0])
    growth = growth_of(sizes)
    return {
        "benchmark": "memory",
        "store": arguments.store,
        "minutes": arguments.minutes,
        "messages": taken,
        "rss_mb": sizes,
        "growth_second_half": growth,
        "flat": growth < _FLAT,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print one JSON line; where the store is not installed, say so and end well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=STORES, default=STORES[0], help="where readings are kept")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--devices", type=int, default=2_000)
    parser.add_argument("--rate", type=int, default=5_000, help="messages a second")
    arguments = parser.parse_args(argv)
    refuse_without_broker()
    if packages := missing_for(arguments.store):
        print(f"not measured with {arguments.store}: apt-get install {packages}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="shouwang-bench-") as folder:
        print(json.dumps(measure(arguments, Path(folder))))


if __name__ == "__main__":
    main()
