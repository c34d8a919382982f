"""How the gate says no: a record with its reason, whose payload can be replayed where something would come of it."""

from collections.abc import Mapping

import msgspec

from ingest.batch import Judged
from ingest.formats import Dialect
from ingest.formats.items import Measured, Refused
from ingest.formats.v1 import PREFIX, telemetry
from ingest.words import Block, Message, Reject

MAX_PAYLOAD = 256 * 1024
"""Bytes; a larger message is refused."""
MOST_REFUSALS = 1_000
"""Dead letters of one message; where it would be more, it becomes one."""
_KEPT_OF_OVERSIZE = 1024
_TOLD = 300  # characters


def reject(message: Message, gateway: str, refused: Refused) -> Reject:
    """The record of a refusal; of an oversize message only the beginning."""
    payload = message.payload if refused.payload is None else refused.payload
    if refused.reason == "oversize":
        payload = payload[:_KEPT_OF_OVERSIZE]
    return Reject(
        message.topic, payload, message.stands_at, gateway, refused.reason, refused.detail, refused.readings,
        message.retained,
    )  # fmt: skip


def bounded(message: Message, gateway: str, rejects: list[Reject]) -> list[Reject]:
    """The refusals of one message; one for all of them, with the whole message, where they are far more than it."""
    size = sum(len(each.payload) + len(each.detail) for each in rejects)
    if len(rejects) <= MOST_REFUSALS and size <= 4 * MAX_PAYLOAD:
        return rejects
    told = f"{rejects[0].detail[:_TOLD]}; and {len(rejects) - 1} more refusals"
    return [reject(message, gateway, Refused(rejects[0].reason, told, sum(each.readings for each in rejects)))]


def part(
    message: Message, gateway: str, item: Measured, values: Mapping[str, float | bool], reason: str, detail: str
) -> Reject:
    """The refused part of a message as a version 1 message of its own, so that it can be replayed after enrolment."""
    topic = f"{PREFIX}{gateway}/telemetry"
    if message.topic != topic:
        detail = f"{detail} (from {message.topic})"
    payload = telemetry([Measured(item.device, dict(values), item.t)])
    return reject(msgspec.structs.replace(message, topic=topic), gateway, Refused(reason, detail, len(values), payload))


def stranger(message: Message, gateway: str | None) -> Reject:
    """The refusal of a message that no registered gateway sent; `gateway` is whom its topic names."""
    if gateway is None:
        return reject(message, "", Refused("unknown_topic", "no registered gateway speaks there"))
    return reject(message, gateway, Refused("unknown_gateway", f"gateway {gateway} is not registered"))


def whole_refusal(message: Message, dialect: Dialect) -> Refused | None:
    """Why the whole message is refused unread, if it is.

    A dialect may offer `holds_state(topic)`: what is retained there is a state, no reading that returns as new.
    """
    if len(message.payload) > MAX_PAYLOAD:
        return Refused("oversize", f"{len(message.payload)} bytes, at most {MAX_PAYLOAD}")
    if message.retained and not (
        _is_status(message.topic) or getattr(dialect, "holds_state", _is_status)(message.topic)
    ):
        return Refused("retained", "telemetry must not be retained: it would return as new at every start")
    return None


def _is_status(topic: str) -> bool:
    return topic.startswith(PREFIX) and topic.endswith("/status")


def unforeseen(message: Message, error: Exception) -> Judged:
    """What becomes of a message on which the gate itself failed: a dead letter, as any other that can't be read."""
    gateway = message.topic.removeprefix(PREFIX).split("/")[0]
    refused = Refused("internal_error", f"{type(error).__name__}: {error}")
    return Judged(Block.of([], [], [], []), [], [reject(message, gateway, refused)])
