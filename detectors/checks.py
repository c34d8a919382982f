"""The checks of all series: their state, what readings and ticks make of it, and how it outlives a change of rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.columns import CHECK, EMISSION, FIRST, SERIES, Arrays, empty_memos, empty_series, in_lines
from detectors.compile import Compiled
from detectors.expression import DEEPEST
from detectors.kernel import read, tick
from detectors.measures import NOISE, THRESHOLD
from ingest.words import Block

_KEPT = ("onset", "aged_at", "since", "level", "told", "paged", "running", "noted")
_OF_MEMO = ("below", "total", "slow", "before", "readings")
_OF_SERIES = tuple(name for name in SERIES.names or () if name not in ("device", "profile", "busy"))
_ROOM = 4_096

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Rows:
    """The checks that have something to remember, each known by its series number and rule id.

    `series` is the registered series by which a check is known. `columns` holds the CHECK fields; `memo.rows` lists the
    rows to which the MEMO fields `memo.…` belong, `window.rows` those of WINDOW, with the `window.span` (µs) and
    `window.use` that they were made for, and `derived.rows` those of derived series, with their SERIES fields.
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
        sick: npt.NDArray[np.bool_] | None = None,
    ) -> "Checks":
        """Checks that remember nothing, on series and devices that may remember something.

        `active` and `sick` (no device without it) are the caller's to change.
        """
        registry, derived = compiled.derived.registry, compiled.derived
        check = np.zeros(len(compiled.plan), CHECK)
        check["plan"] = compiled.plan
        memos, windows = np.flatnonzero(compiled.has_memo), np.flatnonzero(compiled.has_window)
        check["memo"] = -1
        check["memo"][memos] = np.arange(len(memos))
        memo, window = empty_memos(len(memos), len(windows))
        memo["window"][check["memo"][windows]] = np.arange(len(windows))
        every = np.concatenate([series, empty_series(derived.device)])
        every["profile"], every["busy"] = compiled.profile, 0
        feeds, fed = derived.feeds
        most = int(np.diff(compiled.start).max(initial=0) + np.diff(feeds).max(initial=0))
        counters = np.array([0, 0, most], np.int64)
        arrays = Arrays(
            plan=compiled.columns,
            profile=compiled.profiles,
            series=in_lines(every),
            start=compiled.start,
            check=in_lines(check),
            owner=compiled.owner,
            memo=in_lines(memo),
            window=in_lines(window),
            since=registry.in_service_at,
            heard=heard,
            heard_at=heard_at,
            active=active,
            sick=np.zeros(len(active), np.bool_) if sick is None else sick,
            silence=silence,
            hours=compiled.hours,
            attention=np.zeros(len(check), np.int32),
            counters=counters,
            feeds=feeds,
            fed=fed,
            derived=derived.rows,
            steps=derived.step_rows,
            stack=np.zeros(DEEPEST),
            first=in_lines(_first(compiled)),
        )
        return cls(compiled, arrays, np.zeros(max(_ROOM, most), EMISSION))

    @property
    def series(self) -> npt.NDArray[Any]:
        """The state of the registered series."""
        return self.arrays.series[: self.compiled.derived.registered]

    def read(self, block: Block, now: int) -> Iterator[Any]:
        """The emissions of a block journalled at `now`, in order; each is valid until the next is asked for."""
        first, columns = 0, (block.series, block.at, block.received_at, block.value, block.quality)
        while first < len(block):
            first, written = read(tuple(self.arrays), *columns, now, first, self._out)
            yield from self._named(self._out[:written])

    def tick(self, now: int) -> Iterator[Any]:
        """The emissions of the checks that waited for time to pass."""
        waiting = int(self.arrays.counters[0])
        out = self._out if waiting <= len(self._out) else np.zeros(waiting, EMISSION)
        yield from self._named(out[: tick(tuple(self.arrays), now, out)])

    def _named(self, said: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What was said of derived series is said of those by which they are known."""
        registered = self.compiled.derived.registered
        behind = np.flatnonzero(said["series"] >= registered)
        said["series"][behind] = self.arrays.derived["anchor"][said["series"][behind] - registered]
        return said

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
        keys = Rows(np.array(numbers, np.int32), [rule_id], np.zeros(len(numbers), np.int32), {})
        to, found = self._places(keys)
        check = self.arrays.check
        places = to[found][check["told"][to[found]] > 0]
        for name in ("told", "paged", "aged_at"):
            check[name][places] = 0
        self._note(places[check["noted"][places] == 0])

    def _note(self, places: npt.NDArray[np.intp]) -> None:
        noted = int(self.arrays.counters[0])
        self.arrays.attention[noted : noted + len(places)] = places
        self.arrays.check["noted"][places] = 1
        self.arrays.counters[0] += len(places)

    def rows(self) -> Rows:
        """What the checks remember, free of the present compilation's places."""
        arrays, compiled = self.arrays, self.compiled
        check, registered = arrays.check, compiled.derived.registered
        busy = (check["level"] != 0) | (check["told"] != 0) | (check["running"] != 0) | (check["noted"] != 0)
        places = np.flatnonzero(busy | (check["memo"] >= 0) | (compiled.owner >= registered))
        columns: Columns = {name: check[name][places] for name in _KEPT}
        columns["memo.rows"] = memos = np.flatnonzero(check["memo"][places] >= 0)
        memo, plans = arrays.memo[check["memo"][places[memos]]], compiled.columns[check["plan"][places[memos]]]
        columns |= {f"memo.{name}": memo[name].copy() for name in _OF_MEMO}
        columns["memo.use"] = _memo_use(plans)
        windowed = memo["window"] >= 0
        columns["window.rows"], window = memos[windowed], arrays.window[memo["window"][windowed]]
        columns |= {f"window.{name}": window[name].copy() for name in window.dtype.names or ()}
        columns["window.span"], columns["window.use"] = plans["window"][windowed], _window_use(plans[windowed])
        columns["derived.rows"] = behind = np.flatnonzero(compiled.owner[places] >= registered)
        series = arrays.series[compiled.owner[places[behind]]]
        columns |= {f"derived.{name}": series[name].copy() for name in _OF_SERIES}
        rule = compiled.rule_of[compiled.plan[places]].astype(np.int32)
        return Rows(compiled.anchor[places], compiled.rule_ids, rule, columns)

    def implant(self, rows: Rows) -> npt.NDArray[np.intp]:
        """Take over what was remembered; the rows that found no check."""
        to, found = self._places(rows)
        check, columns = self.arrays.check, rows.columns
        for name in _KEPT:
            check[name][to[found]] = columns[name][found]
        if "memo.rows" in columns:  # older snapshots kept only a rate's window, which fills anew
            self._implant_memos(columns, to, found)
            self._implant_derived(columns, to, found)
        self.arrays.series["busy"][self.compiled.owner[to[found]]] = 1
        noted = np.flatnonzero(check["noted"])
        self.arrays.attention[: len(noted)] = noted
        self.arrays.counters[0] = len(noted)
        return np.flatnonzero(~found)

    def _implant_memos(self, columns: Columns, to: npt.NDArray[np.intp], found: npt.NDArray[np.bool_]) -> None:
        """Memos of checks that have one still and use it for the same; windows also only of the same span."""
        check, memo, plans = self.arrays.check, self.arrays.memo, self.compiled.columns
        rows = columns["memo.rows"]
        kept = np.flatnonzero(found[rows])
        kept = kept[check["memo"][to[rows[kept]]] >= 0]
        places = to[rows[kept]]
        memo["below"][check["memo"][places]] = columns["memo.below"][kept]
        same = _memo_use(plans[check["plan"][places]]) == columns["memo.use"][kept]
        for name in _OF_MEMO[1:]:
            memo[name][check["memo"][places[same]]] = columns[f"memo.{name}"][kept[same]]
        rows = columns["window.rows"]
        kept = np.flatnonzero(found[rows])
        kept = kept[check["memo"][to[rows[kept]]] >= 0]
        places = to[rows[kept]]
        plan, window = plans[check["plan"][places]], memo["window"][check["memo"][places]]
        same = (plan["window"] == columns["window.span"][kept]) & (_window_use(plan) == columns["window.use"][kept])
        same &= window >= 0
        for name in self.arrays.window.dtype.names or ():
            self.arrays.window[name][window[same]] = columns[f"window.{name}"][kept[same]]

    def _implant_derived(self, columns: Columns, to: npt.NDArray[np.intp], found: npt.NDArray[np.bool_]) -> None:
        rows = columns["derived.rows"]
        kept = np.flatnonzero(found[rows])
        owner = self.compiled.owner[to[rows[kept]]]
        still = owner >= self.compiled.derived.registered
        for name in _OF_SERIES:
            self.arrays.series[name][owner[still]] = columns[f"derived.{name}"][kept[still]]

    def _places(self, rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """The check of each row, and whether it has one."""
        index = {rule_id: place for place, rule_id in enumerate(self.compiled.rule_ids)}
        place = np.array([*(index.get(rule_id, -1) for rule_id in rows.rules), -1], np.int64)[rows.rule]
        wanted = rows.series.astype(np.int64) * max(len(index), 1) + place
        keys, order = self._keys
        to = np.searchsorted(keys, wanted)
        found = (place >= 0) & (to < len(keys))
        found[found] = keys[to[found]] == wanted[found]
        to[found] = order[to[found]]
        return to, found

    @cached_property
    def _keys(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
        """The checks' keys, rising, and the check of each."""
        keys = self.compiled.keys
        order = np.argsort(keys, kind="stable")
        return keys[order], order


def _first(compiled: Compiled) -> npt.NDArray[Any]:
    """FIRST over series: how many checks with a memo, and with a window, those before it have."""
    first = np.zeros(len(compiled.start) - 1, FIRST)
    for name, has in (("memo", compiled.has_memo), ("window", compiled.has_window)):
        first[name] = np.concatenate([[0], np.cumsum(has)])[compiled.start[:-1]]
    return first


def _window_use(plans: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """What a window is kept for: 1 a count, 2 a mean, 3 both, 0 a rate."""
    return ((plans["count"] > 0) + 2 * (plans["needed"] > 0)).astype(np.int8)


def _memo_use(plans: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """What a memo is kept for: 2 a scatter, 1 a baseline, 0 neither."""
    return np.where(plans["kind"] == NOISE, 2, plans["learn"] > 0).astype(np.int8)


def grown(series: npt.NDArray[Any], device: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """The series' state carried to a registry with these device indexes; series never go away."""
    new = empty_series(device)
    for name in series.dtype.names or ():
        if name != "device":
            new[name][: len(series)] = series[name][: len(new)]
    return new
