"""Inhibition by topology: while one alert is open, others that it explains are held. Pure.

A label that is missing on both sides makes nothing the same; nothing inhibits itself or what inhibits it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from alerts.matching import Labels, Matcher, matcher, matches


class Inhibitor(NamedTuple):
    """While an alert that `source` matches is open, those that `target` matches and whose `equal` labels are the
    same are held."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


class Source(NamedTuple):
    """An open alert that may inhibit others; `held_by` is the alert that inhibits it itself."""

    id: int
    labels: Labels
    held_by: int | None = None


INHIBITORS: tuple[Inhibitor, ...] = (
    Inhibitor(
        "gateway_offline",
        (matcher("subject_kind", "=", "gateway"), matcher("kind", "=", "gateway")),
        (matcher("subject_kind", "=", "device"), matcher("kind", "in", "silence", "frozen")),
        ("gateway",),
    ),
    Inhibitor(
        "site_power_lost",
        (matcher("hazard", "=", "power"), matcher("subject_kind", "in", "site", "device")),
        (matcher("subject_kind", "=", "device"), matcher("hazard", "=", "device")),
        ("site",),
    ),
)
"""A dead gateway inhibits the silence of its devices, a site without power its devices' faults.

Not what they measure: a cold store that warms up or a pump that stands still is what a cut makes urgent.
"""


class Sources:
    """The open alerts that may inhibit others, found by inhibitor and equal labels without going through them all."""

    def __init__(self, inhibitors: Sequence[Inhibitor], sources: Iterable[Source] = ()) -> None:
        self._inhibitors = inhibitors
        self._known: dict[int, Source] = {}
        self._by: dict[tuple[str, tuple[str, ...]], set[int]] = {}
        for each in sources:
            self.add(each)

    def add(self, source: Source) -> None:
        """A source that opened, or whose hold changed."""
        self._known[source.id] = source
        for key in self._keys(source.labels):
            self._by.setdefault(key, set()).add(source.id)

    def drop(self, number: int) -> None:
        """A source that closed."""
        if source := self._known.pop(number, None):
            for key in self._keys(source.labels):
                self._by[key].discard(number)

    def inhibiting(self, labels: Labels, number: int) -> tuple[str, int] | None:
        """The inhibitor's name and the oldest source that holds the alert `number`; None when nothing does.

        What could be a source of an inhibitor is no target of it, and nothing is held by what it holds itself.
        """
        for inhibitor in self._inhibitors:
            if not matches(inhibitor.target, labels) or matches(inhibitor.source, labels):
                continue
            key = _key(inhibitor, labels)
            for source in sorted(self._by.get(key, ())) if key else ():
                if number not in self._chain(source):
                    return inhibitor.name, source
        return None

    def _chain(self, number: int) -> set[int]:
        """A source, what inhibits it, what inhibits that."""
        chain: set[int] = set()
        held_by: int | None = number
        while held_by is not None and held_by not in chain:
            chain.add(held_by)
            found = self._known.get(held_by)
            held_by = found.held_by if found else None
        return chain

    def _keys(self, labels: Labels) -> Iterator[tuple[str, tuple[str, ...]]]:
        for inhibitor in self._inhibitors:
            if matches(inhibitor.source, labels) and (key := _key(inhibitor, labels)):
                yield key


def _key(inhibitor: Inhibitor, labels: Labels) -> tuple[str, tuple[str, ...]] | None:
    """Nothing without all of the equal labels, or any: missing on both sides is not the same, nor is the whole town."""
    values = tuple(labels.get(name, "") for name in inhibitor.equal)
    return (inhibitor.name, values) if values and all(values) else None


def may_be_source(inhibitors: Sequence[Inhibitor], labels: Labels) -> bool:
    """Whether alerts with these labels, the others being unknown, could inhibit others."""
    return any(
        all(each.label not in labels or each.holds(labels) for each in inhibitor.source) for inhibitor in inhibitors
    )


def may_be_target(inhibitors: Sequence[Inhibitor], labels: Labels) -> bool:
    """Whether an alert is one that others could inhibit."""
    return any(matches(inhibitor.target, labels) for inhibitor in inhibitors)
