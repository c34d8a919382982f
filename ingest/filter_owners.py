"""Which gateway has which topics: of two whose filters share one, the first has it."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class FilterOwners:
    """Which account has which topic filters, as a tree of their levels.

    >>> owners = FilterOwners()
    >>> owners.claim("tele/#", "GW-1"), owners.claim("stat/+/POWER", "GW-2"), owners.claim("tele/x/SENSOR", "GW-2")
    ('GW-1', 'GW-2', 'GW-1')
    """

    owner: str = ""
    below: "dict[str, FilterOwners]" = field(default_factory=dict)

    def claim(self, filter_: str, owner: str) -> str:
        """Give a filter to an account unless it shares a topic with a filter of another: who has it now."""
        levels = filter_.split("/")
        if other := next((found for found in self._sharing(levels) if found != owner), None):
            return other
        node = self
        for level in levels:
            node = node.below.setdefault(level, FilterOwners())
        node.owner = owner
        return owner

    def _sharing(self, levels: list[str]) -> Iterator[str]:
        """The owners of all filters that share a topic with this one."""
        if not levels or levels[0] == "#":
            yield from self._all() if levels else self._here()
            return
        head, rest = levels[0], levels[1:]
        for level, node in self.below.items() if head == "+" else self._named(head):
            yield from node._here() if level == "#" else node._sharing(rest)

    def _named(self, level: str) -> "list[tuple[str, FilterOwners]]":
        return [(name, self.below[name]) for name in (level, "+", "#") if name in self.below]

    def _here(self) -> Iterator[str]:
        yield from (node.owner for node in (self, self.below.get("#")) if node and node.owner)

    def _all(self) -> Iterator[str]:
        yield from self._here()
        for node in self.below.values():
            yield from node._all()
