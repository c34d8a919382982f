"""Payloads of Sparkplug B: their protobuf schema, what a metric's value is, and payloads as an edge node writes them.

The field numbers and data types are those of the Eclipse Sparkplug 3.0 specification. The schema holds what is read
here; what nests (data sets, templates, properties) is left as bytes, and so are texts, which need not be UTF-8.

>>> payload = PAYLOAD.FromString(birth([Tag("Temp/1", -4, alias=7, datatype=INT16)], seq=1, t=1790000000000))
>>> payload.metrics[0].int_value, scalar(payload.metrics[0], INT16)
(65532, -4)
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

BIRTH_DEATH = "bdSeq"
REBIRTH = "Node Control/Rebirth"
COMPRESSED = b"SPBV1.0_COMPRESSED"
"""The `uuid` of a payload whose body is another payload, compressed."""

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, TEXT = range(1, 13)
_SIGNED_BITS = {INT8: 8, INT16: 16, INT32: 32, INT64: 64}
_TEXTS = {TEXT, 14, 15}  # String, Text, UUID
_HELD_BY_TYPE = {13: "a date", 16: "a data set", 17: "bytes", 18: "a file", 19: "a template"} | dict.fromkeys(
    range(22, 35), "an array"
)
_HELD_BY_FIELD = {"bytes_value": "bytes", "dataset_value": "a data set", "template_value": "a template"}

_UINT32, _UINT64 = FieldDescriptorProto.TYPE_UINT32, FieldDescriptorProto.TYPE_UINT64
_FLOAT, _DOUBLE = FieldDescriptorProto.TYPE_FLOAT, FieldDescriptorProto.TYPE_DOUBLE
_BOOL, _BYTES = FieldDescriptorProto.TYPE_BOOL, FieldDescriptorProto.TYPE_BYTES
_METRIC = (
    ("name", 1, _BYTES),
    ("alias", 2, _UINT64),
    ("timestamp", 3, _UINT64),
    ("datatype", 4, _UINT32),
    ("is_historical", 5, _BOOL),
    ("is_transient", 6, _BOOL),
    ("is_null", 7, _BOOL),
    ("metadata", 8, _BYTES),
    ("properties", 9, _BYTES),
)
_VALUE = (
    ("int_value", 10, _UINT32),
    ("long_value", 11, _UINT64),
    ("float_value", 12, _FLOAT),
    ("double_value", 13, _DOUBLE),
    ("boolean_value", 14, _BOOL),
    ("string_value", 15, _BYTES),
    ("bytes_value", 16, _BYTES),
    ("dataset_value", 17, _BYTES),
    ("template_value", 18, _BYTES),
    ("extension_value", 19, _BYTES),
)
_PAYLOAD = (("timestamp", 1, _UINT64), ("seq", 3, _UINT64), ("uuid", 4, _BYTES), ("body", 5, _BYTES))


def _schema() -> FileDescriptorProto:
    file = FileDescriptorProto(name="sparkplug_b.proto", package="sparkplug_b", syntax="proto2")
    payload, metric = file.message_type.add(name="Payload"), file.message_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    for field in _METRIC:
        _add(metric, *field)
    for field in _VALUE:
        _add(metric, *field).oneof_index = 0
    for field in _PAYLOAD:
        _add(payload, *field)
    metrics = _add(payload, "metrics", 2, FieldDescriptorProto.TYPE_MESSAGE)
    metrics.label, metrics.type_name = FieldDescriptorProto.LABEL_REPEATED, ".sparkplug_b.Metric"
    return file


def _add(
    to: DescriptorProto, name: str, number: int, kind: "FieldDescriptorProto.Type.ValueType"
) -> FieldDescriptorProto:
    return to.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)


def _payload_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_schema())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sparkplug_b.Payload"))


PAYLOAD = _payload_class()
"""The message class of a payload: `PAYLOAD.FromString(bytes)` raises google.protobuf.message.DecodeError."""


class Tag(NamedTuple):
    """One metric of a payload to write; `t` in ms UTC, None: the payload's. A value of None is written as null."""

    name: str
    value: float | bool | str | None
    alias: int | None = None
    datatype: int = DOUBLE
    t: int | None = None
    historical: bool = False


