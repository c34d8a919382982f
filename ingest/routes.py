"""Which gateway a message is from, and how it speaks: topics to dialects, for all registered gateways."""

from collections.abc import Mapping
from typing import NamedTuple

from paho.mqtt.matcher import MQTTMatcher

from devices.registry import Registry
from ingest.filter_owners import FilterOwners
from ingest.formats import FORMATS, Dialect
from ingest.formats.options import OptionsRefused
from ingest.formats.v1 import PREFIX, SUBSCRIPTIONS, VersionOne

_CACHED = 100_000


class Route(NamedTuple):
    """The gateway that a topic belongs to (for version 1 perhaps an unregistered one), and what reads it."""

    gateway: str
    dialect: Dialect


class Routes:
    """Topics to gateways, as one registry has them.

    Every gateway may speak version 1 under its own prefix; what its registered format adds arrives on that format's
    topics. `problems` tells which registrations can't work: bad options, or a filter that shares topics with
    another gateway's.
    """

    def __init__(self, registry: Registry) -> None:
        self.problems: dict[str, str] = {}
        self.dialects: dict[str, Dialect] = {}
        self._by_topic: dict[str, Route | None] = {}
        self._matcher = MQTTMatcher()  # type: ignore[no-untyped-call]
        self._filters: set[str] = set()
        self._owners = FilterOwners()
        self._own = {code: Route(code, VersionOne(code)) for code in registry.gateways}
        for gateway in registry.gateways.values():
            self._add(gateway.code, gateway.format, gateway.attributes)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """All topic filters to subscribe to."""
        return (*SUBSCRIPTIONS, *sorted(self._filters))

    def speaks_as(self, before: "Routes", gateway: str) -> bool:
        """Whether the gateway speaks the convention that it spoke before, so that what is remembered of it holds."""
        return type(self.dialects.get(gateway)) is type(before.dialects.get(gateway))

    def find(self, topic: str) -> Route | None:
        """The route of a topic; None when no gateway speaks there."""
        if topic.startswith(PREFIX):
            code = topic.split("/", 3)[2]
            return self._own.get(code) or Route(code, VersionOne(code))
        if topic not in self._by_topic:
            if len(self._by_topic) >= _CACHED:
                self._by_topic.clear()
            self._by_topic[topic] = next(self._matcher.iter_match(topic), None)  # type: ignore[no-untyped-call]
        return self._by_topic[topic]

    def _add(self, code: str, name: str, options: Mapping[str, object]) -> None:
        try:
            dialect = FORMATS[name](code, options)
        except KeyError:
            self.problems[code] = f"there is no format {name}: choose from {', '.join(sorted(FORMATS))}"
            return
        except OptionsRefused as refused:
            self.problems[code] = str(refused)
            return
        self.dialects[code] = dialect
        for topic in dialect.topics:
            if (owner := self._owners.claim(topic, code)) != code:
                self.problems[code] = f"{topic} means topics that {owner} has already"
                continue
            self._filters.add(topic)
            self._matcher[topic] = Route(code, dialect)
