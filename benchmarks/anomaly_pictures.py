"""Draws what the models of normal saw of eight faults: `python -m benchmarks.anomaly_pictures docs`.

Each panel has two days of a series around a fault, the band that all but a thousandth of readings was expected in, and
a mark at the first reading whose score would be a warning.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from benchmarks.anomaly_series import A_DAY, FAULTS, Fault, kind_of, times, town, with_faults
from benchmarks.anomaly_town import LEARNT, LOOKED_AT
from detectors.anomaly.budget import FLOOR
from detectors.anomaly.cheap import PARTS, CheapTier, Said
from detectors.anomaly.daily_calendar import day_class

SERIES, SEED = 400, 7
_BEFORE, _AFTER = A_DAY, A_DAY // 2


def drawn(folder: Path) -> Path:
    """Write `detectors-faults.svg` into the folder and return its path."""
    made = town(SERIES, LEARNT + LOOKED_AT, SEED)
    faults = {fault.kind: fault for fault in with_faults(made, LEARNT * A_DAY, 2 * len(FAULTS), SEED)}
    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415 - only after the backend is chosen

    matplotlib.rcParams["svg.hashsalt"] = "shouwang"
    figure, axes = pyplot.subplots(4, 2, figsize=(11, 11), layout="constrained")
    for panel, kind in zip(axes.flat, FAULTS, strict=True):
        _panel(panel, faults[kind], made[:, faults[kind].series[0]])
    path = folder / "detectors-faults.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def _read(column: Any) -> Said:
    at = times(LEARNT + LOOKED_AT)
    return CheapTier(1).read(np.zeros(len(at), np.int64), at, column.astype(float), day_class(at))


def _panel(panel: Any, fault: Fault, column: Any) -> None:
    said = _read(column)
    shown = slice(max(fault.begin - _BEFORE, 0), min(fault.begin + _AFTER, len(column)))
    hours = (np.arange(shown.start, shown.stop) - fault.begin) / 12
    panel.fill_between(hours, said.low[shown], said.high[shown], color="#58d0a2", alpha=0.35, linewidth=0)
    panel.plot(hours, column[shown], color="#1f5f99", linewidth=0.9)
    loud = fault.begin + np.flatnonzero(said.score[fault.begin : shown.stop] >= FLOOR)
    title = f"{fault.kind} ({kind_of(fault.series[0])})"
    if len(loud):
        first = int(loud[0])
        panel.plot((first - fault.begin) / 12, column[first], "o", color="#d6303a", markersize=6)
        title += f": {PARTS[int(said.part[first])]}, reading {first - fault.begin + 1}"
    panel.axvline(0, color="#888888", linewidth=0.8, linestyle=":")
    seen = column[shown]
    room = 0.35 * float(np.ptp(seen))
    panel.set(title=title, xlabel="hours from the fault's beginning", ylim=(seen.min() - room, seen.max() + room))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(drawn(parser.parse_args().folder))


if __name__ == "__main__":
    main()
