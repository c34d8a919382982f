"""SenML, sensor measurement lists in JSON (RFC 8428).

Options: `topic` (filters, default `senml/{gateway}/#`; a level may be {device}), `device` (one for all records),
`fields` (see field_map). A resolved name is a device's name, one of "/" and ":" (after a `urn:dev:` identifier also
"_") and a metric. Units are not read: what comes in another unit than the device type's is converted by `fields`.

>>> payload = b'''[{"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1790000000, "n": "gas_lel", "u": "%", "v": 3.2},
...               {"n": "battery", "u": "%EL", "v": 97, "t": -60}]'''
>>> for item in SenML("GW-0001", {}).decode(Message("senml/GW-0001/up", payload, 0)):
...     print(item.device, item.t, item.values)
urn:dev:ow:10e2073a01080063 1790000000000.0 {'gas_lel': 3.2}
urn:dev:ow:10e2073a01080063 1789999940000.0 {'battery': 97}
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ingest.formats.field_map import LONGEST_NAME, huge, type_name
from ingest.formats.items import Item, Measured, Refused
from ingest.formats.json_text import NotJson, loads
from ingest.formats.memory import Memoryless
from ingest.formats.options import Options
from ingest.formats.topics import TopicPattern
from ingest.words import Message

VERSION = 10
"""The newest version of SenML that is read."""
ABSOLUTE = 2**28
"""From this many seconds on a time is absolute, below it is relative to the receipt."""
_DEFAULT = "senml/{gateway}/#"
_URN = re.compile(r"(urn:dev:[^:]+:[^:/_]+)[:/_]+(.+)")
_NUMBERS = ("bt", "bv", "bs", "v", "s", "t", "ut", "bver")
_TEXTS = ("bn", "bu", "n", "u", "vs", "vd")
_BASE_TEXTS = ("bn", "bu")  # every record that follows repeats them
_LABELS = frozenset((*_NUMBERS, *_TEXTS, "vb"))
_VALUES = ("v", "vb", "vs", "vd", "s")
_NO_NUMBER = {"vd": "must be a number, not binary data", "s": "must be a value, not a sum alone"}
_LONGEST = 300
_encode = msgspec.json.Encoder().encode


class _Resolved(NamedTuple):
    """A record by itself: a whole name and the base of it, seconds as they stood (None without), and the value."""

    name: str
    base: str
    seconds: float | None
    label: str
    value: object


class SenML(Memoryless):
    """Each record by itself: the good ones are kept, each bad one is refused by name."""

    def __init__(self, gateway: str, given: Mapping[str, Any]) -> None:
        options = Options(gateway, given)
        self._patterns = [TopicPattern.of(pattern) for pattern in options.topics("topic", _DEFAULT)]
        self._device = options.text("device")
        self._fields = options.fields()
        options.finish()
        self.topics = tuple(pattern.filter for pattern in self._patterns)

    def decode(self, message: Message, memory: Any = None) -> list[Item]:  # noqa: ARG002 - the port's
        try:
            pack = loads(message.payload)
        except NotJson as error:
            return [Refused("not_decodable", str(error))]
        if not isinstance(pack, list):
            return [Refused("wrong_type", f"a SenML pack is an array, not {type_name(pack)}")]
        if why := _not_understood(pack):
            return [Refused("unsupported", why)]
        items: list[Item] = []
        for record in _resolved(pack):
            _add(items, list(self._items(record, message)))
        return items

    def encode(self, items: Sequence[Item]) -> list[tuple[str, bytes]]:
        """One pack for all readings, each value a record of its own under its whole name."""
        pack = [
            {"n": f"{item.device}/{metric}", ("vb" if isinstance(value, bool) else "v"): value}
            | ({} if item.t is None else {"t": item.t / 1000})
            for item in items
            if isinstance(item, Measured)
            for metric, value in item.values.items()
        ]
        return [(self._topic(), _encode(pack))] if pack else []

    def _topic(self) -> str:
        return re.sub("[+#]", "up", self.topics[0])

    def _items(self, record: object, message: Message) -> Iterator[Item]:
        if isinstance(record, Refused):
            yield record
            return
        assert isinstance(record, _Resolved)
        device, metric = self._named(record, message.topic)
        if not metric or not device:
            yield _refused(record, f"{record.name or 'a record'} names no device and metric")
            return
        values, refused = self._fields.apply({metric: None if record.label == "s" else record.value})
        for name, why in refused:
            yield _refused(record, f"{device} {name} {_NO_NUMBER.get(record.label, why)}")
        if values:
            yield Measured(device, values, _time(record.seconds, message))

    def _named(self, record: _Resolved, topic: str) -> tuple[str, str]:
        """The device's name and the metric's."""
        device, metric = split(record.name, record.base)
        of_topic = next((pattern.device(topic) for pattern in self._patterns if pattern.matches(topic)), None)
        return of_topic or self._device or device, metric


def split(name: str, base: str = "") -> tuple[str, str]:
    """A resolved name's device and metric; where nothing divides them the base name is the device.

    >>> split("GAS-0001/gas_lel"), split("urn:dev:mac:0024befffe804ff1_temp"), split("GAS-0001gas_lel", "GAS-0001")
    (('GAS-0001', 'gas_lel'), ('urn:dev:mac:0024befffe804ff1', 'temp'), ('GAS-0001', 'gas_lel'))
    """
    if found := _URN.fullmatch(name):
        return found[1], found[2]
    at = max(name.rfind("/"), name.rfind(":"))
    if at < 0:
        return base, name.removeprefix(base)
    return name[:at].rstrip("/:"), name[at + 1 :]


def _not_understood(pack: list[Any]) -> str:
    """Why the RFC forbids to read any of a pack."""
    for number, record in enumerate(pack, 1):
        for label, value in record.items() if isinstance(record, dict) else ():
            if label == "bver" and isinstance(value, int | float) and value > VERSION:
                return f"version {value}; known are versions up to {VERSION}"
            if label.endswith("_") and label not in _LABELS:
                return f"record {number} has {label[:40]}, which must be understood and is not"
    return ""


def _resolved(pack: list[Any]) -> Iterator[_Resolved | Refused]:
    """Every record with the base fields that stand before it; those without any value tell nothing."""
    bases: dict[str, Any] = {}
    for record in pack:
        if not isinstance(record, dict):
            yield Refused("wrong_type", f"a record is an object, not {type_name(record)}", 0, _alone(record))
            continue
        whole = {**bases, **record}
        if why := _wrong(record):
            yield Refused("wrong_type", why, 1, _alone(whole))
            continue
        bases = {label: value for label, value in whole.items() if label in ("bn", "bt", "bv", "bs", "bu")}
        if label := next((label for label in _VALUES if label in whole), None):
            times = [float(whole[time]) for time in ("bt", "t") if time in whole]
            base = whole.get("bn", "")
            value = whole["v"] + whole.get("bv", 0) if label == "v" else whole[label]
            yield _Resolved(base + whole.get("n", ""), base, sum(times) if times else None, label, value)


def _wrong(record: dict[str, Any]) -> str:
    """Which of a record's labels has a value of the wrong kind."""
    for label, value in record.items():
        if label in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"{label} must be a number, not {type_name(value)}"
        if huge(value):
            return f"{label} is too large"
        if label in _TEXTS and not isinstance(value, str):
            return f"{label} must be a text, not {type_name(value)}"
        if label in _BASE_TEXTS and len(value) > LONGEST_NAME:
            return f"{label} is longer than {LONGEST_NAME} characters"
        if label == "vb" and not isinstance(value, bool):
            return f"vb must be true or false, not {type_name(value)}"
    return ""


def _time(seconds: float | None, message: Message) -> float | None:
    """Milliseconds UTC; a time of 0 is now, as none at all is."""
    if not seconds:
        return None
    return round(seconds * 1000 + (message.stands_at / 1000 if seconds < ABSOLUTE else 0), 3)


def _refused(record: _Resolved, detail: str) -> Refused:
    alone: dict[str, object] = {"n": record.name, record.label: record.value}
    timed = {} if record.seconds is None else {"t": record.seconds}
    return Refused("wrong_type", detail[:_LONGEST], 1, _alone(alone | timed))


def _alone(record: object) -> bytes | None:
    """A pack of one record; None for one that is nested too deeply to be written again."""
    try:
        return _encode([record])
    except RecursionError:
        return None


def _add(items: list[Item], more: list[Item]) -> None:
    """Append; a reading joins the one before it when device and time are the same and its metric is new."""
    for item in more:
        last = items[-1] if items else None
        if isinstance(item, Measured) and isinstance(last, Measured) and _joins(last, item):
            last.values.update(item.values)
        else:
            items.append(item)


def _joins(last: Measured, item: Measured) -> bool:
    same = (last.device, last.t) == (item.device, item.t)
    return same and last.values.keys().isdisjoint(item.values)
