"""ChirpStack v4, the LoRaWAN network server, by its MQTT integration in JSON.

Options: `application` (its id, default + for all), `prefix` (topic levels before `application`, for one server of
several), `fields` (see field_map). The device is the devEui as the server writes it. Of `event/up` the decoded object
is read, with dots between the names where it nests; of `event/status` the battery in per cent. `event/join` means that
the device is reached. `ack`, `txack`, `log`, `location` and `integration` give nothing. A reading stands at `time`,
when it was heard: LoRaWAN devices send no time of their own.

>>> payload = b'''{"time": "2026-09-21T22:13:20.123456789+08:00", "deviceInfo": {"devEui": "0101010101010101"},
...                "fCnt": 10, "fPort": 1, "object": {"gas_lel": 3.2, "probe": {"temp": 21.5}}}'''
>>> topic = "application/1/device/0101010101010101/event/up"
>>> ChirpStack("GW-0009", {}).decode(Message(topic, payload, 0))
[Measured(device='0101010101010101', values={'gas_lel': 3.2, 'probe.temp': 21.5}, t=1790000000123.457)]
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ingest.formats.field_map import flattened
from ingest.formats.items import Item, Measured, Reach
from ingest.formats.json_text import NotJson, loads
from ingest.formats.memory import Memoryless
from ingest.formats.options import Options
from ingest.formats.refusals import few, refusal
from ingest.words import Message

_UNREAD = ("ack", "txack", "log", "location", "integration")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class ChirpStack(Memoryless):
    """Each event by itself; of an uplink the good values are kept, the bad ones refused together by name."""

    def __init__(self, gateway: str, given: Mapping[str, Any]) -> None:
        options = Options(gateway, given)
        every = options.value("application") in (None, "+")
        application = "+" if every else options.level("application", "+")
        prefix = options.prefix("prefix")
        self._fields = options.fields()
        options.finish()
        self.topics = (f"{prefix}application/{application}/device/+/event/+",)

    def decode(self, message: Message, memory: Any = None) -> list[Item]:  # noqa: ARG002 - the port's
        kind = message.topic.rpartition("/")[2]
        if kind in _UNREAD:
            return []
        if kind not in ("up", "status", "join"):
            return [refusal("unknown_topic", message.topic)]
        try:
            return self._event(kind, loads(message.payload))
        except NotJson as error:
            return [refusal("not_decodable", str(error))]
        except RecursionError:  # a bad part as deep as it could just be read
            return [refusal("not_decodable", "nested too deeply")]

    def _event(self, kind: str, event: Any) -> list[Item]:
        device = _device(event)
        if device is None:
            return [refusal("wrong_type", "expected an event with deviceInfo.devEui")]
        t = milliseconds(event.get("time"))
        if isinstance(t, str):
            return [refusal("wrong_type", f"{device}: {t}")]
        match kind:
            case "join":
                return [Reach(device, True, t)]
            case "status":
                return self._measured(device, t, event, _battery(event))
            case _:
                return self._uplink(device, t, event)

    def _uplink(self, device: str, t: float | None, event: Mapping[str, Any]) -> list[Item]:
        decoded = event.get("object")
        if isinstance(decoded, dict):
            return self._measured(device, t, event, flattened(decoded))
        if decoded is None and event.get("data") == "":
            return []  # a frame without a payload, such as an acknowledgement
        return [refusal("no_object", f"{device}: set a payload codec in ChirpStack")]

    def _measured(self, device: str, t: float | None, event: Mapping[str, Any], given: dict[str, Any]) -> list[Item]:
        values, refused = self._fields.apply(given)
        items: list[Item] = [Measured(device, values, t)] if values else []
        if refused:
            why = f"{device}: {few([f'{name} {why}' for name, why in refused])}"
            kept = {name: event[name] for name in ("time", "batteryLevel") if name in event}
            part = {"deviceInfo": {"devEui": device}, **kept, "object": {name: given[name] for name, _ in refused}}
            items.append(refusal("wrong_type", why, len(refused), _encode(part)))
        return items


def milliseconds(time: object) -> float | str | None:
    """The ms UTC of an RFC 3339 time, rounded to µs, None for null; or, as a text, why it is none.

    >>> milliseconds("2026-09-21T14:13:20Z"), milliseconds("2026-09-21T22:13:20.000500400+08:00")
    (1790000000000, 1790000000000.5)
    >>> milliseconds("2026-09-21 22:13")
    "time must be of RFC 3339 with an offset, not '2026-09-21 22:13'"
    """
    if time is None:
        return None
    try:
        moment = msgspec.convert(time, datetime)
        micros = (moment - _EPOCH) // timedelta(microseconds=1)
    except (msgspec.ValidationError, TypeError):  # of another form or type; without an offset
        return f"time must be of RFC 3339 with an offset, not {time!r:.40}"
    return micros // 1000 if micros % 1000 == 0 else micros / 1000


def _device(event: Any) -> str | None:
    told = event.get("deviceInfo") if isinstance(event, dict) else None
    device = told.get("devEui") if isinstance(told, dict) else None
    return device if isinstance(device, str) and device else None


def _battery(event: Mapping[str, Any]) -> dict[str, Any]:
    """The battery's level, where the device runs on one and could measure it."""
    if event.get("externalPowerSource") or event.get("batteryLevelUnavailable") or "batteryLevel" not in event:
        return {}
    return {"battery": event["batteryLevel"]}
