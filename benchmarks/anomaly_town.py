"""What the models of normal find in a made-up town, and what they cry wolf over, under the town's budget.

    python -m benchmarks.anomaly_town [--series 10000] [--faults 200] [--seed 1]

Learns 14 normal days, then reads 7 days twice: as they are, and with faults of eight kinds. Prints tables by kind and a
line of JSON.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.anomaly_series import A_DAY, FAULTS, STEP, Fault, kind_of, times, town, with_faults
from core.clock import HOUR, MINUTE
from detectors.anomaly.budget import NOTABLE, Budget, Candidate, Change
from detectors.anomaly.cheap import PARTS, CheapTier, Said
from detectors.anomaly.daily_calendar import day_class

WITHIN = 30
"""Readings after its beginning within which a fault counts as found."""
AFTER = A_DAY
"""Readings after a fault's end in which a warning of its series is its consequence: a return is a change too."""
LEARNT, LOOKED_AT = 14, 7


class Outcome(NamedTuple):
    """What became of a week: the warnings, candidates, and how many readings a second were read."""

    warnings: list[Change]
    candidates: list[tuple[int, int, str, float]]
    """Step, series, tier and score."""
    per_s: float
    held_back: int
    most_in_an_hour: int


def watched(made: npt.NDArray[np.float32], per_hour: int) -> Outcome:
    """Read a town's series, shape (steps, series), and warn as the platform does, after the days that are learnt."""
    at, count = times(LEARNT + LOOKED_AT), made.shape[1]
    classes, slot = day_class(at), np.arange(count)
    tier, budget = CheapTier(count), Budget(per_hour)
    warnings, candidates, spent = [], [], 0.0
    for step, moment in enumerate(at.tolist()):
        began = time.perf_counter()
        said = tier.read(slot, np.full(count, moment), made[step], np.full(count, classes[step]))
        spent += time.perf_counter() - began
        if step < LEARNT * A_DAY:
            continue
        for series, one in _candidates(said, moment):
            budget.offer(moment, one)
            candidates.append((step, series, one.tier, one.score))
        for minute in range(0, STEP, MINUTE):
            warnings += [change for change in budget.tick(moment + minute) if change.active]
    held_back = budget.counts["weak"] + budget.counts["spent"]
    return Outcome(warnings, candidates, made.size / spent, held_back, _most([one.at for one in warnings], HOUR))


def _candidates(said: Said, moment: int) -> Iterator[tuple[int, Candidate]]:
    for series in np.flatnonzero(said.score >= NOTABLE).tolist():
        tier = "daily" if said.daily[series] > said.ewma[series] else "ewma"
        part = PARTS[int(said.part[series])]
        yield series, Candidate(f"{series}", kind_of(series), moment, float(said.score[series]), tier, {"part": part})


def _most(moments: list[int], span: int) -> int:
    """The most of the sorted moments that any span holds."""
    inside = np.searchsorted(moments, np.array(moments) + span) - np.arange(len(moments))
    return int(inside.max(initial=0))


class Finding(NamedTuple):
    """Of the faults of a kind: how many there were and were warned of in time, candidates by tier, usual delay."""

    faults: int
    found: int
    tiers: Counter[str]
    delays: list[int]


def found(faults: list[Fault], outcome: Outcome, begin: int) -> tuple[dict[str, Finding], int]:
    """Findings by kind, and how many warnings were true; `begin` is the moment of the first step (µs UTC)."""
    warned = [(int(one.weighed.candidate.device), (one.at - begin) // STEP) for one in outcome.warnings]
    spoken: dict[int, list[tuple[int, str]]] = {}
    for step, series, tier, _ in outcome.candidates:
        spoken.setdefault(series, []).append((step, tier))
    kinds = {kind: Finding(0, 0, Counter(), []) for kind in FAULTS}
    for fault in faults:
        end = fault.begin + WITHIN
        in_time = [step for series, step in warned if series in fault.series and fault.begin <= step < end]
        heard = {tier for one in fault.series for step, tier in spoken.get(one, ()) if fault.begin <= step < end}
        kind = kinds[fault.kind]
        kind.tiers.update(heard)
        kind.delays.extend([min(in_time) - fault.begin] if in_time else [])
        kinds[fault.kind] = kind._replace(faults=kind.faults + 1, found=kind.found + bool(in_time))
    true = sum(_caused(series, step, faults) for series, step in warned)
    return kinds, true


def _caused(series: int, step: int, faults: list[Fault]) -> bool:
    return any(series in fault.series and fault.begin <= step < fault.end + AFTER for fault in faults)


def measured(count: int, many: int, seed: int, per_hour: int) -> dict[str, object]:
    """Both weeks; prints the table, returns the figures."""
    made = town(count, LEARNT + LOOKED_AT, seed)
    normal = watched(made, per_hour)
    faults = with_faults(made, LEARNT * A_DAY, many, seed + 1000)
    outcome = watched(made, per_hour)
    kinds, true = found(faults, outcome, int(times(1)[0]))
    print(f"{'fault':<17}{'faults':>7}{'warned of':>10}{'ewma':>6}{'daily':>6}{'readings until, median':>24}")
    for kind, one in kinds.items():
        delay = f"{np.median(one.delays):.0f}" if one.delays else "-"
        print(f"{kind:<17}{one.faults:>7}{one.found:>10}{one.tiers['ewma']:>6}{one.tiers['daily']:>6}{delay:>24}")
    return {
        "benchmark": "anomaly_town",
        "series": count,
        "seed": seed,
        "recall": round(sum(one.found for one in kinds.values()) / many, 3),
        "precision": round(true / max(len(outcome.warnings), 1), 3),
        "warnings": len(outcome.warnings),
        "held_back": outcome.held_back,
        "most_in_an_hour": outcome.most_in_an_hour,
        "normal_warnings": len(normal.warnings),
        "normal_most_in_an_hour": normal.most_in_an_hour,
        "normal_held_back": normal.held_back,
        "readings_per_s": round(outcome.per_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-hour", type=int, default=6)
    given = parser.parse_args()
    print(json.dumps(measured(given.series, given.faults, given.seed, given.per_hour)))


if __name__ == "__main__":
    main()
