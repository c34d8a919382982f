"""The checks of all series: their state, what readings and ticks make of it, and how it outlives a change of rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.columns import CHECK, EMISSION, RATE_WINDOW, Arrays, empty_series
from detectors.compile import Compiled
from detectors.kernel import NEVER, THRESHOLD, read, tick
from ingest.words import Block

_KEPT = ("onset", "aged_at", "since", "level", "told", "paged", "running", "noted")
_ROOM = 4_096

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Rows:
    """The checks that have something to remember, each known by its series number and rule id.

    `columns` holds the CHECK fields, and `window` (µs) of each one's plan; `rated` lists the rows that are rates, to
    which `bucket` and `lowest` belong.
    """

    series: npt.NDArray[np.int32]
    rules: Sequence[str]
    rule: npt.NDArray[np.int32]
    columns: Columns

    def rule_id(self, row: int) -> str:
        """The rule of a row."""
        return self.rules[int(self.rule[row])]


@dataclass
class Checks:
    """Compiled checks with their state over the series of one registry."""

    compiled: Compiled
    arrays: Arrays
    _out: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(_ROOM, EMISSION))

    @classmethod
    def fresh(
        cls,
        compiled: Compiled,
        series: npt.NDArray[Any],
        heard: npt.NDArray[np.int64],
        heard_at: npt.NDArray[np.int64],
        active: npt.NDArray[np.bool_],
        silence: npt.NDArray[np.int64],
    ) -> "Checks":
        """Checks that remember nothing, on series and devices that may remember something."""
        count = len(compiled.plan)
        check = np.zeros(count, CHECK)
        check["plan"] = compiled.plan
        rates = np.flatnonzero(compiled.is_rate)
        check["rate"] = -1
        check["rate"][rates] = np.arange(len(rates))
        rate = np.zeros(len(rates) + 1, RATE_WINDOW)
        rate["bucket"] = NEVER // 2
        listed, counters = np.zeros(count, np.int32), np.zeros(2, np.int64)
        series["profile"], series["busy"] = compiled.profile, 0
        of_rules = (compiled.columns, compiled.profiles, series, compiled.start, check, compiled.owner, rate)
        arrays = Arrays(*of_rules, heard, heard_at, active, silence, listed, counters)
        return cls(compiled, arrays)

    def read(self, block: Block, now: int) -> Iterator[Any]:
        """The emissions of a block journalled at `now`, in order; each is valid until the next is asked for."""
        first, columns = 0, (block.series, block.at, block.received_at, block.value, block.quality)
        while first < len(block):
            first, written = read(tuple(self.arrays), *columns, now, first, self._out)
            yield from self._out[:written]

    def tick(self, now: int) -> Iterator[Any]:
        """The emissions of the checks that waited for time to pass."""
        waiting = int(self.arrays.counters[0])
        out = self._out if waiting <= len(self._out) else np.zeros(waiting, EMISSION)
        yield from out[: tick(tuple(self.arrays), now, out)]

    @property
    def open_episodes(self) -> int:
        return int(np.count_nonzero(self.arrays.check["told"]))

    def rejudge(self, rule_ids: Sequence[str]) -> None:
        """Have the next tick judge these rules anew with each series' last value."""
        places = [index for index, rule_id in enumerate(self.compiled.rule_ids) if rule_id in set(rule_ids)]
        compiled = self.compiled
        threshold = compiled.columns["kind"][compiled.plan] == THRESHOLD
        concerned = np.isin(compiled.rule_of[compiled.plan], places) & threshold
        self._note(np.flatnonzero(concerned & (self.arrays.check["noted"] == 0)))

    def rearm(self, numbers: Sequence[int], rule_id: str) -> None:
        """Forget that the episodes of a rule on these series were announced."""
        for number in numbers:
            for place in range(self.arrays.start[number], self.arrays.start[number + 1]):
                check = self.arrays.check[place : place + 1]
                if self.compiled.plans[check["plan"][0]].rule.id == rule_id and check["told"][0]:
                    check["told"] = check["paged"] = check["aged_at"] = 0
                    self._note(np.array([place])[check["noted"] == 0])

    def _note(self, places: npt.NDArray[np.intp]) -> None:
        noted = int(self.arrays.counters[0])
        self.arrays.attention[noted : noted + len(places)] = places
        self.arrays.check["noted"][places] = 1
        self.arrays.counters[0] += len(places)

    def rows(self) -> Rows:
        """What the checks remember, free of the present compilation's places."""
        arrays, compiled = self.arrays, self.compiled
        check = arrays.check
        busy = (check["level"] != 0) | (check["told"] != 0) | (check["running"] != 0) | (check["noted"] != 0)
        places = np.flatnonzero(busy | compiled.is_rate)
        columns: Columns = {name: check[name][places] for name in _KEPT}
        rated = check["rate"][places] >= 0
        columns["rated"] = np.flatnonzero(rated)
        rates = arrays.rate[check["rate"][places][rated]]
        columns["bucket"], columns["lowest"] = rates["bucket"].copy(), rates["lowest"].copy()
        columns["window"] = compiled.columns["window"][check["plan"][places]]
        rule = compiled.rule_of[compiled.plan[places]].astype(np.int32)
        return Rows(compiled.owner[places], compiled.rule_ids, rule, columns)

    def implant(self, rows: Rows) -> npt.NDArray[np.intp]:
        """Take over what was remembered; the rows that found no check."""
        to, found = self._places(rows)
        check, columns = self.arrays.check, rows.columns
        for name in _KEPT:
            check[name][to[found]] = columns[name][found]
        self.arrays.series["busy"][rows.series[found]] = 1
        rated = columns["rated"]
        same = found[rated]
        same[same] = self.compiled.columns["window"][check["plan"][to[rated][same]]] == columns["window"][rated][same]
        into = check["rate"][to[rated][same]]
        for name in ("bucket", "lowest"):
            self.arrays.rate[name][into] = columns[name][same]
        noted = np.flatnonzero(check["noted"])
        self.arrays.attention[: len(noted)] = noted
        self.arrays.counters[0] = len(noted)
        return np.flatnonzero(~found)

    def _places(self, rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """The check of each row, and whether it has one."""
        index = {rule_id: place for place, rule_id in enumerate(self.compiled.rule_ids)}
        place = np.array([*(index.get(rule_id, -1) for rule_id in rows.rules), -1], np.int64)[rows.rule]
        wanted = rows.series.astype(np.int64) * max(len(index), 1) + place
        keys = self.compiled.keys
        to = np.searchsorted(keys, wanted)
        found = (place >= 0) & (to < len(keys))
        found[found] = keys[to[found]] == wanted[found]
        return to, found


def grown(series: npt.NDArray[Any], device: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """The series' state carried to a registry with these device indexes; series never go away."""
    new = empty_series(device)
    for name in series.dtype.names or ():
        if name != "device":
            new[name][: len(series)] = series[name][: len(new)]
    return new
