"""What a backtest found: both sides' alerts and tickets, what is new, what is lost, and how much sooner people hear."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from statistics import median

import msgspec

from core.clock import SECOND
from detectors.words import Severity

_FOR_EVER = 2**62
MOST_LISTED = 200
"""So many episodes are listed of what is new and what is lost, the gravest and oldest first; `count` has them all."""


class Episode(msgspec.Struct, frozen=True):
    """One episode of one rule on one device; times µs UTC.

    `onset` is from when the limit was violated, `told` when it was said, after its dwell; `end` is None while it goes
    on at the end of the span. `severity` and `value` are the gravest; `paged` tells whether people would have been.
    """

    rule: str
    device: str
    site: str
    severity: int
    onset: int
    told: int
    end: int | None
    value: float
    paged: bool


class Side(msgspec.Struct):
    """What one set of rules said. `recorded` episodes page nobody; `tickets` is what the alerts make together."""

    alerts: int = 0
    recorded: int = 0
    tickets: int = 0
    by_severity: dict[str, int] = {}


class Listing(msgspec.Struct):
    """Episodes, at most MOST_LISTED of `count`."""

    count: int
    episodes: list[Episode]


class Lead(msgspec.Struct):
    """Seconds by which the tried rules speak before today's, over today's alerts that both know; negative: later."""

    matched: int = 0
    earlier: int = 0
    later: int = 0
    median: float = 0.0
    longest: float = 0.0
    shortest: float = 0.0


class Row(msgspec.Struct):
    """A site's or a rule's alerts on both sides, and what of them only one side has."""

    today: int = 0
    tried: int = 0
    new: int = 0
    lost: int = 0
    tickets_today: int = 0
    tickets_tried: int = 0


class LeftOut(msgspec.Struct):
    """A rule that stored readings can't be judged by, and its kind."""

    rule: str
    kind: str


class Result(msgspec.Struct):
    """All that a backtest found. `seconds` is how long it took; alerts are episodes that would have paged people.

    `changed` are the rules that differ between the two sides; `left_out` those that were not judged on either.
    """

    since: int
    until: int
    readings: int
    seconds: float
    today: Side
    tried: Side
    new: Listing
    lost: Listing
    lead_s: Lead
    by_site: dict[str, Row]
    by_rule: dict[str, Row]
    changed: list[str]
    left_out: list[LeftOut]


class Compared(msgspec.Struct):
    """Two sides' episodes set against each other: what only one has, and the leads of what both have, µs."""

    new: list[Episode]
    lost: list[Episode]
    leads: list[int]


def compare(today: Sequence[Episode], tried: Sequence[Episode]) -> Compared:
    """Match the paged episodes of one rule on one device that overlap in time.

    >>> before = Episode("r", "d", "s", 3, onset=10, told=20, end=30, value=1.0, paged=True)
    >>> after = msgspec.structs.replace(before, onset=5, told=12)
    >>> compare([before], [after]).leads
    [8]
    """
    old, fresh = _paged(today), _paged(tried)
    found = Compared([], [], [])
    for key in sorted({*old, *fresh}):
        ours, theirs = old.get(key, []), sorted(fresh.get(key, []), key=_begin)
        begins, ends = [*map(_begin, theirs)], [*accumulate(map(_end, theirs), max)]
        met: set[int] = set()
        for episode in ours:
            near = _overlapping(episode, theirs, begins, ends)
            met.update(near)
            if near:
                found.leads.append(episode.told - min(theirs[place].told for place in near))
            else:
                found.lost.append(episode)
        found.new += [other for place, other in enumerate(theirs) if place not in met]
    return found


def _overlapping(episode: Episode, theirs: Sequence[Episode], begins: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The places of those that overlap it in time; `theirs` by onset, `ends` is the latest end up to each."""
    near = []
    for place in range(bisect_right(begins, _end(episode)) - 1, -1, -1):
        if ends[place] < episode.onset:
            break
        if _end(theirs[place]) >= episode.onset:
            near.append(place)
    return near


def _begin(episode: Episode) -> int:
    return episode.onset


def _end(episode: Episode) -> int:
    return _FOR_EVER if episode.end is None else episode.end


def _paged(episodes: Iterable[Episode]) -> dict[tuple[str, str], list[Episode]]:
    grouped: dict[tuple[str, str], list[Episode]] = defaultdict(list)
    for episode in episodes:
        if episode.paged:
            grouped[episode.rule, episode.device].append(episode)
    return grouped


def side_of(episodes: Sequence[Episode]) -> Side:
    """The counts of one side; its tickets are counted elsewhere."""
    alerts = [episode for episode in episodes if episode.paged]
    by_severity = Counter(Severity(episode.severity).name.lower() for episode in alerts)
    return Side(len(alerts), len(episodes) - len(alerts), 0, dict(by_severity))


def lead_of(leads: Sequence[int]) -> Lead:
    """The leads in seconds, summed up."""
    if not leads:
        return Lead()
    spans = [lead / SECOND for lead in leads]
    earlier, later = sum(span > 0 for span in spans), sum(span < 0 for span in spans)
    return Lead(len(spans), earlier, later, float(median(spans)), max(spans), min(spans))


def listing(episodes: Sequence[Episode]) -> Listing:
    """The gravest first, then the oldest."""
    ordered = sorted(episodes, key=lambda episode: (-episode.severity, episode.told, episode.rule, episode.device))
    return Listing(len(ordered), ordered[:MOST_LISTED])


def rows_by(name: str, today: Sequence[Episode], tried: Sequence[Episode], compared: Compared) -> dict[str, Row]:
    """The counts by "site" or "rule", by its code."""
    rows: dict[str, Row] = defaultdict(Row)
    parts = {"today": today, "tried": tried, "new": compared.new, "lost": compared.lost}
    for column, episodes in parts.items():
        for code, count in Counter(getattr(each, name) for each in episodes if each.paged).items():
            setattr(rows[code], column, count)
    return dict(sorted(rows.items()))
