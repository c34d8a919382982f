"""The platform's own MQTT contract, version 1.

`sw/v1/{gateway}/telemetry`, `sw/v1/{gateway}/{device}/telemetry`, `sw/v1/{gateway}/{device}/event` and the retained
`sw/v1/{gateway}/status`.

>>> payload = b'{"readings":[{"device":"GAS-0001","t":1790000000000,"values":{"gas_lel":3.2}}]}'
>>> item, = VersionOne("GW-0001").decode(Message("sw/v1/GW-0001/telemetry", payload, 0))
>>> item.device, item.t, item.values
('GAS-0001', 1790000000000, {'gas_lel': 3.2})
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ingest.formats.items import Happened, Item, Measured, Refused, Status
from ingest.formats.memory import Memoryless
from ingest.formats.refusals import few
from ingest.words import Message

PREFIX = "sw/v1/"
"""What every topic of version 1 begins with; the gateway's code follows."""
SUBSCRIPTIONS = ("sw/v1/+/telemetry", "sw/v1/+/+/telemetry", "sw/v1/+/+/event", "sw/v1/+/status")
"""The topic filters of all gateways: every one of them may speak version 1, whatever its registered format."""


class _Batch(msgspec.Struct):
    readings: list[Measured]


class _Single(msgspec.Struct):
    values: dict[str, float | bool]
    t: int | float | None = None


class _Event(msgspec.Struct):
    type: str
    t: int | float | None = None
    attributes: dict[str, Any] = {}


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_single = msgspec.json.Decoder(_Single).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode  # what the journal can't hold must not pass


class VersionOne(Memoryless):
    """Typed decoding; when that fails, each good value is kept and each bad one is refused by name."""

    topics: tuple[str, ...] = ()  # SUBSCRIPTIONS serve all gateways

    def __init__(self, gateway: str, options: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - the port's
        self._gateway = gateway

    def decode(self, message: Message, memory: Any = None) -> list[Item]:  # noqa: ARG002
        path, payload = message.topic.split("/")[3:], message.payload
        try:
            match path:
                case ["telemetry"]:
                    return _decode_batch(payload).readings  # type: ignore[return-value]
                case [device, "telemetry"]:
                    single = _decode_single(payload)
                    return [Measured(device, single.values, single.t)]
                case [device, "event"]:
                    event = _decode_event(payload)
                    _pack(event.attributes)
                    return [Happened(device, event.type, event.t, event.attributes)]
                case ["status"]:
                    return [_status(payload)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
            return _salvage(path, payload, str(error))
        return [Refused("unknown_topic", "/".join(path))]

    def encode(self, items: Sequence[Item]) -> list[tuple[str, bytes]]:
        """One telemetry message for all readings, one message for each event and status."""
        own, encoded = f"{PREFIX}{self._gateway}", list[tuple[str, bytes]]()
        if readings := [item for item in items if isinstance(item, Measured)]:
            encoded.append((f"{own}/telemetry", telemetry(readings)))
        for item in items:
            match item:
                case Happened():
                    body = {"t": item.t, "type": item.type, "attributes": item.attributes}
                    encoded.append((f"{own}/{item.device}/event", _encode(body)))
                case Status():
                    encoded.append((f"{own}/status", b"online" if item.online else b"offline"))
        return encoded


def telemetry(readings: Sequence[Measured]) -> bytes:
    """The payload of `sw/v1/{gateway}/telemetry` for these readings."""
    return _encode({"readings": readings})


def _status(payload: bytes) -> Item:
    if payload in (b"online", b"offline"):
        return Status(payload == b"online")
    return Refused("wrong_type", "a status is the text online or offline")


def _salvage(path: list[str], payload: bytes, error: str) -> list[Item]:
    """The good parts of a telemetry message that is JSON, if only Python's (NaN, 1e999), but not of the right types.

    Half a surrogate pair is no text; an integer of any length becomes a float, if need be infinite.
    """
    try:
        whole = json.loads(payload, parse_int=float)
        json.dumps(whole, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return [Refused("not_decodable", error)]
    if path == ["telemetry"] and isinstance(whole, dict) and isinstance(whole.get("readings"), list):
        return [item for entry in whole["readings"] for item in _salvage_entry(entry, None)]
    if path[-1] == "telemetry" and len(path) == 2:
        return _salvage_entry(whole, path[0])
    return [Refused("wrong_type", error)]


def _salvage_entry(entry: Any, device: str | None) -> list[Item]:
    """One device's values; `device` is the topic's where the topic names it."""
    if not isinstance(entry, dict) or not isinstance(entry.get("values"), dict):
        return [_refused(entry, device, "expected an object with device and values", 0)]
    name, t = (device or entry.get("device")), entry.get("t")
    if not isinstance(name, str):
        return [_refused(entry, device, "device must be a text", len(entry["values"]))]
    if t is not None and (isinstance(t, bool) or not isinstance(t, int | float)):
        return [_refused(entry, device, "t must be milliseconds since 1970 as a number", len(entry["values"]))]
    good = {metric: value for metric, value in entry["values"].items() if isinstance(value, int | float)}
    items: list[Item] = [Measured(name, good, t)] if good else []
    if bad := {metric: value for metric, value in entry["values"].items() if metric not in good}:
        why = few([f"{metric} must be a number, not {_type_name(value)}" for metric, value in bad.items()])
        items.append(_refused({**entry, "values": bad}, device, why, len(bad)))
    return items


def _refused(entry: Any, device: str | None, detail: str, readings: int) -> Refused:
    payload = _encode(entry if device else {"readings": [entry]})
    return Refused("wrong_type", detail, readings, payload)


def _type_name(value: Any) -> str:
    names = {str: "text", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), type(value).__name__)
