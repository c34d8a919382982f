"""Gateways that send more than they can have to say: judged before anything is decoded, life-safety devices shed last.

Each gateway has a token bucket that holds hours of its devices' usual pace, so that a backlog passes at once, and more
after the platform itself was away. When it is empty, a second one of four times the rate lets messages through of which
only life-safety devices are heard; beyond that messages are refused unread. All that is refused is counted, and told
once a second, not once a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from core.clock import HOUR, MINUTE, SECOND
from devices.registry import Registry
from ingest.words import Event, Message, Reject

OVERRIDE = "max_messages_per_s"
"""The gateway attribute that sets its rate."""
FLOOR, BURST = 50.0, 20_000.0
"""Messages a second that every gateway may send for good, and at once."""
FLOODING, SHUT_OUT = "flooding", "shut_out"
"""Types of a gateway's events."""
UNREGISTERED = ""
"""Whose bucket all messages share that no registered gateway sent."""
_PACES = 20  # times the usual one
_HOLDS = 3 * HOUR
_LIFE_RATES = 4
_CATCHES_UP = 4  # times the usual pace
_COST_BYTES = 1024
_QUIET = MINUTE
_PAUSE = 5 * SECOND  # shedding goes on over a pause this long
_PATIENCE = {False: MINUTE, True: 10 * MINUTE}  # has it life-safety devices?
_EXCERPT = 1024


class Passage(Enum):
    """What becomes of a message: heard, heard for its life-safety devices only, or refused unread."""

    OPEN = "open"
    LIFE_ONLY = "life_only"
    SHUT = "shut"


class Limit(NamedTuple):
    """What a gateway may send: messages (of a KiB) a second and at once, and whether it has life-safety devices."""

    rate: float
    burst: float
    life: bool


class Disable(NamedTuple):
    """A gateway that must be shut out, and why in words."""

    gateway: str
    why: str


class FloodReport(NamedTuple):
    """What a second of shedding comes to; `shed` counts messages by how: "life_only", "shut" or "disabled"."""

    events: list[Event]
    rejects: list[Reject]
    disable: list[Disable]
    shed: Mapping[str, int]


def cost_of(payload: bytes) -> int:
    """What a message takes from the bucket.

    >>> cost_of(b"x" * 100), cost_of(b"x" * 3000)
    (1, 3)
    """
    return 1 + len(payload) // _COST_BYTES


def limit_of(expected: float, life: bool, override: object, floor: float = FLOOR, burst: float = BURST) -> Limit:
    """The limit of a gateway whose devices usually send `expected` messages a second in all.

    >>> limit_of(200 / 30, life=True, override=None)
    Limit(rate=133.33333333333334, burst=72000.0, life=True)
    """
    own = isinstance(override, int | float) and not isinstance(override, bool) and override > 0
    rate = float(override) if own else max(floor, _PACES * expected)  # type: ignore[arg-type]
    return Limit(rate, max(burst, expected * (_HOLDS / SECOND)), life)


def limits_of(registry: Registry, floor: float = FLOOR, burst: float = BURST) -> dict[str, Limit]:
    """Each gateway's limit, from one message a metric and interval: some conventions send each value by itself."""
    working = registry.gateway >= 0
    working &= np.array([state != "retired" for state in registry.state], np.bool_)
    life = np.array([registry.types[code].life_safety for code in registry.type_code], np.bool_)
    owners, count = registry.gateway[working], len(registry.gateway_codes)
    metrics = np.bincount(registry.device[registry.device >= 0], minlength=len(working))[working]
    expected = np.bincount(owners, metrics * SECOND / registry.interval[working], count)
    with_life = np.bincount(registry.gateway[working & life], minlength=count) > 0
    return {
        gateway.code: limit_of(
            float(expected[gateway.index]), bool(with_life[gateway.index]), gateway.attributes.get(OVERRIDE),
            floor, burst,
        )
        for gateway in registry.gateways.values()
    }  # fmt: skip


