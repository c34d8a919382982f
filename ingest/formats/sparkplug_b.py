r"""Sparkplug B (Eclipse Sparkplug 3.0): edge nodes and their devices, with births, deaths, aliases and rebirths.

Options: `group` (default "shouwang"), `node` (default the gateway's code), `fields` (see field_map). Topics
`spBv1.0/{group}/{type}/{node}` and `spBv1.0/{group}/{type}/{node}/{device}`. What a node measures itself belongs to a
device that is named like the node. "bdSeq", "Node Control/…", "Device Control/…" and "Properties/…" are no readings, a
metric that is null is none either; a text is one where `fields` says which number it means.

Left out: the host's own STATE (a node that waits for its primary host must be set not to), commands but the rebirth,
compressed payloads, data sets, templates, arrays.

>>> from ingest.formats.sparkplug_payload import Tag, birth, data
>>> host, t, memory = SparkplugB("GW-0001", {}), 1_790_000_000_000, None
>>> for place, payload in [
...     ("NBIRTH/GW-0001", birth([], seq=0, t=t, bd_seq=4)),
...     ("DBIRTH/GW-0001/GAS-0001", birth([Tag("gas_lel", 3.25, alias=1)], seq=1, t=t)),
...     ("DDATA/GW-0001/GAS-0001", data([Tag("gas_lel", 61.5, alias=1)], seq=2, t=t + 30_000)),
... ]:
...     *items, remember = host.decode(Message(f"spBv1.0/shouwang/{place}", payload, 0), memory)
...     memory = remember.memory
...     print(*items, sep="\n")
Status(online=True)
Reach(device='GAS-0001', online=True, t=1790000000000)
Measured(device='GAS-0001', values={'gas_lel': 3.25}, t=1790000000000)
Measured(device='GAS-0001', values={'gas_lel': 61.5}, t=1790000030000)
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from google.protobuf.message import DecodeError

from ingest.formats.field_map import LONGEST_NAME
from ingest.formats.items import Answer, Item, Measured, Reach, Refused, Remember, Status
from ingest.formats.options import Options
from ingest.formats.refusals import few, refusal
from ingest.formats.sparkplug_payload import BIRTH_DEATH, COMPRESSED, PAYLOAD, held, rebirth_command, scalar
from ingest.words import Message

NAMESPACE = "spBv1.0"
DEFAULT_GROUP = "shouwang"
ASK_EVERY = 10_000_000
"""µs between two requests for a rebirth."""
MOST_KNOWN = 50_000
"""Metrics that a node and its devices may declare in all."""
_NO_READINGS = ("Node Control/", "Device Control/", "Properties/")
_COMMANDS = ("NCMD", "DCMD")


class Birth(msgspec.Struct, frozen=True):
    """What a birth declared: names by alias, data types by name; sent at `at`, ms."""

    names: dict[int, str] = {}
    types: dict[str, int] = {}
    at: int = 0


class Node(msgspec.Struct, frozen=True):
    """What is known of an edge node.

    `births` by device, the node's own under "": none while it is dead. `reached` are the devices that it said it
    reaches; a birth of the node does not end that, a death does. `seq` and `newest` (ms) are those of its last message,
    None and 0 after a restart; `wanted` since something was missed, `asked_at` (µs) when a rebirth was last asked for.
    """

    bd_seq: int | None = None
    births: dict[str, Birth] = {}
    reached: frozenset[str] = frozenset()
    seq: int | None = None
    newest: int = 0
    wanted: bool = False
    asked_at: int = 0


_NONE = Birth()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Node).decode
_replace = msgspec.structs.replace


class _Heard(NamedTuple):
    """One message: its type, the device it is about ("" for the node), and how it follows the one before."""

    type: str
    device: str
    payload: Any
    follows: str


class SparkplugB:
    """One edge node, as its host hears it. A message from the dead letters gives its values and teaches nothing."""

    def __init__(self, gateway: str, given: Mapping[str, Any]) -> None:
        options = Options(gateway, given)
        self._group = options.level("group", DEFAULT_GROUP)
        self._node = options.level("node", gateway)
        self._fields = options.fields()
        options.finish()
        own = f"{NAMESPACE}/{self._group}"
        self.topics = (f"{own}/+/{self._node}", f"{own}/+/{self._node}/+")
        self.answers = (f"{own}/NCMD/{self._node}/#", f"{own}/DCMD/{self._node}/#")  # as nodes subscribe to them

    def pack(self, memory: Node) -> bytes:
        """What must outlive the process; the expected `seq` is not of it."""
        return _encode(Node(memory.bd_seq, memory.births, memory.reached))

    def unpack(self, packed: bytes) -> Node:
        return _decode(packed)

    def decode(self, message: Message, memory: Node | None = None) -> list[Item]:
        kind, device = _place(message.topic)
        if kind in _COMMANDS:
            return []  # our own, or another host's
        if kind not in _LESSONS:
            return [refusal("unknown_topic", message.topic)]
        try:
            payload = PAYLOAD.FromString(message.payload)
        except DecodeError as error:
            return [refusal("not_decodable", str(error))]
        if payload.uuid == COMPRESSED:
            return [refusal("unsupported", "a compressed payload")]
        if message.replayed_from:
            return self._again(_Heard(kind, device, payload, "again"), memory or Node())
        return self._learnt(kind, device, payload, message, memory or Node())

    def _learnt(self, kind: str, device: str, payload: Any, message: Message, before: Node) -> list[Item]:
        own = kind in ("NBIRTH", "NDEATH")  # these two stand outside of the sequence
        heard = _Heard(kind, device, payload, "" if own else follows(before, payload))
        after, items = _LESSONS[kind](self, heard, _counted(before, heard))
        if asks(after, message.received_at):
            after = _replace(after, asked_at=message.received_at)
            command = rebirth_command(message.received_at // 1000)
            items.append(Answer(f"{NAMESPACE}/{self._group}/NCMD/{self._node}", command))
        if after is not before:
            items.append(Remember(after, _kept(after) != _kept(before)))
        return items

    def _again(self, heard: _Heard, node: Node) -> list[Item]:
        if heard.type in ("NBIRTH", "DBIRTH"):
            return list(self._values(heard, declared(heard.payload)))
        if heard.type in ("NDATA", "DDATA"):
            return list(self._values(heard, node.births.get(heard.device, _NONE)))
        return []

    def _node_birth(self, heard: _Heard, node: Node) -> tuple[Node, list[Item]]:
        """A new session: every device must be born again. One that was heard before ends no device's birth."""
        bd_seq, sent, birth = _bd_seq(heard.payload), _sent(heard.payload) or 0, declared(heard.payload)
        if bd_seq is None or not heard.payload.HasField("seq") or heard.payload.seq != 0:
            return node, [refusal("wrong_type", f"an NBIRTH has the seq 0 and a number as {BIRTH_DEATH}")]
        if bd_seq == node.bd_seq and "" in node.births and 0 < sent <= node.newest and not node.wanted:
            after = _replace(node, births={**node.births, "": birth})
        else:
            after = Node(bd_seq, {"": birth}, node.reached, 0, sent, asked_at=node.asked_at)
        if refused := _too_many(after):
            return node, [refused, *self._values(heard, birth)]
        return after, [Status(True), *self._values(heard, birth)]

    def _node_death(self, heard: _Heard, node: Node) -> tuple[Node, list[Item]]:
        """The death of a session before the one whose birth is known is none. A will, written early, tells no time."""
        bd_seq = _bd_seq(heard.payload)
        if bd_seq is None:
            return node, [refusal("wrong_type", f"an NDEATH has a number as {BIRTH_DEATH}")]
        dead = node.bd_seq is not None and not node.births and not node.reached
        if dead or ("" in node.births and bd_seq != node.bd_seq):
            return node, []
        after = _replace(node, bd_seq=bd_seq, births={}, reached=frozenset(), wanted=False)
        return after, [Status(False), *(Reach(device, False) for device in sorted(node.reached))]

    def _device_birth(self, heard: _Heard, node: Node) -> tuple[Node, list[Item]]:
        """A device's birth stands for itself; where its node's was missed or is newer, that is asked for."""
        birth = declared(heard.payload)
        if _early(heard.payload, node.births.get("", _NONE)):
            return _replace(node, wanted=True), list(self._values(heard, birth))
        after = _replace(
            _wanting("" not in node.births, heard, node),
            births={**node.births, heard.device: birth},
            reached=node.reached | {heard.device},
        )
        values = list(self._values(heard, birth))
        if refused := _too_many(after):
            return node, [refused, *values]
        return after, [Reach(heard.device, True, _sent(heard.payload)), *values]

    def _device_death(self, heard: _Heard, node: Node) -> tuple[Node, list[Item]]:
        births = {device: birth for device, birth in node.births.items() if device != heard.device}
        after = _replace(node, births=births, reached=node.reached - {heard.device})
        return after, [Reach(heard.device, False, _sent(heard.payload))]

    def _data(self, heard: _Heard, node: Node) -> tuple[Node, list[Item]]:
        birth, count = node.births.get(heard.device), len(heard.payload.metrics)
        if birth is None:
            lost = f"{heard.device or self._node} sends data, but its birth was not heard"
            return _wanting(True, heard, node), [refusal("no_birth", lost, count)]
        if _early(heard.payload, birth):
            early = f"{heard.device or self._node} sent these data before the birth that is known"
            return _replace(node, wanted=True), [refusal("no_birth", early, count)]
        items = list(self._values(heard, birth))
        strange = any(isinstance(item, Refused) and item.reason == "no_birth" for item in items)
        return _wanting(strange or "" not in node.births, heard, node), items

    def _values(self, heard: _Heard, birth: Birth) -> Iterator[Item]:
        """The readings, by time, and what is no reading: of strange aliases, and of the wrong type."""
        strange: list[Any] = []
        wrong: list[tuple[str, Any]] = []
        by_time: dict[int | None, dict[str, Any]] = {}
        for metric in heard.payload.metrics:
            name = _name(metric, birth)
            if name is None:
                strange.append(metric)
            elif name != BIRTH_DEATH and not name.startswith(_NO_READINGS) and not metric.is_null:
                t = metric.timestamp if metric.HasField("timestamp") else _sent(heard.payload)
                by_time.setdefault(t, {})[name] = metric
        for t, metrics in by_time.items():
            scalars = {name: scalar(metric, _type(name, metric, birth)) for name, metric in metrics.items()}
            values, refused = self._fields.apply(scalars)
            if values:
                yield Measured(heard.device or self._node, values, t)
            wrong += [
                (_why(name, why, metrics[name], birth), _spelt(name, metrics[name], birth)) for name, why in refused
            ]
        if strange:
            told = few([f"alias {m.alias}" if m.HasField("alias") else "what has no name" for m in strange])
            yield _refused("no_birth", f"no birth declared {told}", strange, heard.payload)
        if wrong:
            yield _refused("wrong_type", few([why for why, _ in wrong]), [metric for _, metric in wrong], heard.payload)


