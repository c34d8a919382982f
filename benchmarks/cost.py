"""What a town's size costs: a table from 1,000 to 1,000,000 series, each size in processes of its own.

`python -m benchmarks.cost` prints one JSON line a size; `--write FILE…` puts the table between the markers of Markdown
files. Four-value meters; memory is the growth of the resident size; "first alert" is the time from the start of a new
process (imports, registry, snapshot) to the first detection. Nothing else may run on the machine meanwhile.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.platform import DATA, GATEWAYS, make_town
from benchmarks.throughput import payload
from core import snapshot
from core.clock import MILLISECOND, SECOND, SystemClock
from core.database import open_engine
from core.journal import Offset, Record, RecordKind
from detectors.rules import RuleSet, load_packs
from detectors.safety import SafetyDetector
from devices.device_types import load_device_types
from devices.registry import Registry, load_registry
from ingest.duckdb_store import DuckDbStore
from ingest.gate import Gate
from ingest.words import Block, Message
from shouwang.settings import Settings

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BEGIN, END = "<!-- cost: begin -->", "<!-- cost: end -->"
_VALUES = 4
_BATCH, _BATCHES = 2_000, 20  # messages
_ROWS, _STORED = 10_000, 50  # rows a batch, batches
_COLUMNS = {
    "series": "series",
    "registry_s": "registry, s",
    "registry_mb": "MB",
    "gate_mb": "gate, MB",
    "detector_mb": "detector, MB",
    "snapshot_mb": "snapshot, MB",
    "snapshot_s": "s",
    "first_alert_s": "restart to first alert, s",
    "judge_us": "judge, µs a reading",
    "detect_us": "detect, µs a reading",
    "stored_rows_per_s": "stored rows/s",
}


def rss_mb() -> float:
    """The resident size of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `work` returned, the seconds it took, and by how many MB the process grew."""
    before, began = rss_mb(), time.perf_counter()
    made = work()
    return made, time.perf_counter() - began, rss_mb() - before


def settings_in(folder: Path) -> Settings:
    """A town of test meters in this folder."""
    return Settings(state=folder, device_types=[DATA / "meter.yaml"], rules=[DATA / "rules"])


def registry_in(folder: Path) -> Registry:
    """The registry as it was made."""
    settings = settings_in(folder)
    return load_registry(open_engine(settings.database_url), load_device_types(settings.device_types))


def rules_in(folder: Path) -> RuleSet:
    """The rules in force."""
    settings = settings_in(folder)
    return load_packs(settings.rules, load_device_types(settings.device_types))


def record(n: int, now: int, kind: RecordKind, content: bytes = b"") -> Record:
    """A record of the journal."""
    return Record(Offset(0, n), now, kind, content)


def block_at(registry: Registry, meters: np.ndarray[Any, Any], now: int, high: bool = False) -> Block:
    """A reading of every value of these meters, as the gate would journal it; `high`: the first is beyond its limit."""
    first = 95.5 if high else 20.25
    numbers = [n for meter in meters for n in registry.series_of[f"M-{meter}"].values()]
    count = len(numbers)
    return Block.of(numbers, [now] * count, [now] * count, [first, 101.5, 21.75, 231.25] * (count // _VALUES))


def costs(folder: Path, devices: int) -> dict[str, float]:
    """All but the restart, in this process; leaves a snapshot."""
    registry, registry_s, registry_mb = timed(lambda: registry_in(folder))
    gate, _, gate_mb = timed(lambda: Gate(registry))
    chance, now = np.random.default_rng(1), SystemClock().now()
    judge_us, blocks = judged(gate, chance, devices, now)
    detector, _, detector_mb = timed(lambda: prepared(registry, rules_in(folder), now))
    detect_us = detected(detector, blocks, now)
    file = folder / "safety.snapshot"
    _, snapshot_s, _ = timed(lambda: snapshot.save(file, *detector.snapshot()))
    return {
        "series": devices * _VALUES,
        "registry_s": round(registry_s, 2),
        "registry_mb": round(registry_mb, 1),
        "gate_mb": round(gate_mb, 1),
        "detector_mb": round(detector_mb, 1),
        "snapshot_mb": round(file.stat().st_size / 2**20, 2),
        "snapshot_s": round(snapshot_s, 2),
        "judge_us": round(judge_us, 2),
        "detect_us": round(detect_us, 3),
        "stored_rows_per_s": round(stored(folder, registry, chance, devices, now)),
    }


def prepared(registry: Registry, rules: RuleSet, now: int) -> SafetyDetector:
    """A detector that has taken up its rules, its kernels compiled."""
    detector = SafetyDetector(registry, rules)
    detector.apply(record(1, now, RecordKind.TICK))
    return detector


def judged(gate: Gate, chance: np.random.Generator, devices: int, now: int) -> tuple[float, list[Block]]:
    """µs a reading from the message's bytes to its block, and the blocks; meters in random order."""
    gate.prepare()
    batches = []
    for number in range(_BATCHES):
        t = now // MILLISECOND + number
        meters = chance.integers(0, devices, _BATCH).tolist()
        batches.append(
            [
                Message(f"sw/v1/GW-{m % GATEWAYS}/telemetry", payload(m, t).encode(), t * MILLISECOND, qos=1)
                for m in meters
            ]
        )
    gate.judge(batches[0][:10])
    began = time.perf_counter()
    blocks = [gate.judge(batch).block for batch in batches]
    spent = time.perf_counter() - began
    return spent * SECOND / sum(len(block) for block in blocks), blocks


