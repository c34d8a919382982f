"""Scores of the Numenta Anomaly Benchmark (NAB v1.1) from what a detector said of every reading.

An alarm within a labelled window earns the more the earlier it is, once a window; a window without one costs; an alarm
outside costs the more the farther it is behind the last window. 0 is a detector that says nothing, 100 the perfect one
(Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms", ICMLA 2015). The threshold is the best one over the
whole corpus, which the benchmark's rules allow; `held_out` chooses it for every category from the others instead.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PROFILES = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")
_PROBATION = 0.15
_LONGEST_PROBATION = 750
_FAR = 3.0
Floats = npt.NDArray[np.float64]
Scores = Mapping[str, npt.NDArray[np.floating]]
"""By name of the series the anomaly scores of its readings."""


class Weights(NamedTuple):
    """What a hit, a window that was missed and a false alarm weigh."""

    hit: float
    missed: float
    false: float


class Labelled(NamedTuple):
    """A series of the corpus; arrays are of its length."""

    name: str
    """`category/file.csv`."""
    stamps: list[str]
    """Times as they are written in the corpus."""
    at: npt.NDArray[np.int64]
    """µs since 1970, as if they were UTC."""
    value: Floats
    worth: Floats
    """What an alarm at a reading is worth, -1 … 1, before it is weighed."""
    window: npt.NDArray[np.int64]
    """The place among the series' windows of the one that a reading is in, or -1."""
    windows: int
    probation: int
    """So many readings at the beginning do not count."""

    @property
    def category(self) -> str:
        """The folder of the series."""
        return self.name.partition("/")[0]


class Corpus(NamedTuple):
    """All series, and the weights of each of PROFILES."""

    series: list[Labelled]
    profiles: Mapping[str, Weights]


class Scored(NamedTuple):
    """The score of a detector by one profile, and the threshold that gives it."""

    score: float
    threshold: float


_ANY = 1e-9


