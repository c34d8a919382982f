"""How many readings a second the rules judge on one core, and what a snapshot of their state takes.

The built-in rules with sensor health, over a town of gas, electrical and traffic sensors in equal number, two series
each: a third of the series has a noise rule, which wants every reading, and half of these a rate rule as well. Every
series has read often enough before that its scatter is judged. Then each pass gives every series one reading, in the
order of the series and shuffled, in blocks as the gate journals them; a backlog is one series' alone. `numpy` is the
same run's baseline: only one limit a series and its newest value, a block at a time in NumPy, with no dwell, no
episodes and no health. `every_type` is a town of all device types that there are, `derived` one where every electrical
sensor has a rule over two of its metrics. Rates count the processor's time, so that they are those of one core whatever
else runs; memory is shared all the same. Prints one JSON line.
"""

import argparse
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
from detectors.measures import ENOUGH
from detectors.rules import RuleSet, load_packs
from detectors.safety import SafetyDetector
from devices.registry import Registry
from devices.simulated import simulated_device
from ingest.words import Block
from tests.detectors.stage import START, TYPES, Device, registry_of

SIZES = (100_000, 1_000_000)
BACKLOG = 1_000_000
MIX = ("gas", "electrical", "traffic")
_BLOCK = 50_000
_ROUNDS = 5
_EVERY = 10 * SECOND


def town_of(series: int, types: Sequence[str] = MIX) -> Registry:
    """A registry of that many series (at most one device's less), the types taking turns."""
    devices: list[Device] = []
    left = series
    while left >= (many := len(TYPES[types[len(devices) % len(types)]].metrics)):
        number = len(devices)
        devices.append(Device(f"D-{number:07}", types[number % len(types)], f"GW-{number % 100:02}"))
        left -= many
    return registry_of(devices)


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


class Quiet:
    """Readings that no rule minds: of every series what its sensor normally reads, a little off it each time."""

    def __init__(self, registry: Registry) -> None:
        normal = {code: simulated_device(kind, "D").values(START) for code, kind in TYPES.items()}
        devices, names = registry.device.tolist(), [registry.metrics[metric] for metric in registry.metric.tolist()]
        types = [registry.type_code[device] for device in devices]
        pairs = list(zip(types, names, strict=True))
        self._usual = np.array([normal[kind][name] for kind, name in pairs])
        self._step = np.array([10.0 ** -TYPES[kind].metrics[name].decimals for kind, name in pairs])
        self._random = np.random.default_rng(7)
        self.now = START

    def passes(self, rounds: int, shuffled: bool = False) -> Iterator[list[Block]]:
        """For each round the blocks that give every series one reading."""
        count = len(self._usual)
        for _ in range(rounds):
            self.now += _EVERY
            order = self._random.permutation(count) if shuffled else np.arange(count)
            value = (self._usual + self._step * self._random.random(count))[order]
            cuts = range(0, count, _BLOCK)
            at = np.full(count, self.now)
            yield [_block(order[c : c + _BLOCK], at[c : c + _BLOCK], value[c : c + _BLOCK]) for c in cuts]

    def backlog(self, series: int, count: int) -> Block:
        """So many readings of one series, one a second."""
        at = self.now + (1 + np.arange(count)) * SECOND
        self.now = int(at[-1])
        return _block(np.full(count, series), at, self._usual[series] + self._step[series] * self._random.random(count))


def _block(series: npt.NDArray[Any], at: npt.NDArray[Any], value: npt.NDArray[Any]) -> Block:
    return Block(series.astype(np.int32), at, at, value, np.zeros(len(series), np.uint16))


def rate_of(detector: SafetyDetector, blocks: Sequence[Block]) -> float:
    """Readings a second through the detector's checks."""
    checks, now = detector._watch.checks, int(blocks[0].at[0])
    said, seconds = timed(lambda: sum(1 for block in blocks for _ in checks.read(block, now)))
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
    limit, newest = np.full(len(registry.device), 1e9), np.zeros(len(registry.device))

    def compare() -> int:
        over = 0
        for block in blocks:
            over += int((block.value >= limit[block.series]).sum())
            newest[block.series] = block.value
        return over

    return sum(len(block) for block in blocks) / timed(compare)[1]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returned, and the seconds of the processor that it took."""
    began = time.process_time()
    made = work()
    return made, time.process_time() - began


def settled(registry: Registry, rules: RuleSet) -> tuple[SafetyDetector, Quiet]:
    """A detector whose every series has read often enough for all that is judged, and what comes next."""
    detector, quiet = detector_of(registry, rules), Quiet(registry)
    for blocks in quiet.passes(ENOUGH + 1):
        rate_of(detector, blocks)
    return detector, quiet


def shuffled_rate(registry: Registry, rules: RuleSet) -> int:
    """Readings a second in any order."""
    detector, quiet = settled(registry, rules)
    return round(statistics.median(rate_of(detector, blocks) for blocks in quiet.passes(_ROUNDS, shuffled=True)))


def at_size(series: int, rules: RuleSet) -> Iterator[tuple[str, float]]:
    """The figures of a town of that many series."""
    registry = town_of(series)
    _, started = timed(lambda: detector_of(registry, rules))
    detector, quiet = settled(registry, rules)
    for name, shuffled in (("ordered", False), ("shuffled", True)):
        rounds = list(quiet.passes(_ROUNDS, shuffled))
        yield f"{name}_per_s", round(statistics.median(rate_of(detector, blocks) for blocks in rounds))
        yield f"{name}_numpy_per_s", round(statistics.median(numpy_rate(registry, blocks) for blocks in rounds))
    yield "every_type_per_s", shuffled_rate(town_of(series, sorted(TYPES)), rules)
    kept, snapshot_s = timed(detector.snapshot)
    other = SafetyDetector(registry, rules)
    _, restore_s = timed(lambda: other.restore(*kept))
    yield "start_s", round(started, 3)
    yield "snapshot_s", round(snapshot_s, 3)
    yield "restore_s", round(restore_s, 3)


def backlogs(rules: RuleSet, count: int) -> dict[str, int]:
    """Readings a second of one series' backlog: of one with limits, with a noise rule, and with a rate rule besides."""
    registry, found = town_of(60), {}
    detector, quiet = settled(registry, rules)
    for name, device, metric in (
        ("limits", "D-0000000", "gas_lel"),
        ("noise", "D-0000001", "residual_current"),
        ("noise_and_rate", "D-0000001", "cable_temp"),
    ):
        found[name] = round(rate_of(detector, [quiet.backlog(registry.series_of[device][metric], count)]))
    return found


def measured(sizes: Sequence[int], backlog: int = BACKLOG) -> dict[str, Any]:
    """All figures."""
    rules = load_packs()
    found = {size: dict(at_size(size, rules)) for size in sizes}
    first, of_backlog = found[sizes[0]], backlogs(rules, backlog)
    return {
        "benchmark": "detectors",
        "rules_per_s": first["shuffled_per_s"],
        "cheap_per_s": None,
        "discord_per_s": None,
        "snapshot_s": first["snapshot_s"],
        "restore_s": first["restore_s"],
        "ratio_to_numpy": round(first["shuffled_per_s"] / first["shuffled_numpy_per_s"], 2),
        "backlog_per_s": min(of_backlog.values()),
        "backlog_by_rules": of_backlog,
        "derived_per_s": shuffled_rate(town_of(sizes[0]), wide_rules()),
        "mix": list(MIX),
        "by_series": {str(size): figures for size, figures in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=SIZES)
    print(json.dumps(measured(parser.parse_args().series)))


if __name__ == "__main__":
    main()