def verdict(limit: Limit, shedding: int) -> str | None:
    """Why a gateway that was shed for `shedding` µs without a pause is shut out, None while it is not.

    >>> verdict(Limit(50, 20_000, life=True), 5 * MINUTE)
    >>> verdict(Limit(50, 20_000, life=False), 5 * MINUTE)
    'flooding for 5 min, at most 50 messages/s'
    """
    if shedding < _PATIENCE[limit.life]:
        return None
    return f"flooding for {shedding // MINUTE} min, at most {limit.rate:g} messages/s"


@dataclass
class _Bucket:
    """What a gateway has left of its second bucket, and when either was filled."""

    limit: Limit
    life_credit: float
    filled: int = 0
    life_filled: int = 0


@dataclass
class _Flood:
    """One gateway's flood: when it was shed without a pause since and at last, and what since the last report."""

    since: int
    last: int
    told: bool = False
    asked: bool = False
    seen: int = 0
    shut: int = 0
    life_only: int = 0
    readings: int = 0
    sample: Message | None = None


@dataclass
class _Disabled:
    """What a gateway that is shut out still sent since the last report."""

    messages: int = 0
    sample: Message | None = None


@dataclass
class Floods:
    """All gateways' buckets. `credit` is what each has left; whoever takes below 0 asks `passage` instead."""

    credit: dict[str, float] = field(default_factory=dict)
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _floods: dict[str, _Flood] = field(default_factory=dict)
    _disabled: dict[str, _Disabled] = field(default_factory=dict)
    _looked: int = 0

    def load(self, limits: Mapping[str, Limit], disabled: frozenset[str]) -> None:
        """Take a newer registry's limits; what is left in the buckets stays."""
        limits = {UNREGISTERED: Limit(FLOOR, BURST, life=False), **limits}
        self.credit = {code: -1.0 if code in disabled else self._left(code, limit) for code, limit in limits.items()}
        before = self._buckets
        self._buckets = {
            code: _Bucket(limit, min(limit.burst, before[code].life_credit), before[code].filled)
            if code in before
            else _Bucket(limit, limit.burst)
            for code, limit in limits.items()
        }
        self._disabled = {code: self._disabled.get(code, _Disabled()) for code in disabled}
        self._floods = {code: flood for code, flood in self._floods.items() if code in limits}

    def _left(self, gateway: str, limit: Limit) -> float:
        """What is left under another limit: of the burst at most the new one, and what was held while we were away."""
        if gateway not in self.credit:
            return limit.burst
        credit, before = self.credit[gateway], self._buckets[gateway].limit.burst
        return max(0.0, min(limit.burst, credit)) + max(0.0, credit - before)

    def passage(self, gateway: str, message: Message) -> Passage:
        """What becomes of a message that the gateway's credit does not cover."""
        if gateway in self._disabled:
            disabled = self._disabled[gateway]
            disabled.messages, disabled.sample = disabled.messages + 1, message
            return Passage.SHUT
        now, cost = message.received_at, cost_of(message.payload)
        flood = self._floods.get(gateway)
        if flood:
            flood.seen += 1
        self._fill(gateway, now)
        if self.credit[gateway] >= cost:
            self.credit[gateway] -= cost
            return Passage.OPEN
        flood = flood or self._floods.setdefault(gateway, _Flood(now, now, seen=1))
        if now - flood.last > _PAUSE:
            flood.since = now
        flood.last, flood.sample = now, message
        bucket = self._buckets[gateway]
        if bucket.limit.life and self._life(bucket, now) >= cost:
            bucket.life_credit -= cost
            flood.life_only += 1
            return Passage.LIFE_ONLY
        flood.shut += 1
        return Passage.SHUT

    def unheard(self, gateway: str, readings: int) -> None:
        """Count values that a message in LIFE_ONLY passage had of other devices."""
        self._floods[gateway].readings += readings

    def away(self, span: int) -> None:
        """The platform heard nothing for `span` µs: what gateways sent meanwhile comes at once, beside their bursts."""
        for code, bucket in self._buckets.items():
            if code not in self._disabled:
                self.credit[code] += _CATCHES_UP * bucket.limit.burst * span / _HOLDS

    def _fill(self, gateway: str, now: int) -> None:
        bucket, credit = self._buckets[gateway], self.credit[gateway]
        passed = max(0, now - bucket.filled) if bucket.filled else 0
        filled = min(bucket.limit.burst, credit + bucket.limit.rate * passed / SECOND)
        self.credit[gateway], bucket.filled = max(credit, filled), now  # more than a burst is left from `away`

    def _life(self, bucket: _Bucket, now: int) -> float:
        passed = max(0, now - bucket.life_filled) if bucket.life_filled else 0
        grown = bucket.life_credit + _LIFE_RATES * bucket.limit.rate * passed / SECOND
        bucket.life_credit, bucket.life_filled = min(bucket.limit.burst, grown), now
        return bucket.life_credit

    def tick(self, now: int) -> FloodReport:
        """Fill all buckets and report what was shed since the last tick; once a second."""
        for code, credit in self.credit.items():
            if credit != self._buckets[code].limit.burst and code not in self._disabled:
                self._fill(code, now)
        elapsed = max(SECOND, now - self._looked) / SECOND if self._looked else 1.0
        self._looked = now
        report = FloodReport([], [], [], {"life_only": 0, "shut": 0, "disabled": 0})
        shed: dict[str, int] = dict(report.shed)
        for code, flood in list(self._floods.items()):
            shed["life_only"] += flood.life_only
            shed["shut"] += flood.shut
            self._report(code, flood, now, elapsed, report)
        for code, disabled in self._disabled.items():
            shed["disabled"] += disabled.messages
            if disabled.sample:
                report.rejects.append(_told(code, disabled.sample, "disabled_gateway", disabled.messages))
                disabled.messages, disabled.sample = 0, None
        return report._replace(shed=shed)

    def _report(self, code: str, flood: _Flood, now: int, elapsed: float, report: FloodReport) -> None:
        limit = self._buckets[code].limit
        if flood.sample:
            report.rejects.append(_told(code, flood.sample, "flood", flood.shut, flood.life_only, flood.readings))
            if code != UNREGISTERED and not flood.told:
                value = max(limit.rate, flood.seen / elapsed)
                report.events.append(_event(code, FLOODING, True, value, limit, now))
                flood.told = True
            why = verdict(limit, flood.last - flood.since)
            if why and code not in self._disabled and code != UNREGISTERED and not flood.asked:
                report.disable.append(Disable(code, why))
                report.events.append(_event(code, SHUT_OUT, True, flood.seen / elapsed, limit, now))
                flood.asked = True
        elif now - flood.last >= _QUIET:
            if flood.told:
                report.events.append(_event(code, FLOODING, False, flood.seen / elapsed, limit, now))
            del self._floods[code]
        flood.seen = flood.shut = flood.life_only = flood.readings = 0
        flood.sample = None

    def said(self, gateway: str, active: bool, at: int) -> None:
        """Take up a change that was journalled, so that a flood that ended meanwhile is told to have ended."""
        if active:
            self._floods[gateway] = _Flood(at, at, told=True)
        else:
            self._floods.pop(gateway, None)

    def told(self) -> dict[str, int]:
        """The gateways that were said to flood, each with when it was shed last."""
        return {code: flood.last for code, flood in self._floods.items() if flood.told}


def _event(code: str, kind: str, active: bool, value: float, limit: Limit, now: int) -> Event:
    attributes: dict[str, Any] = {"active": active, "value": round(value, 1), "limit": round(limit.rate, 1)}
    return Event("gateway", code, kind, now, now, attributes)


def _told(code: str, sample: Message, reason: str, shut: int, life_only: int = 0, readings: int = 0) -> Reject:
    """One record for all that a gateway's second lost; its payload is the last message's, as a sample."""
    detail = f"{shut} messages unread"
    if life_only:
        detail += f"; of {life_only} only life-safety devices were heard"
    return Reject(
        sample.topic, sample.payload[:_EXCERPT], sample.received_at, code, reason, detail, readings,
        sample.retained, messages=shut,
    )  # fmt: skip
