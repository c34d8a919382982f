"""A month of a town through two sets of rules, from a DuckDB file, as `shouwang backtest` does it.

`python -m benchmarks.backtest` makes a town of four-value meters, fills a store with readings every five minutes, and
prints one JSON line. `ratio` is the whole time over that of reading the same file once by DuckDB alone, in the same
run: it tells a slower program from a slower machine. `owner_*` is the process that owns the store, as the platform
does, `process_*` the one that judges: CPU seconds, and the most memory that either had while the backtest ran. On a
machine that is shared the CPU seconds tell more than the time; `load` is the machine's load at the end.
"""

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.cost import registry_in, settings_in
from benchmarks.platform import make_town
from core.clock import DAY, HOUR, MINUTE, SystemClock
from core.database import open_engine, writing
from detectors.rules import load_packs, record_version
from devices.device_types import load_device_types
from devices.registry import Registry
from ingest.duckdb_store import DuckDbStore
from shouwang.backtest_process import Job
from shouwang.backtests import conduct

INTERVAL = 5 * MINUTE
TRIED = "overrides:\n  - {rule: meter.a, device_type: meter, limits: {alarm: 90}}\n"
"""The pack that is tried: a limit moved."""
_FILL = """
INSERT INTO reading
SELECT series, "at", "at" + 1000000 + (hash(series) % 250000000)::BIGINT AS received_at,
    CASE WHEN hash(series, "at") % 20000 = 0 THEN 95.0
        ELSE 40.0 + 5 * sin("at" / 13751000000.0 + series) + (hash("at", series) % 1000) / 250.0 END, 0
FROM (SELECT unnest($series) AS series), (SELECT unnest(range($since, $until, $interval)) AS "at")
ORDER BY received_at
"""


def fill(folder: Path, registry: Registry, since: int, until: int) -> int:
    """A store with a reading of every series each five minutes, a day at a time, in the order of receipt; how many."""
    file = settings_in(folder).store_file
    DuckDbStore(file).open().close()
    series = np.flatnonzero(registry.device >= 0).astype(np.int32)
    with duckdb.connect(str(file), config={"threads": 2}) as connection:
        for day in range(since, until, DAY):
            span = {"since": day, "until": min(day + DAY, until), "interval": INTERVAL}
            connection.execute(_FILL, {"series": series.tolist(), **span})
        counted = connection.execute("SELECT count(*) FROM reading").fetchone()
    return int(counted[0]) if counted else 0


def read_once(file: Path) -> float:
    """Seconds that DuckDB alone takes to bring every column of the file into memory once, hour by hour."""
    began = time.perf_counter()
    with duckdb.connect(str(file), config={"threads": 1}, read_only=True) as connection:
        ends = connection.execute("SELECT min(received_at), max(received_at) FROM reading").fetchone() or (0, -1)
        for hour in range(ends[0], ends[1] + 1, 6 * HOUR):
            span = [hour, hour + 6 * HOUR]
            connection.execute("SELECT * FROM reading WHERE received_at >= ? AND received_at < ?", span).fetchnumpy()
    return time.perf_counter() - began


class _Cost:
    """CPU seconds and the most memory of the store's owner and of the judging process while a backtest runs."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # what filling took counts no more
        self._owner, self._process = _cpu_s(resource.RUSAGE_SELF), _cpu_s(resource.RUSAGE_CHILDREN)
        self._most = 0

    def follow(self, process: BaseProcess) -> None:
        """Look at the judging process until it ends."""
        threading.Thread(target=self._look, args=(process,), daemon=True).start()

    def _look(self, process: BaseProcess) -> None:
        while Path(f"/proc/{process.pid}").exists():
            self._most = max(self._most, _most_mb(process.pid or 0))
            time.sleep(0.2)

    def told(self) -> dict[str, float]:
        """The figures, once the process has ended."""
        return {
            "owner_cpu_s": round(_cpu_s(resource.RUSAGE_SELF) - self._owner, 1),
            "process_cpu_s": round(_cpu_s(resource.RUSAGE_CHILDREN) - self._process, 1),
            "owner_mb": _most_mb(os.getpid()),
            "process_mb": self._most,
        }


def _cpu_s(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _most_mb(process: int) -> int:
    """The most memory that a process had, MB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


def measure(folder: Path, devices: int, days: int) -> dict[str, object]:
    """Everything once; the figures."""
    settings = settings_in(folder)
    make_town(settings, devices)
    engine = open_engine(settings.database_url)
    now = SystemClock().now() // DAY * DAY
    with writing(engine) as connection:
        packs = load_packs(settings.rules, load_device_types(settings.device_types))
        record_version(connection, packs, "benchmark", "benchmark", now)
    engine.dispose()
    since = now - days * DAY
    readings = fill(folder, registry_in(folder), since, now)
    baseline = read_once(settings.store_file)
    store = DuckDbStore(settings.store_file).open()
    cost = _Cost()
    began = time.perf_counter()
    result = conduct(Job(settings, TRIED, since, now + DAY, (), now), store, threading.Event(), began=cost.follow)
    seconds = time.perf_counter() - began
    store.close()
    return {
        "benchmark": "backtest",
        "readings": result.readings,
        "stored": readings,
        "seconds": round(seconds, 2),
        "readings_per_s": round(result.readings / seconds),
        "read_once_s": round(baseline, 2),
        "ratio": round(seconds / baseline, 2),
        "alerts_today": result.today.alerts,
        "alerts_tried": result.tried.alerts,
        "tickets_tried": result.tried.tickets,
        **cost.told(),
        "load": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shouwang-backtest-") as temporary:
        print(json.dumps(measure(Path(temporary), options.series // 4, options.days)), flush=True)