_LESSONS = {
    "NBIRTH": SparkplugB._node_birth,
    "NDEATH": SparkplugB._node_death,
    "DBIRTH": SparkplugB._device_birth,
    "DDEATH": SparkplugB._device_death,
    "NDATA": SparkplugB._data,
    "DDATA": SparkplugB._data,
}
"""What each type of message teaches: the node as it is known then, and the items."""


def follows(node: Node, payload: Any) -> str:
    """How a message follows the node's last: "next", "again" (it was heard before) or "gap" (one before was missed).

    A broker that hands out again what was not acknowledged goes back in `seq` and in time; a node only goes on.

    >>> last = Node(seq=255, newest=1000)
    >>> [follows(last, PAYLOAD(seq=seq, timestamp=t)) for seq, t in ((0, 1001), (255, 1000), (250, 990), (2, 1002))]
    ['next', 'again', 'again', 'gap']
    """
    if node.seq is None or not payload.HasField("seq"):
        return "next"
    ahead, sent = (payload.seq - node.seq) % 256, _sent(payload) or node.newest
    if ahead == 1:
        return "next"
    if ahead == 0 or sent < node.newest or (sent == node.newest and ahead >= 128):
        return "again"
    return "gap"


def asks(node: Node, now: int) -> bool:
    """Is a rebirth asked for at `now` (µs): something was missed, and the last request is long enough ago."""
    return node.wanted and not 0 <= now - node.asked_at < ASK_EVERY


