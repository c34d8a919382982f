"""What a detector says: a Detection about a subject, by a rule, with a severity and the evidence."""

from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from core.journal import Offset


class Severity(IntEnum):
    """提示 / 预警 / 报警 / 紧急. 0 is none: not violated."""

    NONE = 0
    NOTICE = 1
    WARNING = 2
    ALARM = 3
    CRITICAL = 4


class Subject(NamedTuple):
    """What a detection is about: kind "device", "gateway", "site" or "platform", and its code. Never null."""

    kind: str
    id: str


class Change(IntEnum):
    """What a detection does to its episode."""

    OPENED = 1
    UPDATED = 2
    CLEARED = 3


class Detection(msgspec.Struct, frozen=True):
    """One step of one episode of one rule on one subject. Times in µs UTC.

    `onset` is a function of readings alone and is the episode's identity, the same after every replay. `at` and
    `received_at` are of the reading that caused this step (for a step caused by a tick: the tick's time, twice).
    `severity` is the level now; on CLEARED it is NONE. `page` is False for what is only recorded (aged, in
    maintenance, commissioning). `age` > 0 is the age in µs to be said in the text. `series` is -1 where a rule looks
    at no series. `evidence` holds plain JSON values for the page.
    """

    change: Change
    subject: Subject
    rule: str
    severity: Severity
    onset: int
    at: int
    received_at: int
    value: float | None = None
    limit: float | None = None
    series: int = -1
    page: bool = True
    age: int = 0
    reason: str = ""
    rules_version: int = 0
    evidence: dict[str, Any] = {}


class Found(NamedTuple):
    """A detection and the journal record that caused it."""

    offset: Offset
    journalled_at: int
    detection: Detection
