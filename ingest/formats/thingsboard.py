"""ThingsBoard's gateway MQTT API, as its IoT gateway and other software for it publish.

Options: `prefix` (topic levels before `v1/gateway`, such as `GW-0007`: such software can't name itself in its topics,
so a bridge or the broker has to; without one only one gateway can speak so), `fields` (see field_map). Read are
telemetry, with or without `ts`, connect and disconnect; attributes, claims and answers to calls give nothing.

>>> payload = b'{"Dev A": [{"ts": 1790000000000, "values": {"gas_lel": 3.2, "battery": 97}}], "Dev B": [{"laeq": 51}]}'
>>> for item in ThingsBoard("GW-0007", {}).decode(Message("v1/gateway/telemetry", payload, 0)):
...     print(item)
Measured(device='Dev A', values={'gas_lel': 3.2, 'battery': 97}, t=1790000000000)
Measured(device='Dev B', values={'laeq': 51}, t=None)
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ingest.formats.field_map import LONGEST_NAME, type_name
from ingest.formats.items import Item, Measured, Reach
from ingest.formats.json_text import NotJson, loads
from ingest.formats.memory import Memoryless
from ingest.formats.options import Options
from ingest.formats.refusals import few, refusal
from ingest.words import Message

_API = "v1/gateway/"
_READ = ("telemetry", "connect", "disconnect")
_UNREAD = ("attributes", "attributes/request", "rpc", "claim")
_encode = msgspec.json.Encoder().encode


class ThingsBoard(Memoryless):
    """Each entry by itself: its good values are kept, its bad ones refused together by name."""

    def __init__(self, gateway: str, given: Mapping[str, Any]) -> None:
        options = Options(gateway, given)
        self._own = options.prefix("prefix") + _API
        self._fields = options.fields()
        options.finish()
        self.topics = tuple(self._own + place for place in (*_READ, *_UNREAD))

    def decode(self, message: Message, memory: Any = None) -> list[Item]:  # noqa: ARG002 - the port's
        place = message.topic.removeprefix(self._own)
        if place in _UNREAD:
            return []
        if place not in _READ:
            return [refusal("unknown_topic", message.topic)]
        try:
            body = loads(message.payload)
            if place == "telemetry":
                return list(self._telemetry(body))
            return [_reach(body, place == "connect")]
        except NotJson as error:
            return [refusal("not_decodable", str(error))]
        except RecursionError:  # a bad part as deep as it could just be read
            return [refusal("not_decodable", "nested too deeply")]

    def encode(self, items: Sequence[Item]) -> list[tuple[str, bytes]]:
        """One message a reading and a change of reach, in their order."""
        encoded = list[tuple[str, bytes]]()
        for item in items:
            match item:
                case Measured(device, values, t):
                    entry = {"values": values} if t is None else {"ts": t, "values": values}
                    encoded.append((f"{self._own}telemetry", _encode({device: [entry]})))
                case Reach(device, online):
                    place = "connect" if online else "disconnect"
                    encoded.append((f"{self._own}{place}", _encode({"device": device})))
        return encoded

    def _telemetry(self, body: Any) -> Iterator[Item]:
        if not isinstance(body, dict):
            yield refusal("wrong_type", f"telemetry is an object of devices, not {type_name(body)}")
            return
        for device, entries in body.items():
            if not device:
                yield refusal("wrong_type", "a device without a name", 0, _encode({device: entries}))
                continue
            if len(device) > LONGEST_NAME:
                why = f"{device[:40]}… is longer than {LONGEST_NAME} characters"
                yield refusal("wrong_type", why, 0, _encode({device: entries}))
                continue
            if not isinstance(entries, list):
                why = f"{device}: must be an array of entries, not {type_name(entries)}"
                yield refusal("wrong_type", why, 0, _encode({device: entries}))
                continue
            for entry in entries:
                yield from self._entry(device, entry)

    def _entry(self, device: str, entry: Any) -> Iterator[Item]:
        timed = isinstance(entry, dict) and ("ts" in entry or "values" in entry)
        given, ts = (entry.get("values"), entry.get("ts")) if timed else (entry, None)
        if not isinstance(given, dict):
            why = f"{device}: an entry has values by name, not {type_name(given)}"
            yield refusal("wrong_type", why, 0, _encode({device: [entry]}))
            return
        if isinstance(ts, bool) or not isinstance(ts, int | float | None):
            why = f"{device}: ts must be milliseconds since 1970 as a number, not {type_name(ts)}"
            yield refusal("wrong_type", why, len(given), _encode({device: [entry]}))
            return
        values, refused = self._fields.apply(given)
        if values:
            yield Measured(device, values, ts if type(ts) is not int or ts.bit_length() < 64 else math.inf)
        if refused:
            bad = {name: given[name] for name, _ in refused}
            part = {device: [{**entry, "values": bad} if timed else bad]}
            yield refusal(
                "wrong_type", f"{device}: {few([f'{name} {why}' for name, why in refused])}", len(bad), _encode(part)
            )


def _reach(body: Any, online: bool) -> Item:
    device = body.get("device") if isinstance(body, dict) else None
    if not isinstance(device, str) or not device:
        return refusal("wrong_type", 'expected {"device": NAME}')
    return Reach(device, online)
