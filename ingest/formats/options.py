"""A gateway's registered options (its attributes), read with every fault told at once."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ingest.formats.field_map import FieldMap
from ingest.formats.topics import fault_of_topic


class OptionsRefused(ValueError):
    """Options that a format can't use; `problems` has one line "key: problem" for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Options:
    """One gateway's options, read key by key; `finish` raises when any of them can't be used.

    A gateway may have attributes that are no options; one that is spelled nearly like an option is a fault.

    >>> options = Options("GW-0001", {"topic": "meters/{gateway}/#", "feilds": {}})
    >>> options.topics("topic", "senml/{gateway}/#"), options.text("device"), options.fields().fields
    (('meters/GW-0001/#',), None, {})
    >>> options.finish()
    Traceback (most recent call last):
    ...
    ingest.formats.options.OptionsRefused: feilds: is no option; fields?
    """

    def __init__(self, gateway: str, given: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        self._gateway, self._given = gateway, given
        self._read: list[str] = []

    def value(self, key: str) -> Any:
        """What is given as it stands, None without."""
        self._read.append(key)
        return self._given.get(key)

    def text(self, key: str, default: str | None = None) -> str | None:
        """A text that is not empty."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value:
            self.problem(key, "must be a text")
            return default
        return value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One of some words."""
        value = self.text(key, default)
        if value not in choices:
            self.problem(key, f"must be one of {', '.join(choices)}")
            return default
        return str(value)

    def fields(self) -> FieldMap:
        """The option `fields`."""
        self._read.append("fields")
        return FieldMap.of(self._given, self.problems)

    def topics(self, key: str, default: str | None, wildcards: bool = True) -> tuple[str, ...]:
        """One topic filter or several, {gateway} filled in with its code; without `wildcards` plain topics.

        Without a `default` the option is required; an empty one means none.
        """
        value, found = self.value(key), list[str]()
        if value is None and not default:
            if default is None:
                self.problem(key, "is required")
            return ()
        patterns = [default] if value is None else value if isinstance(value, list) else [value]
        for pattern in patterns:
            if why := fault_of_topic(pattern, wildcards):
                self.problem(key, why)
            else:
                found.append(str(pattern).replace("{gateway}", self._gateway))
        return tuple(found)

    def prefix(self, key: str) -> str:
        """Plain topic levels with a slash behind them, empty without: for conventions whose topics name no gateway."""
        levels = (self.text(key) or "").rstrip("/")
        if levels and (why := fault_of_topic(levels, wildcards=False)):
            self.problem(key, why)
        return f"{levels}/" if levels else ""

    def level(self, key: str, default: str) -> str:
        """One plain level of a topic."""
        level = self.text(key, default) or default
        if "/" in level or fault_of_topic(level, wildcards=False):
            self.problem(key, "must be one level of a topic, without / + #")
        return level

    def problem(self, key: str, told: str) -> None:
        """Add a fault."""
        self.problems.append(f"{key}: {told}")

    def finish(self) -> None:
        """Raise OptionsRefused with every fault, if there is one."""
        for key in self._given:
            if key not in self._read and (close := get_close_matches(key, self._read, 1, 0.8)):
                self.problem(key, f"is no option; {close[0]}?")
        if self.problems:
            raise OptionsRefused(self.problems)