def declared(payload: Any) -> Birth:
    """The aliases and data types in a birth; none of names that are too long to be kept."""
    names, types = dict[int, str](), dict[str, int]()
    for metric in payload.metrics:
        if (name := metric.name.decode(errors="replace")) and len(name) <= LONGEST_NAME:
            types[name] = metric.datatype
            if metric.HasField("alias"):
                names[metric.alias] = name
    return Birth(names, types, _sent(payload) or 0)


def _place(topic: str) -> tuple[str, str]:
    """The type of a message and its device, "" for the node; the type is "" where they don't fit."""
    match topic.split("/"):
        case [_, _, ("NBIRTH" | "NDEATH" | "NDATA" | "NCMD") as kind, _]:
            return kind, ""
        case [_, _, ("DBIRTH" | "DDEATH" | "DDATA" | "DCMD") as kind, _, device] if 0 < len(device) <= LONGEST_NAME:
            return kind, device
    return "", ""


def _counted(node: Node, heard: _Heard) -> Node:
    """The node with this message's place in its sequence."""
    if heard.follows not in ("next", "gap") or not heard.payload.HasField("seq"):
        return node
    newest = _sent(heard.payload) or node.newest
    return _wanting(heard.follows == "gap", heard, _replace(node, seq=heard.payload.seq % 256, newest=newest))


