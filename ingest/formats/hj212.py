"""HJ 212-2017, the frames of environmental monitors, carried in MQTT as they are.

Options: `topic` (filters, default `hj212/{gateway}/#`), `fields` (see field_map), `reply_topic` (where an answer goes
for who asks for one; {device} becomes the MN). The MN is the device's name, a factor's code the metric's. Real-time
data (CN 2011): `a34004-Rtd` is the metric a34004. Other values, and those of minutes, hours and days (2051, 2061,
2031), have names that only `fields` brings in: `a34004.zsrtd`, `a34004.avg_minute`, `a34004.max_hour`. Where it brings
another real-time value of a factor in (`a21026.zsrtd`, at reference oxygen), the plain one is left out unless `fields`
has it too: both would be one metric at one moment.
A value whose flag is not N is refused as `flagged`.

>>> data = b"QN=20260921221320000;ST=22;CN=2011;PW=123456;MN=DUST1;Flag=4;CP=&&DataTime=20260921221320;" \\
...        b"a34004-Rtd=35.2,a34004-Flag=N;a34002-Rtd=990,a34002-Flag=D&&"
>>> for item in Hj212("GW-0001", {}).decode(Message("hj212/GW-0001", framed(data), 0)):
...     print(item if isinstance(item, Measured) else (item.reason, item.detail))
('flagged', 'DUST1 a34002 has flag D (fault)')
Measured(device='DUST1', values={'a34004': 35.2}, t=1790000000000)
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ingest.formats.field_map import LONGEST_NAME
from ingest.formats.hj212_frames import Packet, cut, framed, packet
from ingest.formats.hj212_memory import Memory, incomplete, joined, newest
from ingest.formats.items import Answer, Item, Measured, Refused, Remember
from ingest.formats.options import Options
from ingest.formats.topics import TopicPattern
from ingest.words import Message

PERIODS = {"2011": "", "2051": "minute", "2061": "hour", "2031": "day"}
"""The commands (CN) that carry values, and what the values are of."""
FLAGS = {
    "F": "out of operation", "M": "maintenance", "S": "entered by hand", "D": "fault", "C": "calibration",
    "T": "over the upper limit", "B": "no communication",
}  # fmt: skip
"""What a factor's flag says other than N, normal."""
_DEFAULT = "hj212/{gateway}/#"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_EPOCH, _EAST = datetime(1970, 1, 1), timedelta(hours=8)  # noqa: DTZ001 - a local time without a zone
_ACKNOWLEDGE = 1


class _Factor(NamedTuple):
    """What a packet says of one factor at one time (as spelled); values by kind: rtd, avg, flag."""

    code: str
    time: str
    kinds: dict[str, str]


class Hj212:
    """Frames to readings, whole or in pieces."""

    def __init__(self, gateway: str, given: Mapping[str, Any]) -> None:
        options = Options(gateway, given)
        self.topics = options.topics("topic", _DEFAULT)
        self._fields = options.fields()
        self._replaced = _replaced(self._fields.fields)
        self._reply = "".join(options.topics("reply_topic", "", wildcards=False)[:1])
        options.finish()
        self.answers = (TopicPattern.of(self._reply).filter,) if self._reply else ()

    def decode(self, message: Message, memory: Any = None) -> list[Item]:
        kept = memory or Memory()
        if message.replayed_from:
            return self._again(message, kept)
        begun = joined(kept, message)
        found = cut(begun.stream)
        times, items = dict(kept.times), list[Item](begun.refused)
        for data in found.frames:
            items += self._packet(data, times)
        items += found.refused
        now = Memory(begun.waiting(found.rest, message), newest(times))
        return items if now == kept else [*items, Remember(now)]

    def _again(self, message: Message, kept: Memory) -> list[Item]:
        """A message from the dead letters: it stands alone, is not answered and teaches nothing."""
        found = cut(message.payload)
        packets = (item for data in found.frames for item in self._packet(data, dict(kept.times)))
        items: list[Item] = [item for item in packets if not isinstance(item, Answer)]
        rest = [incomplete(found.rest, "its rest never came")] if found.rest else []
        return [*items, *found.refused, *rest]

    def pack(self, memory: Any) -> bytes:
        return Memory.pack(memory)

    def unpack(self, packed: bytes) -> Any:
        return Memory.unpack(packed)

    def _packet(self, data: bytes, times: dict[str, str]) -> Iterator[Item]:
        """One frame's items; `times` learns DataTime of a report that goes on in the next packet."""
        read = packet(data)
        if read is None:
            yield Refused("not_decodable", "the frame has no CP=&&", 0, framed(data))
            return
        head = read.head
        yield from self._answer(head)
        if (period := PERIODS.get(head.get("CN", ""))) is None:
            return
        if not head.get("MN"):
            yield Refused("not_decodable", "the frame has no MN", data.count(b"-Rtd="), framed(data))
            return
        yield from self._readings(read, period, _report_time(read, times))

    def _readings(self, read: Packet, period: str, time: str) -> Iterator[Item]:
        readings: dict[str, Measured] = {}
        mn = _shown(read.head["MN"])
        for factor in _factors(read, time):
            values, refused = self._fields.apply(dict(self._named(factor, period)))
            flag = factor.kinds.get("flag", "").upper() or "N"
            if flag != "N" and (values or refused):
                detail = f"{mn} {_shown(factor.code)} has flag {_shown(flag)} ({FLAGS.get(flag, 'unknown')})"
                yield Refused("flagged", detail, len(values) + len(refused), _alone(read, factor))
                continue
            for name, why in refused:
                yield Refused("wrong_type", f"{mn} {_shown(name)} {why}", 1, _alone(read, factor))
            if values:
                reading = readings.setdefault(factor.time, Measured(read.head["MN"], {}, _milliseconds(factor.time)))
                reading.values.update(values)
        for spelled, reading in readings.items():
            if spelled and reading.t is None:
                yield Refused("bad_time", f"{mn}: {_shown(spelled)} is no YYYYMMDDhhmmss; stored at receipt")
            yield reading

    def _named(self, factor: _Factor, period: str) -> Iterator[tuple[str, object]]:
        """A factor's values by the names that `fields` knows; of others only the real-time value."""
        for kind, text in factor.kinds.items():
            name = factor.code if kind == "rtd" and not period else f"{factor.code}.{kind}"
            if period:
                name = f"{name}_{period}"
            plain = kind == "rtd" and not period and factor.code not in self._replaced
            if plain or name in self._fields.fields:
                yield name, (float(text) if _NUMBER.fullmatch(text) else text)

    def _answer(self, head: Mapping[str, str]) -> Iterator[Answer]:
        """What tells the sender that its data arrived (CN 9014), if it asks."""
        mn, qn, flag = head.get("MN", ""), head.get("QN"), head.get("FLAG", "")
        wanted = flag.isdecimal() and len(flag) < 4 and int(flag) & _ACKNOWLEDGE
        if not (self._reply and wanted and qn and _NAME.fullmatch(mn)) or head.get("CN") in ("9013", "9014"):
            return
        data = f"QN={qn};ST=91;CN=9014;PW={head.get('PW', '')};MN={mn};Flag=4;CP=&&&&"
        yield Answer(self._reply.replace("{device}", mn), framed(data.encode("latin-1")))


