"""Sends the curve of what a notice is about after it, where its channel takes pictures and nothing else waits.

A picture helps to understand; it never keeps anybody waiting. So it goes only while no notice is due anywhere and its
address has most of its limits left, is tried once, and is left out when that takes too long.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, and_, exists, select, update

from alerts.batching import Standing
from alerts.channels import Limit, Outcome, PictureChannel
from alerts.claims import hold_claims, outgoing_notice, start_attempt
from alerts.curves import LARGEST, Curve, LimitLine
from alerts.facts import Facts
from alerts.measurements import Language
from alerts.notices import facts_of
from alerts.owners import LEASE
from alerts.rows import rows
from alerts.tables import alert, delivery, notice, ticket
from alerts.texts import hazard_name
from alerts.traffic import Traffic
from alerts.words import Row
from core.clock import HOUR, MINUTE, SECOND, Clock
from core.database import reading, writing
from detectors.words import Severity
from ingest.store import StoreError

PICTURE = "picture"
"""The code of the attempt that sent one."""

SETTLED = 3 * SECOND
"""After so long the readings store has the readings that raised the alert."""
TOO_LATE = 2 * MINUTE
_SENT = ("accepted", "delivered", "acknowledged")
_AT_ONCE = 20
_KEPT = 2  # a picture uses one part in so many of a limit at most

Readings = Callable[[int, int, int], tuple[Sequence[int], Sequence[float]]]
"""The times and values of a series from a time on until before another, all µs UTC; may raise StoreError."""
Draw = Callable[[Curve, int, Language], bytes | None]
"""Makes the picture; None where it can't."""


class Pictures:
    """One worker for all channels that take pictures."""

    def __init__(
        self,
        engine: Engine,
        channels: Iterable[PictureChannel],
        readings: Readings,
        draw: Draw,
        clock: Clock,
        language: Language = "zh",
    ) -> None:
        self._engine = engine
        self._channels = {channel.name: channel for channel in channels}
        self._readings = readings
        self._draw = draw
        self._clock = clock
        self._language: Language = language
        self._traffic = Traffic(self._channels)
        self._cleared_at: int | None = None

    def step(self, now: int) -> int:
        """Send one picture at most; how many (0 or 1). Raises SQLAlchemyError while the database does not answer."""
        if self._cleared_at is None or now - self._cleared_at >= LEASE:
            self._clear(now)
        with reading(self._engine) as connection:
            if _something_waits(connection, now):
                return 0
            wanted = _wanting(connection, sorted(self._channels), now)
        for row in wanted:
            if self._has_room(row, now):
                return self._send(row, now)
        return 0

    def _clear(self, now: int) -> None:
        """End the attempts of workers that are gone: one without an end would count against its address for ever."""
        left = and_(delivery.c.code == PICTURE, delivery.c.finished_at.is_(None), delivery.c.started_at <= now - LEASE)
        with writing(self._engine) as connection:
            ended = {"finished_at": delivery.c.started_at, "outcome": "uncertain", "detail": "the worker is gone"}
            connection.execute(update(delivery).where(left).values(**ended))
        self._cleared_at = now

    def _has_room(self, row: Row, now: int) -> bool:
        with reading(self._engine) as connection:
            self._traffic.read_on(connection, now)
        standing = self._traffic.standing(row["channel"], row["address"], now)
        return has_room(standing, self._channels[row["channel"]].limits, now)

    def _send(self, row: Row, now: int) -> int:
        attempt = self._claim(row, now)
        if attempt is None:
            return 0
        png = self._picture(row, now)
        outcome = Outcome("failed", PICTURE, "there is nothing to draw")
        if png is not None:
            outcome = self._channels[row["channel"]].send_picture(outgoing_notice(row, now), png)
        values: dict[str, Any] = {"finished_at": self._clock.now(), "outcome": outcome.state, "detail": outcome.detail}
        if outcome.holds_address:
            values["hold_until"] = self._clock.now() + outcome.retry_after
        with writing(self._engine) as connection:
            connection.execute(update(delivery).where(delivery.c.id == attempt).values(**values))
        return int(png is not None)

    def _claim(self, row: Row, now: int) -> int | None:
        """The number of the attempt, recorded before the request so that no picture goes twice; None if one went."""
        with writing(self._engine) as connection:
            hold_claims(connection)
            if connection.scalar(select(_has_picture(row["id"]))):
                return None
            attempt = start_attempt(connection, row, 1, now)
            connection.execute(update(delivery).where(delivery.c.id == attempt).values(code=PICTURE))
            return attempt

    def _picture(self, row: Row, now: int) -> bytes | None:
        until = max(now, row["alert_at"])
        try:
            at, values = self._readings(row["series"], until - HOUR, until + 1)
        except StoreError:  # the store does not answer; the notice is out, and nobody waits
            return None
        if not len(at):
            return None
        png = self._draw(curve_of(facts_of(row), at, values, self._language), until, self._language)
        return png if png and len(png) <= LARGEST else None


def has_room(standing: Standing, limits: Sequence[Limit], now: int) -> bool:
    """Whether an address has so much of its limits left that a picture takes nothing from the next notice."""
    if standing.held_until > now:
        return False
    used = ((limit, sum(moment > now - limit.window for moment in standing.sent)) for limit in limits)
    return all(count < limit.messages // _KEPT for limit, count in used)


def curve_of(facts: Facts, at: Sequence[int], values: Sequence[float], language: Language) -> Curve:
    """The curve of what a notice is about; its limit is drawn where it is one of the readings themselves."""
    place = facts.place_zh if language == "zh" else facts.place_en
    limits = []
    if facts.limit is not None and facts.measured in ("value", "count"):
        limits = [LimitLine(facts.limit, "限值" if language == "zh" else "limit")]
    return Curve(f"{place} {hazard_name(facts, language)}".strip(), at, values, facts.unit, limits)


def _something_waits(connection: Connection, now: int) -> bool:
    due = and_(notice.c.state == "queued", notice.c.next_try_at <= now)
    return bool(connection.scalar(select(exists().where(due))))


def _wanting(connection: Connection, channels: Sequence[str], now: int) -> list[Row]:
    """Notices of measured alarms that were told just now, alone, and have no picture yet: the gravest and newest first.

    Found by their attempts, which have an index by time.
    """
    column = notice.c
    attempt = and_(delivery.c.channel.in_(channels), delivery.c.started_at > now - TOO_LATE - LEASE)
    told = and_(
        column.attempt == delivery.c.id,
        column.state.in_(_SENT),
        column.accepted_at.between(now - TOO_LATE, now - SETTLED),
        column.severity >= Severity.ALARM,
    )
    wanted = (
        select(notice, alert.c.series, alert.c.at.label("alert_at"))
        .select_from(delivery.join(notice, told).join(alert, alert.c.id == column.alert))
        .where(
            attempt, delivery.c.notices == 1, alert.c.series >= 0, ~_has_picture(column.id), ~_of_a_storm(column.ticket)
        )
        .order_by(column.life_safety.desc(), column.severity.desc(), column.id.desc())
    )
    return rows(connection, wanted.limit(_AT_ONCE))


def _of_a_storm(number: Any) -> Any:
    """A storm's notice shows no single site's curve."""
    return exists().where(ticket.c.id == number, ticket.c.source == "storm", ~alert.c.life_safety)


def _has_picture(number: Any) -> Any:
    pictures = delivery.alias("pictures")
    return exists().where(pictures.c.notice == number, pictures.c.code == PICTURE)