def detected(detector: SafetyDetector, blocks: Sequence[Block], now: int) -> float:
    """µs a reading in the detector."""
    records = [record(n, now + n, RecordKind.BLOCK, block.to_bytes()) for n, block in enumerate(blocks, 2)]
    detector.apply(records[0])
    began = time.perf_counter()
    for each in records[1:]:
        detector.apply(each)
    return (time.perf_counter() - began) * SECOND / sum(len(block) for block in blocks[1:])


def stored(folder: Path, registry: Registry, chance: np.random.Generator, devices: int, now: int) -> float:
    """Rows a second into the embedded store, each batch of random meters."""
    store = DuckDbStore(folder / "readings.duckdb").open()
    batches = []
    for number in range(_STORED):
        meters = chance.integers(0, devices, _ROWS // _VALUES)
        batches.append([(Offset(0, number + 1), block_at(registry, meters, now + number * SECOND))])
    began = time.perf_counter()
    for batch in batches:
        store.append(batch)
    spent = time.perf_counter() - began
    store.close()
    return _STORED * _ROWS / spent


def restart(folder: Path) -> None:
    """What a new process does up to its first detection; raises when there is none."""
    registry, now = registry_in(folder), SystemClock().now()
    detector = SafetyDetector(registry, rules_in(folder))
    if kept := snapshot.load(folder / "safety.snapshot"):
        detector.restore(*kept)
    burning = block_at(registry, np.array([0]), now, high=True)
    if not detector.apply(record(10_000, now, RecordKind.BLOCK, burning.to_bytes())):
        raise RuntimeError("a value beyond its limit was not detected")


def _in_a_process(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.cost", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(series: int) -> dict[str, float]:
    """All costs of one size."""
    with tempfile.TemporaryDirectory(prefix="shouwang-cost-") as name:
        folder, devices = Path(name), series // _VALUES
        make_town(settings_in(folder), devices)
        found: dict[str, float] = json.loads(_in_a_process("--inside", name, str(devices)))
        _in_a_process("--restart", name)  # once unmeasured, so that every file is in the machine's cache
        began = time.perf_counter()
        _in_a_process("--restart", name)
        found["first_alert_s"] = round(time.perf_counter() - began, 2)
    return {column: found[column] for column in _COLUMNS}


def table(rows: Sequence[dict[str, float]]) -> str:
    """The Markdown table of these costs.

    >>> print(table([{"series": 1000, "judge_us": 2.5}]))
    | series | judge, µs a reading |
    |---|---|
    | 1,000 | 2.5 |
    """
    columns = [column for column in _COLUMNS if column in rows[0]]
    lines = [[_COLUMNS[column] for column in columns], ["---"] * len(columns)]
    lines += [[f"{row[column]:,}" for column in columns] for row in rows]
    head, rule, *body = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([head, rule.replace(" ", ""), *body])


def write_table(file: Path, made: str) -> None:
    """Put the table between the file's markers. Raises ValueError when it has none."""
    before, begin, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} has no {BEGIN} … {END}")
    file.write_text(f"{before}{begin}\n{made}\n{end}{after}", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each size, print a JSON line each, and write the table where it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of series")
    parser.add_argument("--write", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--restart", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.inside:
        print(json.dumps(costs(Path(arguments.inside[0]), int(arguments.inside[1]))))
        return
    if arguments.restart:
        restart(Path(arguments.restart))
        return
    rows = []
    for series in arguments.sizes:
        rows.append(measure(series))
        print(json.dumps({"benchmark": "cost", **rows[-1]}), flush=True)
    for file in arguments.write:
        write_table(file, table(rows))


if __name__ == "__main__":
    main()
