"""One budget of anomaly warnings for the whole town: the strongest go first, and what is held back is kept in a list.

Scores are -log10 of the probability of something at least so odd. What counts is a candidate's weight: its score, plus
log10 of its series' share, less log10 of how many devices speak of that metric in the same hour: one odd dust sensor is
news, a hundred are the weather. A candidate goes out at once if its weight reaches the threshold and less than the
hour's budget is spent. The threshold never falls below FLOOR, rises with each candidate that reaches it, and sinks with
time, so that as many reach it in the long run as the budget allows.
"""

import json
import math
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from core.clock import HOUR, MINUTE

FLOOR = 5.5
"""The least weight of a warning: one reading in 300,000."""
NOTABLE = 4.5
"""The least score of a candidate; what is less is nobody's concern."""
RISE, MOST = 0.1, 3.0
"""What a candidate that reaches the threshold adds to it, and how far above FLOOR it may be."""
WAIT = 30 * MINUTE
"""So long a candidate waits for its turn when the hour's budget is spent."""
QUIET = 2 * HOUR
"""An episode is over when its device gave no candidate for so long."""
KEPT = 500
"""Entries of the list of what was held back."""
_SHARE, _LEAST_SHARE, _MOST_SHARE = 4.0, 1 / 1024, 16.0

Series = tuple[str, str]


class Candidate(NamedTuple):
    """Something odd about a device, by one tier."""

    device: str
    metric: str
    at: int
    """µs UTC of the reading."""
    score: float
    tier: str
    evidence: Mapping[str, Any]


class Weighed(NamedTuple):
    """A candidate with its weight, and why it weighs that: the decision's reason."""

    candidate: Candidate
    weight: float
    threshold: float
    share: float
    alike: int
    """Other devices that gave candidates of the same metric within the hour before."""


class Change(NamedTuple):
    """A warning to give (`active`), or the end of one."""

    active: bool
    at: int
    weighed: Weighed


class HeldBack(NamedTuple):
    """A candidate that became no warning: `reason` is "weak" (below the threshold) or "spent" (the hour's budget)."""

    at: int
    weighed: Weighed
    reason: str


class _Episode(NamedTuple):
    last: int
    weighed: Weighed