def load_corpus(folder: Path) -> Corpus:
    """The corpus in a folder with `data`, `labels` and `config`. OSError without them."""
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text("utf-8"))
    costs = json.loads((folder / "config" / "profiles.json").read_text("utf-8"))
    profiles = {name: costs[name]["CostMatrix"] for name in PROFILES}
    weights = {name: Weights(cost["tpWeight"], cost["fnWeight"], cost["fpWeight"]) for name, cost in profiles.items()}
    series = []
    for name in sorted(windows):
        with (folder / "data" / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        value = np.array([float(row["value"]) for row in rows])
        series.append(labelled(name, [row["timestamp"] for row in rows], value, windows[name]))
    return Corpus(series, weights)


def labelled(name: str, stamps: list[str], value: Floats, windows: Sequence[Sequence[str]]) -> Labelled:
    """A series with windows of (first, last) times, in their order. ValueError if a window's limit is no reading's."""
    at = micros(stamps)
    count = len(at)
    worth, window = np.full(count, -1.0), np.full(count, -1, np.int64)
    behind = np.arange(count)
    for place, (first, last) in enumerate(micros(limits).tolist() for limits in windows):
        begin, end = _first(at, first), _first(at, last)
        width = end - begin + 1
        inside = slice(begin, end + 1)
        worth[inside], window[inside] = sigmoid((behind[inside] - end - 1) / width), place
        worth[end + 1 :] = sigmoid((behind[end + 1 :] - end) / max(width - 1, 1))
    probation = int(np.ceil(min(int(_PROBATION * count), _LONGEST_PROBATION)))
    return Labelled(name, stamps, at, value, worth, window, len(windows), probation)


def micros(stamps: Sequence[str]) -> npt.NDArray[np.int64]:
    """Written times as µs since 1970."""
    return np.array(stamps, "datetime64[us]").astype(np.int64)


def _first(at: npt.NDArray[np.int64], moment: int) -> int:
    """Where a time stands first: clocks that were set back in autumn write some twice."""
    places = np.flatnonzero(at == moment)
    if not len(places):
        raise ValueError(f"no reading at a window's limit {np.datetime64(moment, 'us')}")
    return int(places[0])


def sigmoid(place: npt.ArrayLike) -> Floats:
    """The worth of an alarm at a place relative to a window's end in widths: almost 1 at its begin, 0 at its end.

    >>> [round(float(worth), 3) for worth in sigmoid([-1, 0, 1, 4])]
    [0.987, 0.0, -0.987, -1.0]
    """
    places = np.asarray(place, np.float64)
    return np.where(places > _FAR, -1.0, 2 / (1 + np.exp(5 * np.minimum(places, _FAR))) - 1)


_BEST = float(sigmoid(-1))


class _Judged(NamedTuple):
    """The readings that count of several series, one behind the other; windows numbered through."""

    score: Floats
    worth: Floats
    window: npt.NDArray[np.int64]
    windows: int
    """Windows of the series, also those that lie in probation as a whole."""

    @property
    def within_reach(self) -> int:
        return len(np.unique(self.window[self.window >= 0]))


def _judged(series: Sequence[Labelled], scores: Scores) -> _Judged:
    score, worth, window, before = [np.empty(0)], [np.empty(0)], [np.empty(0, np.int64)], 0
    for its in series:
        given = np.asarray(scores[its.name], np.float64)
        if len(given) != len(its.value):
            raise ValueError(f"{its.name}: {len(given)} scores for {len(its.value)} readings")
        counts = slice(its.probation, None)
        score.append(np.where(np.isnan(given), -np.inf, given)[counts])
        worth.append(its.worth[counts])
        window.append(np.where(its.window < 0, -1, its.window + before)[counts])
        before += its.windows
    return _Judged(np.concatenate(score), np.concatenate(worth), np.concatenate(window), before)


def _best_threshold(judged: _Judged, weights: Weights) -> tuple[float, float]:
    """The threshold (alarm at a score of at least it) with the largest sum, and the sum."""
    order = np.argsort(-judged.score, kind="stable")
    score, worth, window = judged.score[order], judged.worth[order], judged.window[order]
    gain = np.where(window < 0, weights.false * worth, 0.0)
    inside = np.flatnonzero(window >= 0)
    by_window = inside[np.argsort(window[inside], kind="stable")]
    for places in np.split(by_window, np.flatnonzero(np.diff(window[by_window])) + 1):
        earned = weights.hit * worth[places] / _BEST
        gain[places] = np.diff(np.maximum.accumulate(np.concatenate([[-weights.missed], earned])))
    total = np.cumsum(gain) - weights.missed * judged.within_reach
    whole = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if len(score) else np.empty(0, np.int64)
    silence = -weights.missed * judged.within_reach
    if not len(whole) or total[whole].max() <= silence:
        return np.inf, silence
    best = whole[np.argmax(total[whole])]
    return float(score[best]), float(total[best])


def _sum_at(judged: _Judged, threshold: float, weights: Weights) -> float:
    """The sum of what alarms at a threshold earn and cost."""
    said = judged.score >= threshold
    false = float(judged.worth[said & (judged.window < 0)].sum()) * weights.false
    earned = np.full(judged.windows, -weights.missed)
    hit = said & (judged.window >= 0)
    np.maximum.at(earned, judged.window[hit], weights.hit * judged.worth[hit] / _BEST)
    return false + float(earned[np.unique(judged.window[judged.window >= 0])].sum())


def _normalised(total: float, judged: _Judged, weights: Weights) -> float:
    silence, perfect = -weights.missed * judged.within_reach, weights.hit * judged.windows
    return 100 * (total - silence) / (perfect - silence)


def score(corpus: Corpus, scores: Scores, profile: str = "standard") -> Scored:
    """The score at the best of all thresholds. ValueError if a series has more or fewer scores than readings."""
    judged, weights = _judged(corpus.series, scores), corpus.profiles[profile]
    threshold, total = _best_threshold(judged, weights)
    return Scored(_normalised(total, judged, weights), threshold)


def held_out(corpus: Corpus, scores: Scores, profile: str = "standard") -> float:
    """The score when each category is judged at the threshold that is best for all the others."""
    weights, total = corpus.profiles[profile], 0.0
    for category in sorted({its.category for its in corpus.series}):
        others = [its for its in corpus.series if its.category != category]
        threshold, _ = _best_threshold(_judged(others, scores), weights)
        own = [its for its in corpus.series if its.category == category]
        total += _sum_at(_judged(own, scores), threshold, weights)
    return _normalised(total, _judged(corpus.series, scores), weights)


def score_at(corpus: Corpus, scores: Scores, threshold: float, profile: str = "standard") -> float:
    """The score when alarms are the scores of at least a threshold that was chosen beforehand."""
    judged, weights = _judged(corpus.series, scores), corpus.profiles[profile]
    return _normalised(_sum_at(judged, threshold, weights), judged, weights)


def held_out_levels(corpus: Corpus, by_level: Mapping[float, Scores], profile: str = "standard") -> float:
    """The score when each category is judged at the level, of those tried, that is best for all the others.

    For detectors whose alarms depend on their level in more than being above it; what is above 0 is an alarm.
    """
    weights, total = corpus.profiles[profile], 0.0
    for category in sorted({its.category for its in corpus.series}):
        others = [its for its in corpus.series if its.category != category]
        own = [its for its in corpus.series if its.category == category]
        earned = {level: _sum_at(_judged(others, scores), _ANY, weights) for level, scores in by_level.items()}
        best = max(earned, key=lambda level: earned[level])
        total += _sum_at(_judged(own, by_level[best]), _ANY, weights)
    return _normalised(total, _judged(corpus.series, by_level[next(iter(by_level))]), weights)