def _replaced(fields: Iterable[str]) -> frozenset[str]:
    """The factors whose real-time value is taken from another of their kinds.

    >>> sorted(_replaced(["a21026.zsrtd", "a21002", "a21002.zsrtd", "a34004.avg_minute"]))
    ['a21026']
    """
    named = set(fields)
    periods = tuple(f"_{period}" for period in PERIODS.values() if period)
    codes = {name.rpartition(".")[0] for name in named if "." in name and not name.endswith(periods)}
    return frozenset(codes - named)


def _report_time(read: Packet, times: dict[str, str]) -> str:
    """The packet's DataTime, or the one that an earlier packet of the same report had; empty without."""
    given = next((value for group in read.groups for name, value in group.items() if name == "DataTime"), "")
    number, last = read.head.get("PNO", ""), read.head.get("PNUM", "")
    if not (number.isdecimal() and last.isdecimal()):
        return given
    report = f"{read.head['MN']}/{read.head.get('QN', '')}"
    time = given or times.get(report, "")
    times.pop(report, None)
    short = len(number) < 5 and len(last) < 5 and len(report) <= LONGEST_NAME and len(time) < 20
    if time and short and int(number) < int(last):
        times[report] = time
    return time


def _factors(read: Packet, time: str) -> list[_Factor]:
    """The packet's factors, each at its own SampleTime, else at the DataTime before it, else at the report's time."""
    kinds: dict[tuple[str, str], dict[str, str]] = {}
    for group in read.groups:
        time = group.get("DataTime", time)
        for name, value in group.items():
            code, dash, kind = name.rpartition("-")
            if dash:
                kinds.setdefault((code, time), {})[kind.lower()] = value
    return [_Factor(code, own.get("sampletime", told), own) for (code, told), own in kinds.items()]


def _milliseconds(spelled: str) -> int | None:
    """Milliseconds UTC of YYYYMMDDhhmmss in China, whatever milliseconds follow; None for anything else."""
    digits = spelled[:14]
    if len(spelled) not in (14, 17) or not (spelled.isascii() and spelled.isdecimal()):
        return None
    try:
        naive = datetime(int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2)))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
    return (naive - _EPOCH - _EAST) // timedelta(milliseconds=1) + int(spelled[14:] or 0)


def _alone(read: Packet, factor: _Factor) -> bytes:
    """A frame that says of the packet this one factor only, and asks for no answer."""
    head = {name: value for name, value in read.head.items() if name not in ("FLAG", "PNUM", "PNO")}
    fields = ";".join(f"{name}={value}" for name, value in head.items())
    values = ",".join(f"{factor.code}-{_KINDS.get(kind, kind)}={value}" for kind, value in factor.kinds.items())
    time = f"DataTime={factor.time};" if factor.time else ""
    return framed(f"{fields};Flag=4;CP=&&{time}{values}&&".encode("latin-1"))


_KINDS = {
    "rtd": "Rtd",
    "avg": "Avg",
    "min": "Min",
    "max": "Max",
    "cou": "Cou",
    "flag": "Flag",
    "sampletime": "SampleTime",
}


def _shown(text: str) -> str:
    """A name as a person reads it: makers write Chinese in GBK."""
    return text[:40].encode("latin-1").decode("gb18030", errors="replace")
