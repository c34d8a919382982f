"""How many readings a second the rules judge on one core, and what a snapshot of their state takes.

The built-in rules with sensor health, over a town of gas, electrical and traffic sensors. Each pass gives every series
one reading, in the order of the series and shuffled, in blocks as the gate journals them; the backlog is one device's
alone. `numpy` is the same run's baseline: only one limit a series and its newest value, a block at a time in NumPy,
with no dwell, no episodes and no health. `derived` is a town where every electrical sensor has a rule over two of its
metrics. Prints one JSON line. Nothing else may run on the machine meanwhile.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import MINUTE, SECOND
from core.journal import Offset, Record, RecordKind
from detectors.rules import RuleSet, load_packs
from detectors.safety import SafetyDetector
from devices.registry import Registry
from ingest.words import Block
from tests.detectors.stage import START, Device, registry_of

SIZES = (100_000, 1_000_000)
_KINDS = ("gas", "electrical", "traffic")
_BLOCK = 50_000
_ROUNDS = 5
_BACKLOG = 1_000_000


def town_of(series: int) -> Registry:
    """A registry of that many series, two a device."""
    return registry_of([Device(f"D-{n:07}", _KINDS[n % 3], f"GW-{n % 100:02}") for n in range(series // 2)])


def wide_rules() -> RuleSet:
    """The built-in rules, and one over two metrics of every electrical sensor."""
    rules = load_packs().rules
    own = msgspec.structs.replace(
        rules["electrical.cable_temperature"],
        id="electrical.both",
        metric="",
        expression="cable_temp - 0.1 * residual_current",
        max_age=MINUTE,
        overrides=(),
    )
    return RuleSet(2, {**rules, own.id: own})


def passes(registry: Registry, rounds: int, shuffled: bool) -> list[list[Block]]:
    """For each round the blocks that give every series one reading; values wander where no rule minds."""
    random, count = np.random.default_rng(7), len(registry.device)
    made = []
    for step in range(rounds):
        order = random.permutation(count) if shuffled else np.arange(count)
        at = np.full(count, START + (step + 1) * 10 * SECOND)
        value = _harmless(registry, order.astype(np.int32), random)
        cuts = range(0, count, _BLOCK)
        made.append([_block(order[c : c + _BLOCK], at[c : c + _BLOCK], value[c : c + _BLOCK]) for c in cuts])
    return made


def _harmless(registry: Registry, series: npt.NDArray[Any], random: np.random.Generator) -> npt.NDArray[np.float64]:
    usual = {
        "gas_lel": 2.0,
        "battery": 90.0,
        "residual_current": 30.0,
        "cable_temp": 25.0,
        "speed": 45.0,
        "flow": 300.0,
    }
    base = np.array([usual[name] for name in registry.metrics])
    return np.asarray(base[registry.metric[series]] + random.random(len(series)))


def _block(series: npt.NDArray[Any], at: npt.NDArray[Any], value: npt.NDArray[Any]) -> Block:
    return Block(series.astype(np.int32), at, at, value, np.zeros(len(series), np.uint16))


def backlog(registry: Registry, count: int) -> Block:
    """Readings of one series, one a second."""
    at = START + np.arange(count) * SECOND
    number = next(iter(registry.series_of["D-0000000"].values()))
    return _block(np.full(count, number), at, 2.0 + np.random.default_rng(3).random(count))


def rate_of(detector: SafetyDetector, blocks: Sequence[Block]) -> float:
    """Readings a second through the detector's checks."""
    checks, now = detector._watch.checks, int(blocks[0].at[0])
    began = time.perf_counter()
    said = sum(1 for block in blocks for _ in checks.read(block, now))
    seconds = time.perf_counter() - began
    if said:
        raise RuntimeError(f"the harmless readings caused {said} steps")
    return sum(len(block) for block in blocks) / seconds


def detector_of(registry: Registry, rules: RuleSet) -> SafetyDetector:
    """A detector that has taken up its rules, its kernels compiled."""
    detector = SafetyDetector(registry, rules)
    detector.apply(Record(Offset(0, 1), START, RecordKind.TICK, b""))
    detector.apply(Record(Offset(0, 2), START, RecordKind.BLOCK, _block(*(np.empty(0),) * 3).to_bytes()))
    return detector


def numpy_rate(registry: Registry, blocks: Sequence[Block]) -> float:
    """Readings a second when NumPy compares each with one limit and keeps the newest value."""
    limit, newest, over = np.full(len(registry.device), 1e6), np.zeros(len(registry.device)), 0
    began = time.perf_counter()
    for block in blocks:
        over += int((block.value >= limit[block.series]).sum())
        newest[block.series] = block.value
    return sum(len(block) for block in blocks) / (time.perf_counter() - began)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returned, and the seconds that it took."""
    began = time.perf_counter()
    made = work()
    return made, time.perf_counter() - began


def at_size(series: int, rules: RuleSet) -> Iterator[tuple[str, float]]:
    """The figures of a town of that many series."""
    registry = town_of(series)
    detector, started = timed(lambda: detector_of(registry, rules))
    for name, shuffled in (("ordered", False), ("shuffled", True)):
        rounds = passes(registry, _ROUNDS, shuffled)
        if shuffled:
            later = [[dataclasses.replace(b, at=b.at + MINUTE, received_at=b.at + MINUTE) for b in r] for r in rounds]
            rounds = later
        rates = [rate_of(detector, blocks) for blocks in rounds]
        yield f"{name}_per_s", round(statistics.median(rates[1:]))
        yield f"{name}_numpy_per_s", round(statistics.median(numpy_rate(registry, blocks) for blocks in rounds))
    kept, snapshot_s = timed(detector.snapshot)
    other = SafetyDetector(registry, rules)
    _, restore_s = timed(lambda: other.restore(*kept))
    yield from {
        "start_s": round(started, 3),
        "snapshot_s": round(snapshot_s, 3),
        "restore_s": round(restore_s, 3),
    }.items()


def measured(sizes: Sequence[int]) -> dict[str, Any]:
    """All figures."""
    rules = load_packs()
    found = {size: dict(at_size(size, rules)) for size in sizes}
    small = town_of(1_000)
    detector, block = detector_of(small, rules), backlog(small, _BACKLOG)
    of_backlog = rate_of(detector, [block])
    town = town_of(sizes[0])
    derived = detector_of(town, wide_rules())
    of_derived = statistics.median(rate_of(derived, blocks) for blocks in passes(town, _ROUNDS, True))
    first = found[sizes[0]]
    return {
        "benchmark": "detectors",
        "rules_per_s": first["shuffled_per_s"],
        "cheap_per_s": None,
        "discord_per_s": None,
        "snapshot_s": first["snapshot_s"],
        "restore_s": first["restore_s"],
        "ratio_to_numpy": round(first["shuffled_per_s"] / first["shuffled_numpy_per_s"], 2),
        "backlog_per_s": round(of_backlog),
        "derived_per_s": round(of_derived),
        "by_series": {str(size): figures for size, figures in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=SIZES)
    print(json.dumps(measured(parser.parse_args().series)))


if __name__ == "__main__":
    main()
