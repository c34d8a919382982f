"""The discord tier on the NAB corpus: `python -m benchmarks.anomaly --corpus DIR --results OUT`.

One setting for all series: an alarm at a score of LEVEL or more, then none for REST readings. Writes a file for each
series as published results are, and prints a line of JSON. `held_out` chooses the level for each category from all the
others; `standard` and the two rewards are at LEVEL, which was chosen on this corpus.
"""

import argparse
import csv
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.nab_score import PROFILES, Corpus, held_out_levels, load_corpus, score_at
from detectors.anomaly.discord import DiscordTier

LEVEL, REST = 2.2, 40
LEVELS = tuple(round(1.9 + 0.1 * step, 1) for step in range(10))
SERIES, READINGS = 20_000, 40
"""Of the town whose readings are timed; readings a series."""
NAME = "shouwang"
Scores = Mapping[str, npt.NDArray[np.float64]]


def alarms(score: npt.NDArray[np.floating], level: float, rest: int = REST) -> npt.NDArray[np.float64]:
    """The scores of alarms, 0 elsewhere: one at the first score of at least `level`, the next after `rest` readings.

    >>> alarms(np.array([0, 2.5, 3, 0, 2.4]), 2.4, 3).tolist()
    [0.0, 2.5, 0.0, 0.0, 2.4]
    """
    said, silent_until = np.zeros(len(score)), 0
    for place in np.flatnonzero(score >= level).tolist():
        if place >= silent_until:
            said[place], silent_until = score[place], place + rest
    return said


def scores_of(corpus: Corpus) -> dict[str, npt.NDArray[np.float32]]:
    """Of each series the scores of its readings, read once from the beginning by a tier that knows nothing."""
    return {
        its.name: DiscordTier(1).read(np.zeros(len(its.value), np.int64), its.at, its.value) for its in corpus.series
    }


def write_results(corpus: Corpus, said: Scores, folder: Path) -> None:
    """`NAME/category/NAME_file.csv` with time, value and score of each reading."""
    for its in corpus.series:
        category, _, file = its.name.partition("/")
        path = folder / NAME / category / f"{NAME}_{file}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as out:
            rows = csv.writer(out)
            rows.writerow(["timestamp", "value", "anomaly_score"])
            rows.writerows(zip(its.stamps, its.value.tolist(), (said[its.name] / 3).round(6).tolist(), strict=True))


def rate(count: int = SERIES, each: int = READINGS, seed: int = 1) -> tuple[float, float]:
    """Readings a second on one core in a town of warmed-up series whose readings come in any order; bytes a series."""
    tier, random, start = DiscordTier(count), np.random.default_rng(seed), 1_790_000_000_000_000
    at, slot = start, np.arange(count)
    for _ in range(340):
        at += 300_000_000
        tier.read(slot, np.full(count, at), random.normal(0, 1, count))
    spent = 0.0
    for _ in range(each):
        at += 300_000_000
        order, value = random.permutation(count), random.normal(0, 1, count)
        began = time.perf_counter()
        tier.read(order, np.full(count, at), value)
        spent += time.perf_counter() - began
    return count * each / spent, tier.nbytes / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    given = parser.parse_args()
    corpus = load_corpus(given.corpus)
    scores = scores_of(corpus)
    said = {name: alarms(score, LEVEL) for name, score in scores.items()}
    write_results(corpus, said, given.results)
    by_level = {level: {name: alarms(score, level) for name, score in scores.items()} for level in LEVELS}
    reached = {profile: round(score_at(corpus, said, LEVEL, profile), 2) for profile in PROFILES}
    readings_per_s, bytes_per_series = rate()
    standard, low_fp, low_fn = reached.values()
    print(
        json.dumps(
            {
                "benchmark": "anomaly",
                "standard": standard,
                "reward_low_fp": low_fp,
                "reward_low_fn": low_fn,
                "held_out": round(held_out_levels(corpus, by_level), 2),
                "readings_per_s": round(readings_per_s),
                "bytes_per_series": round(bytes_per_series),
            }
        )
    )


if __name__ == "__main__":
    main()
