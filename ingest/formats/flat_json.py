"""JSON objects of any maker (Tasmota, Zigbee2MQTT and the like), read by a map of their fields.

Options: `topic`, required, patterns in which a level may be {device}; without that level `device` (one for all) or
`device_field` (where the object names it). `fields`, dotted paths to metrics (see field_map); `time` (a path) and
`time_format`: iso (default), local (without a zone), ms or s. `events`: {path: {"type": …, "active": [values]}}.
`online`: {"topic": pattern, "online": text, "offline": text}, with "field" where the text stands in an object.
What the options do not name is left out.

>>> plug = FlatJson("GW-0001", {
...     "topic": "tele/{device}/SENSOR", "time": "Time", "time_format": "local",
...     "fields": {"AM2301.Temperature": "cable_temp"},
...     "online": {"topic": "tele/{device}/LWT", "online": "Online", "offline": "Offline"},
... })
>>> payload = b'''{"Time": "2026-09-21T22:13:20", "AM2301": {"Temperature": 21.5, "Humidity": 40.1},
...                "ENERGY": {"Total": 3.185, "Power": 12}, "TempUnit": "C"}'''
>>> plug.decode(Message("tele/ELC-0001/SENSOR", payload, 0))
[Measured(device='ELC-0001', values={'cable_temp': 21.5}, t=1790000000000.0)]
>>> plug.decode(Message("tele/ELC-0001/LWT", b"Offline", 0))
[Reach(device='ELC-0001', online=False, t=None)]

>>> smoke = FlatJson("GW-0002", {
...     "topic": "zigbee2mqtt/{device}", "time": "last_seen", "fields": {"battery": "battery"},
...     "events": {"smoke": {"type": "smoke_alarm", "active": [True]}},
... })
>>> payload = b'{"battery": 97, "linkquality": 120, "smoke": true, "last_seen": "2026-09-21T14:13:20.000Z"}'
>>> for item in smoke.decode(Message("zigbee2mqtt/hall", payload, 0)):
...     print(item)
Measured(device='hall', values={'battery': 97}, t=1790000000000.0)
Happened(device='hall', type='smoke_alarm', t=1790000000000.0, attributes={'active': True})
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.formats.field_map import flattened, spelled, type_name
from ingest.formats.items import Happened, Item, Measured, Reach, Refused
from ingest.formats.json_text import NotJson, loads
from ingest.formats.memory import Memoryless
from ingest.formats.options import Options
from ingest.formats.times import TIME_FORMATS, milliseconds
from ingest.formats.topics import TopicPattern, fault_of_topic
from ingest.words import Message

_LISTED = 10
_DEVICE_FAULT = "names no device: give topic a level {device}, or the option device or device_field"
_EVENT_FAULT = 'must be an object such as {"type": "smoke_alarm", "active": [true, "ON"]}'


class _Alarm(NamedTuple):
    """An event's type, and how the values are spelled that mean that it is on."""

    type: str
    active: frozenset[str]


class _Presence(NamedTuple):
    """Where a device is said to be reachable, by which words, and at which path of an object (else the whole text)."""

    topic: TopicPattern
    words: Mapping[str, bool]
    field: str


