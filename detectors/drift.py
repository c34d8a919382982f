"""Drift: a sensor whose hourly means stay away from the median of its neighbours'.

Once a minute the newest value of each series is taken, if it is new, in range and not from a sick or resting device;
an hour's mean is that of its values. Neighbours are the devices of the same type at the site where there are at least
three others, else those behind the same gateway. An hour is judged when at least three neighbours that aren't sick have
a mean, and the distance must lie on the same side of their median for the whole window; an hour that can't be judged
changes nothing. Which hour it is tells the journal, so that late readings and clocks don't matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import HOUR, MINUTE, SECOND
from detectors.compound import MemberKey, OpenEpisode
from detectors.drift_groups import LEVELS, Grouped, grouped, medians_of_others
from detectors.kernel import NEVER
from detectors.speech import Speech
from detectors.words import Change, Detection, Severity, Subject
from devices.registry import Registry
from ingest.words import Quality

NEIGHBOURS = 3
"""How many neighbours need a mean before an hour is judged."""
_UNFIT = int(Quality.OUT_OF_RANGE | Quality.DISORDERED | Quality.AGED)

MEAN = np.dtype([("sum", np.float64), ("taken", np.int64), ("count", np.int32), ("fill", np.int32)])
"""Of a series within the present hour; `taken` is the own time of the newest value that is in the sum."""
STATE = np.dtype(
    [
        ("hours", np.int32, LEVELS),  # judged hours in a row that reached level 1..4
        ("side", np.int32),  # of the median: -1, 1; 0 before the first judged hour
        ("begun", np.int64),  # the hour from which the lowest level is reached
        ("onset", np.int64),
        ("mean", np.float64),
        ("median", np.float64),
        ("neighbours", np.int32),
        ("level", np.int8),
        ("told", np.int8),
        ("fill", np.int8, 2),
    ]
)
"""Of a rule on a series, since the last judged hour."""


class Kept(NamedTuple):
    """What outlives a change of rules or registry: series numbers with MEAN, (series, rule) with STATE, and the hour.

    `rule` is each state's place in `rules`; `minute` and `hour` are those of the last taking, counted from the epoch.
    """

    numbers: npt.NDArray[np.int32]
    means: npt.NDArray[Any]
    series: npt.NDArray[np.int32]
    rule: npt.NDArray[np.int32]
    rules: list[str]
    states: npt.NDArray[Any]
    minute: int
    hour: int


_NONE = np.empty(0, np.int32)
NOTHING = Kept(_NONE, np.empty(0, MEAN), _NONE, _NONE, [], np.empty(0, STATE), -1, -1)


@dataclass
class Drift:
    """The drift rules in force over one registry.

    `series` is the kernel's SERIES. Over devices: `active` pages people, `elsewise` is sick by another rule than one on
    drift.
    """

    speech: Speech
    series: npt.NDArray[Any]
    active: npt.NDArray[np.bool_]
    elsewise: npt.NDArray[np.bool_]
    kept: Kept = field(default=NOTHING)

    def __post_init__(self) -> None:
        self._grouped: Grouped = grouped(self.speech.rules, self.speech.registry)
        self._means = np.zeros(len(self._grouped.numbers), MEAN)
        self._means["taken"] = NEVER
        self._states = np.zeros(len(self._grouped.check_series), STATE)
        self._minute, self._hour = self.kept.minute, self.kept.hour
        self._implant(self.kept)
        self.kept = NOTHING

    def _implant(self, kept: Kept) -> None:
        if not len(kept.numbers):
            return
        known = {number: place for place, number in enumerate(kept.numbers.tolist())}
        places = np.array([known.get(number, -1) for number in self._grouped.numbers.tolist()], np.int64)
        self._means[places >= 0] = kept.means[places[places >= 0]]
        rules = [kept.rules[place] for place in kept.rule.tolist()]
        rows = {pair: place for place, pair in enumerate(zip(kept.series.tolist(), rules, strict=True))}
        for check, pair in enumerate(self._grouped.keys):
            if pair in rows:
                self._states[check] = kept.states[rows[pair]]

    def memory(self) -> Kept:
        """What outlives this object."""
        its = self._grouped
        rules = sorted({rule for _, rule in its.keys})
        rule = np.array([rules.index(each) for _, each in its.keys], np.int32)
        clock = self._minute, self._hour
        return Kept(its.numbers, self._means, its.check_series, rule, rules, self._states, *clock)

    def tick(self, now: int) -> Iterator[Detection]:
        """Episodes that begin, rise, ease, end or are announced anew."""
        minute, hour = now // MINUTE, now // HOUR
        if minute != self._minute and len(self._grouped.numbers):
            if hour != self._hour:
                self._close()
            self._take()
            self._minute, self._hour = minute, hour
        for check in np.flatnonzero(self._states["level"] != self._states["told"]).tolist():
            yield self._say(check, now)

    def _take(self) -> None:
        its, means = self._grouped, self._means
        newest = self.series[its.numbers]
        fresh = (newest["last_at"] != means["taken"]) & (newest["last_at"] != NEVER)
        fresh &= (newest["quality"] & _UNFIT) == 0
        fresh &= self.active[its.devices] & ~self.elsewise[its.devices] & np.isfinite(newest["last_value"])
        means["taken"] = newest["last_at"]
        means["sum"][fresh] += newest["last_value"][fresh]
        means["count"][fresh] += 1

    def _close(self) -> None:
        """Judge the hour that is over and begin another."""
        its, means = self._grouped, self._means
        known = means["count"] > 0
        mean = np.where(known, means["sum"] / np.maximum(means["count"], 1), np.nan)
        means["sum"], means["count"] = 0.0, 0
        drifting = np.zeros(len(self.active), np.bool_)
        drifting[self.devices_drifting()] = True
        sound = known & ~drifting[its.devices] & ~self.elsewise[its.devices]
        median, count = medians_of_others(its, mean, sound)
        judged = known[its.check_place] & (count >= NEIGHBOURS)
        self._judge(np.flatnonzero(judged), mean[its.check_place], median, count)

    def _judge(
        self,
        checks: npt.NDArray[np.intp],
        mean: npt.NDArray[np.float64],
        median: npt.NDArray[np.float64],
        count: npt.NDArray[np.int64],
    ) -> None:
        states, its = self._states[checks], self._grouped
        distance = mean[checks] - median[checks]
        side = np.where(distance < 0, -1, 1)
        states["hours"][side != states["side"]] = 0
        reached = np.abs(distance)[:, None] >= its.limits[checks]
        states["hours"] = np.where(reached, states["hours"] + 1, 0)
        lowest = states["hours"].max(axis=1)
        states["begun"][lowest == 1] = self._hour * HOUR
        confirmed = states["hours"] >= its.needed[checks][:, None]
        left = np.abs(distance)[:, None] < its.floors[checks]
        held = (np.arange(1, LEVELS + 1) <= states["level"][:, None]) & ~left & (side == states["side"])[:, None]
        level = np.where(confirmed | held, np.arange(1, LEVELS + 1), 0).max(axis=1)
        begins = (states["level"] == 0) & (level > 0)
        states["onset"][begins] = states["begun"][begins]
        states["level"], states["side"] = level, side
        states["mean"], states["median"], states["neighbours"] = mean[checks], median[checks], count[checks]
        self._states[checks] = states

    def _say(self, check: int, now: int) -> Detection:
        state, its = self._states[check], self._grouped
        number, rule_id = its.keys[check]
        rule, registry = self.speech.rules.rules[rule_id], self.speech.registry
        device, told, level = int(registry.device[number]), int(state["told"]), Severity(int(state["level"]))
        subject, onset = Subject("device", registry.device_codes[device]), int(state["onset"])
        state["told"] = level
        if not level:
            return self.speech.cleared(rule_id, subject, onset, now, now, "recovered")
        terms = its.terms[check]
        mean, median = float(state["mean"]), float(state["median"])
        evidence = {
            "metric": rule.metric,
            "unit": registry.types[registry.type_code[device]].metrics[rule.metric].unit,
            "limits": {severity.name.lower(): limit for severity, limit in sorted(terms.limits.items())},
            "recovery": terms.recovery,
            "median": median,
            "neighbours": int(state["neighbours"]),
            "distance": mean - median,
            "window_s": terms.window / SECOND,
        }
        reason = "eased" if level < told else "drift"
        said = self.speech.opened(rule, subject, onset, now, now, reason, evidence)
        change = Change.UPDATED if told else Change.OPENED
        measured = {"severity": level, "value": mean, "limit": terms.limits.get(level), "series": number}
        return msgspec.structs.replace(said, change=change, **measured)

    def devices_drifting(self) -> npt.NDArray[np.int32]:
        """Indexes of the devices with an open episode."""
        places = self._grouped.check_place[self._states["level"] > 0]
        return self._grouped.devices[places]

    def episodes(self) -> Iterator[OpenEpisode]:
        """What is announced."""
        return announced_in(self.memory(), self.speech.registry)

    def rearm(self, device: str, rule: str) -> None:
        """Forget that an episode was announced: while it stands, it is announced again with its onset."""
        numbers = set(self.speech.registry.series_of.get(device, {}).values())
        for check in np.flatnonzero(self._states["told"]).tolist():
            number, its = self._grouped.keys[check]
            if its == rule and number in numbers:
                self._states["told"][check] = 0

    def open_episodes(self) -> int:
        """How many are announced."""
        return int(np.count_nonzero(self._states["told"]))


def announced_in(kept: Kept, registry: Registry) -> Iterator[OpenEpisode]:
    """The announced episodes of what was kept."""
    for row in np.flatnonzero(kept.states["told"]).tolist():
        device = int(registry.device[kept.series[row]])
        if device >= 0:
            key = MemberKey(kept.rules[kept.rule[row]], registry.device_codes[device])
            yield OpenEpisode(key, int(kept.states["onset"][row]), True)
