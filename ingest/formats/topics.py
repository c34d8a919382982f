"""Topic patterns: filters in which one level may be {device}."""

import re
from typing import NamedTuple

_RESERVED = "sw/"
"""The platform's own topics."""


class TopicPattern(NamedTuple):
    """A topic filter, and which of its levels names the device.

    >>> pattern = TopicPattern.of("tele/{device}/SENSOR")
    >>> pattern.filter, pattern.device("tele/plug-7/SENSOR"), pattern.matches("tele/plug-7/STATE")
    ('tele/+/SENSOR', 'plug-7', False)
    """

    filter: str
    level: int | None

    @classmethod
    def of(cls, pattern: str) -> "TopicPattern":
        """The pattern that a text spells."""
        levels = pattern.split("/")
        level = levels.index("{device}") if "{device}" in levels else None
        return cls(pattern.replace("{device}", "+"), level)

    def matches(self, topic: str) -> bool:
        """Does a message of this topic come by the filter?"""
        wanted, levels = self.filter.split("/"), topic.split("/")
        if wanted[-1] == "#":
            wanted.pop()
            levels = levels[: len(wanted)]
        return len(wanted) == len(levels) and all(
            want in ("+", level) for want, level in zip(wanted, levels, strict=True)
        )

    def device(self, topic: str) -> str | None:
        """The device that a matching topic names; None where the pattern has no {device}."""
        return None if self.level is None else topic.split("/")[self.level]


def fault_of_topic(pattern: object, wildcards: bool = True) -> str:
    """Why a pattern is no topic filter that a gateway may have; empty when it is one.

    >>> fault_of_topic("meters/+/{device}"), fault_of_topic("meters/a+/up")
    ('', "'meters/a+/up' has +, # or {device} beside other characters, or # before the end")
    """
    if not isinstance(pattern, str) or not pattern or "\0" in pattern or len(pattern) > 1_000:
        return "must be a topic"
    levels = pattern.split("/")
    if any(re.search(r"[+#]|\{device\}", each) and each not in ("+", "#", "{device}") for each in levels):
        return f"{pattern!r} has +, # or {{device}} beside other characters, or # before the end"
    if "#" in levels[:-1]:
        return f"{pattern!r} has +, # or {{device}} beside other characters, or # before the end"
    if levels.count("{device}") > 1:
        return f"{pattern!r} has {{device}} twice"
    if levels[0] in ("+", "#", "{device}"):
        return f"{pattern!r} must begin with a level of its own"
    if pattern.startswith(_RESERVED) or pattern.startswith("$"):
        return f"{pattern!r} is the platform's or the broker's own"
    if not wildcards and re.search("[+#]", pattern):
        return f"{pattern!r} must hold no + or #"
    return ""