def scalar(metric: Any, datatype: int) -> float | bool | str | None:
    """A metric's value by its data type (0: as its field says); a text stays one, None where it is neither.

    Signed integers come as two's complement, of their own width or a wider one.
    """
    field = metric.WhichOneof("value")
    if field is None or (datatype > TEXT and datatype not in _TEXTS):
        return None
    value = getattr(metric, field)
    if isinstance(value, bytes):
        return value.decode(errors="replace") if field == "string_value" else None
    if datatype in _TEXTS:
        return str(value)
    if datatype == BOOLEAN:
        return bool(value)
    bits = _SIGNED_BITS.get(datatype)
    if bits is None or not isinstance(value, int) or isinstance(value, bool):
        return value  # type: ignore[no-any-return]
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def held(metric: Any, datatype: int) -> str:
    """What a metric holds that is neither a number nor a text, for people."""
    field = metric.WhichOneof("value")
    if field is None:
        return "no value"
    return _HELD_BY_TYPE.get(datatype) or _HELD_BY_FIELD.get(field) or f"data type {datatype}"


def birth(tags: Iterable[Tag], seq: int, t: int, bd_seq: int | None = None) -> bytes:
    """A birth: every metric with its name, alias and data type; with `bd_seq` a node's, else a device's."""
    payload = PAYLOAD(timestamp=t, seq=seq)
    if bd_seq is not None:
        _write(payload, Tag(BIRTH_DEATH, bd_seq, datatype=INT64), declare=True)
        _write(payload, Tag(REBIRTH, False, datatype=BOOLEAN), declare=True)
    for tag in tags:
        _write(payload, tag, declare=True)
    return payload.SerializeToString()  # type: ignore[no-any-return]


def data(tags: Iterable[Tag], seq: int, t: int) -> bytes:
    """Data: each metric by its alias where it has one, by its name where not, without its data type."""
    payload = PAYLOAD(timestamp=t, seq=seq)
    for tag in tags:
        _write(payload, tag, declare=False)
    return payload.SerializeToString()  # type: ignore[no-any-return]


def node_death(bd_seq: int) -> bytes:
    """A node's will; it is written when the node connects, so it bears no time."""
    payload = PAYLOAD()
    _write(payload, Tag(BIRTH_DEATH, bd_seq, datatype=INT64), declare=True)
    return payload.SerializeToString()  # type: ignore[no-any-return]


def device_death(seq: int, t: int) -> bytes:
    """A node's word that it no longer reaches a device."""
    return PAYLOAD(timestamp=t, seq=seq).SerializeToString()  # type: ignore[no-any-return]


def rebirth_command(t: int) -> bytes:
    """The command to a node to announce itself and its devices anew."""
    payload = PAYLOAD(timestamp=t)
    _write(payload, Tag(REBIRTH, True, datatype=BOOLEAN), declare=True)
    return payload.SerializeToString()  # type: ignore[no-any-return]


def _write(payload: Any, tag: Tag, declare: bool) -> None:
    metric = payload.metrics.add()
    if declare or tag.alias is None:
        metric.name = tag.name.encode()
    if declare:
        metric.datatype = tag.datatype
    if tag.alias is not None:
        metric.alias = tag.alias
    if tag.t is not None:
        metric.timestamp = tag.t
    if tag.historical:
        metric.is_historical = True
    _write_value(metric, tag)


def _write_value(metric: Any, tag: Tag) -> None:
    match tag.value:
        case None:
            metric.is_null = True
        case str():
            metric.string_value = tag.value.encode()
        case _ if tag.datatype == BOOLEAN:
            metric.boolean_value = bool(tag.value)
        case _ if tag.datatype == FLOAT:
            metric.float_value = tag.value
        case _ if tag.datatype == DOUBLE:
            metric.double_value = tag.value
        case _ if tag.datatype in (INT64, UINT64, UINT32):
            metric.long_value = int(tag.value) & 0xFFFF_FFFF_FFFF_FFFF
        case _:
            metric.int_value = int(tag.value) & ((1 << _SIGNED_BITS.get(tag.datatype, 32)) - 1)