def _wanting(missed: bool, heard: _Heard, node: Node) -> Node:
    """The node whose rebirth is wanted if something was missed; a message that was heard before tells nothing of it."""
    return _replace(node, wanted=True) if missed and heard.follows != "again" and not node.wanted else node


def _kept(node: Node) -> tuple[Any, ...]:
    return node.bd_seq, node.births, node.reached


def _early(payload: Any, birth: Birth) -> bool:
    """Is it of an earlier session than this birth, whose aliases may mean others (or was the node's clock set back)?"""
    return (_sent(payload) or birth.at) < birth.at


def _sent(payload: Any) -> int | None:
    return payload.timestamp if payload.HasField("timestamp") else None


def _bd_seq(payload: Any) -> int | None:
    for metric in payload.metrics:
        if metric.name == BIRTH_DEATH.encode():
            value = scalar(metric, metric.datatype)
            return value if isinstance(value, int) and not isinstance(value, bool) else None
    return None


def _too_many(node: Node) -> Refused | None:
    known = sum(len(birth.types) + len(birth.names) for birth in node.births.values()) + len(node.reached)
    if known <= MOST_KNOWN:
        return None
    return refusal("too_many", f"{known} metrics, aliases and devices; a node may declare {MOST_KNOWN}")


def _name(metric: Any, birth: Birth) -> str | None:
    """The metric's name; None where it has neither one nor a known alias."""
    if metric.name:
        return metric.name.decode(errors="replace")  # type: ignore[no-any-return]
    return birth.names.get(metric.alias) if metric.HasField("alias") else None


def _type(name: str, metric: Any, birth: Birth) -> int:
    return metric.datatype or birth.types.get(name, 0)


def _why(name: str, why: str, metric: Any, birth: Birth) -> str:
    """What to tell of a refused metric: what it holds where it has no scalar."""
    datatype = _type(name, metric, birth)
    return f"{name} {why}" if scalar(metric, datatype) is not None else f"{name} holds {held(metric, datatype)}"


def _spelt(name: str, metric: Any, birth: Birth) -> Any:
    """A metric that needs no birth to be read."""
    spelt = type(metric).FromString(metric.SerializeToString())
    spelt.name, spelt.datatype = name.encode(), _type(name, metric, birth)
    spelt.ClearField("alias")
    return spelt


def _refused(reason: str, detail: str, metrics: Iterable[Any], payload: Any) -> Refused:
    part = PAYLOAD(metrics=metrics)
    if payload.HasField("timestamp"):
        part.timestamp = payload.timestamp
    return refusal(reason, detail, len(part.metrics), part.SerializeToString())