class FlatJson(Memoryless):
    """One object a message, and what the options name of it."""

    def __init__(self, gateway: str, given: Mapping[str, Any]) -> None:
        options = Options(gateway, given)
        self._patterns = [TopicPattern.of(pattern) for pattern in options.topics("topic", None)]
        self._device, self._device_field = options.text("device"), options.text("device_field")
        self._fields = options.fields()
        self._time, self._time_format = options.text("time"), options.choice("time_format", TIME_FORMATS, "iso")
        self._alarms = _alarms(options)
        self._presence = _presence(options, gateway)
        if not (self._fields.fields or self._alarms):
            options.problem("fields", "is required: paths of the object to metrics")
        if not (self._device or self._device_field or all(pattern.level for pattern in self._patterns)):
            options.problem("topic", _DEVICE_FAULT)
        options.finish()
        also = [self._presence.topic] if self._presence else []
        self.topics = tuple(pattern.filter for pattern in (*self._patterns, *also))

    def holds_state(self, topic: str) -> bool:
        """May messages of this topic be retained? Presence usually is."""
        return self._presence is not None and self._presence.topic.matches(topic)

    def decode(self, message: Message, memory: Any = None) -> list[Item]:  # noqa: ARG002 - the port's
        if self._presence and self._presence.topic.matches(message.topic):
            return [_reach(self._presence, message)]
        try:
            whole = loads(message.payload)
        except NotJson as error:
            return [Refused("not_decodable", str(error))]
        if not isinstance(whole, dict):
            return [Refused("wrong_type", f"expected an object, not {type_name(whole)}")]
        return list(self._items(flattened(whole), message.topic))

    def _items(self, leaves: Mapping[str, object], topic: str) -> Iterator[Item]:
        device = self._named(leaves, topic)
        given = {path: leaves[path] for path in self._fields.fields if path in leaves}
        alarms = {path: leaves[path] for path in self._alarms if path in leaves}
        if not device:
            yield Refused("wrong_type", f"{self._device_field or 'the topic'} names no device", len(given))
        elif not (given or alarms):
            some = ", ".join([*leaves][:_LISTED])
            yield Refused("nothing_mapped", f"{device}: none of the mapped fields is among {some or 'no fields'}"[:500])
        else:
            yield from self._told(device, given, alarms, leaves.get(self._time or ""))

    def _told(
        self, device: str, given: Mapping[str, object], alarms: Mapping[str, object], time: object
    ) -> Iterator[Item]:
        t = milliseconds(time, self._time_format) if self._time else None
        if self._time and t is None:
            told = f"{device}: {self._time} is {spelled(time)[:40]}, no time of the format {self._time_format}"
            yield Refused("bad_time", f"{told}; stored at receipt")
        values, refused = self._fields.apply({path: value for path, value in given.items() if self._says(path, value)})
        for path, why in refused:
            yield Refused("wrong_type", f"{device} {path} {why}", 1)
        if values:
            yield Measured(device, values, t)
        for path, value in alarms.items():
            if value is not None:
                alarm = self._alarms[path]
                yield Happened(device, alarm.type, t, {"active": spelled(value) in alarm.active})

    def _says(self, path: str, value: object) -> bool:
        """Is there a value? A null says that there is none yet, unless the map has a meaning for it."""
        return value is not None or "null" in (self._fields.fields[path].values or {})

    def _named(self, leaves: Mapping[str, object], topic: str) -> str:
        of_topic = next((pattern.device(topic) for pattern in self._patterns if pattern.matches(topic)), None)
        if of_topic or self._device:
            return of_topic or self._device or ""
        name = leaves.get(self._device_field or "")
        return spelled(name) if isinstance(name, int | str) else ""


def _alarms(options: Options) -> dict[str, _Alarm]:
    given, alarms = options.value("events"), dict[str, _Alarm]()
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        options.problem("events", "must be an object of paths and events")
        return {}
    for path, entry in given.items():
        match entry:
            case {"type": str(kind), "active": [_, *_] as active, **rest} if not rest:
                alarms[str(path)] = _Alarm(kind, frozenset(map(spelled, active)))
            case _:
                options.problem(f"events.{path}", _EVENT_FAULT)
    return alarms


def _presence(options: Options, gateway: str) -> _Presence | None:
    given = options.value("online")
    if given is None:
        return None
    match given:
        case {"topic": topic, "online": str(on), "offline": str(off), **rest} if set(rest) <= {"field"}:
            if why := fault_of_topic(topic) or ("" if "{device}" in topic else "must have a level {device}"):
                options.problem("online.topic", why)
                return None
            pattern = TopicPattern.of(topic.replace("{gateway}", gateway))
            return _Presence(pattern, {on: True, off: False}, str(rest.get("field", "")))
    options.problem("online", "must be an object of topic, online, offline, and perhaps field")
    return None


def _reach(presence: _Presence, message: Message) -> Item:
    """Whether the device is there, in the words of the options."""
    device, text = presence.topic.device(message.topic), message.payload.decode("utf-8", errors="replace").strip()
    if presence.field:
        try:
            whole = loads(message.payload)
        except NotJson as error:
            return Refused("not_decodable", str(error))
        text = spelled(flattened(whole).get(presence.field)) if isinstance(whole, dict) else type_name(whole)
    if device and text in presence.words:
        return Reach(device, presence.words[text])
    return Refused("wrong_type", f"{device}: {text[:40]!r} is none of {', '.join(presence.words)}")