class Budget:
    """Candidates in, at most `per_hour` warnings in any hour out; one at a time of a device.

    >>> budget = Budget(per_hour=1)
    >>> budget.offer(0, Candidate("P-1", "pm25", 0, 6.0, "cheap", {}))
    >>> budget.offer(0, Candidate("P-2", "gas", 0, 9.0, "cheap", {}))
    >>> [change.weighed.candidate.device for change in budget.tick(0)]
    ['P-2']
    """

    def __init__(self, per_hour: int = 6) -> None:
        if per_hour < 1:
            raise ValueError(f"a budget of {per_hour} warnings an hour: at least 1 is needed")
        self.per_hour = per_hour
        self.held_back: deque[HeldBack] = deque(maxlen=KEPT)
        self.counts = {"warned": 0, "weak": 0, "spent": 0}
        self._above = 0.0
        self._ticked: int | None = None
        self._spent: deque[int] = deque()
        self._waiting: dict[str, tuple[int, Candidate]] = {}
        self._episodes: dict[str, _Episode] = {}
        self._speaking: dict[str, dict[str, int]] = {}
        self._shares: dict[Series, float] = {}

    @property
    def threshold(self) -> float:
        """The least weight of a warning now."""
        return FLOOR + self._above

    @property
    def spent(self) -> int:
        """Warnings of the hour before the last tick."""
        return len(self._spent)

    def shares(self) -> dict[Series, float]:
        """Of each series (device, metric) that labels were given to: the factor of its budget share, 1 being usual."""
        return dict(self._shares)

    def label(self, counts: Mapping[Series, tuple[int, int]]) -> None:
        """Take all labels that stand now: of each series how many false alarms, how many real ones.

        Whatever stood before is forgotten, so taking back a label takes back its effect.
        """
        self._shares = {}
        for series, (false, real) in counts.items():
            if false != real:
                share = _SHARE ** max(min(real - false, 10), -10)
                self._shares[series] = min(max(share, _LEAST_SHARE), _MOST_SHARE)

    def is_open(self, device: str) -> bool:
        """Whether a device has been warned of and is not quiet yet."""
        return device in self._episodes

    def offer(self, now: int, candidate: Candidate) -> None:
        """Take a candidate; of one device the strongest waits, and one already warned of goes on being warned of."""
        if candidate.score < NOTABLE:
            return
        device = candidate.device
        self._speaking.setdefault(candidate.metric, {})[device] = now
        if device in self._episodes:
            self._episodes[device] = self._episodes[device]._replace(last=now)
            return
        since, before = self._waiting.get(device, (now, candidate))
        self._waiting[device] = since, max(before, candidate, key=lambda one: one.score)

    def tick(self, now: int) -> list[Change]:
        """Decide on what waits; call it at least once a minute. Ends come first, then warnings, the strongest first."""
        self._pass_time(now)
        changes = self._ended(now)
        weighed = sorted((self._weigh(one) for _, one in self._waiting.values()), key=lambda one: -one.weight)
        for one in weighed:
            device = one.candidate.device
            since = self._waiting[device][0]
            if one.weight < self.threshold:
                self._hold_back(now, one, "weak")
            elif len(self._spent) >= self.per_hour:
                if now - since >= WAIT:
                    self._above = min(self._above + RISE, MOST)
                    self._hold_back(now, one, "spent")
            else:
                del self._waiting[device]
                self._episodes[device] = _Episode(now, one)
                self._spent.append(now)
                self._above = min(self._above + RISE, MOST)
                self.counts["warned"] += 1
                changes.append(Change(True, now, one))
        return changes

    def _pass_time(self, now: int) -> None:
        if self._ticked is not None:
            passed = max(now - self._ticked, 0) / HOUR
            self._above = max(self._above - RISE * self.per_hour * passed, 0.0)
        self._ticked = now
        while self._spent and now - self._spent[0] >= HOUR:
            self._spent.popleft()
        for metric, devices in list(self._speaking.items()):
            still = {device: at for device, at in devices.items() if now - at < HOUR}
            if still:
                self._speaking[metric] = still
            else:
                del self._speaking[metric]

    def _ended(self, now: int) -> list[Change]:
        over = [device for device, episode in self._episodes.items() if now - episode.last >= QUIET]
        return [Change(False, now, self._episodes.pop(device).weighed) for device in over]

    def _weigh(self, candidate: Candidate) -> Weighed:
        share = self._shares.get((candidate.device, candidate.metric), 1.0)
        alike = max(len(self._speaking.get(candidate.metric, ())) - 1, 0)
        weight = candidate.score + math.log10(share) - math.log10(1 + alike)
        return Weighed(candidate, weight, self.threshold, share, alike)

    def _hold_back(self, now: int, weighed: Weighed, reason: str) -> None:
        del self._waiting[weighed.candidate.device]
        self.counts[reason] += 1
        last = next((one for one in reversed(self.held_back) if _same(one.weighed, weighed)), None)
        if last is None or now - last.at >= HOUR:
            self.held_back.append(HeldBack(now, weighed, reason))

    def pack(self) -> bytes:
        """The state but shares, as JSON."""
        return json.dumps(
            {
                "above": self._above,
                "ticked": self._ticked,
                "spent": list(self._spent),
                "counts": self.counts,
                "waiting": [(since, _plain(one)) for since, one in self._waiting.values()],
                "episodes": [(one.last, _packed(one.weighed)) for one in self._episodes.values()],
                "speaking": self._speaking,
                "held_back": [(one.at, _packed(one.weighed), one.reason) for one in self.held_back],
            }
        ).encode()

    def unpack(self, kept: bytes) -> None:
        """Go on from what was packed; ValueError if it is no such state."""
        try:
            state = json.loads(kept)
            self._above, self._ticked = float(state["above"]), state["ticked"]
            self._spent = deque(state["spent"])
            self.counts = dict(state["counts"])
            waiting = [(since, Candidate(*one)) for since, one in state["waiting"]]
            episodes = [_Episode(last, _unpacked(one)) for last, one in state["episodes"]]
            self._speaking = state["speaking"]
            held_back = (HeldBack(at, _unpacked(one), reason) for at, one, reason in state["held_back"])
            self.held_back = deque(held_back, maxlen=KEPT)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no state of a budget: {error!r}") from error
        self._waiting = {one.device: (since, one) for since, one in waiting}
        self._episodes = {one.weighed.candidate.device: one for one in episodes}


def _same(one: Weighed, other: Weighed) -> bool:
    return one.candidate.device == other.candidate.device and one.candidate.metric == other.candidate.metric


def _plain(candidate: Candidate) -> list[Any]:
    return [*candidate[:-1], dict(candidate.evidence)]


def _packed(weighed: Weighed) -> list[Any]:
    return [_plain(weighed.candidate), *weighed[1:]]


def _unpacked(kept: list[Any]) -> Weighed:
    return Weighed(Candidate(*kept[0]), *kept[1:])
