"""What a bounded demonstration did, as one JSON object, and whether anything was lost."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from sqlalchemy import Column, Connection, Engine, and_, func, select

from alerts.tables import alert, notice, ticket
from core.clock import MILLISECOND, SECOND, Clock
from core.database import reading
from core.metrics import Metrics
from shouwang.simulation import Published
from shouwang.wiring import Platform

_SETTLED = ("accepted", "delivered", "acknowledged", "failed", "uncertain", "expired")
_LOOK = 0.05  # s
_BEATS = 5.0  # s


def drain(platform: Platform, published: Published, seconds: float = 30.0) -> bool:
    """Wait until all that was published is journalled, stored, judged and told; False when time ran out.

    The canary ends first, so that its readings can be taken off exactly.
    """
    metrics = platform.metrics
    if platform.canary:
        platform.canary.stop(_BEATS)
    sent = published.readings + _beats(platform)
    steps: list[Callable[[], bool]] = [
        lambda: _count(metrics, "readings") + _count(metrics, "rejected_readings") >= sent,
        lambda: _count(metrics, "stored") + _count(metrics, "duplicates") >= _count(metrics, "readings"),
        lambda: platform.watch is None or platform.watch.reached >= platform.clock.now() - 2 * SECOND,
        lambda: not _waiting(platform.engine, platform.clock),
    ]
    waiting = threading.Event()
    looks = int(seconds / _LOOK)
    for step in steps:
        while not step():
            looks -= 1
            if looks <= 0:
                return False
            waiting.wait(_LOOK)
    return True


def _beats(platform: Platform) -> int:
    return platform.canary.beats if platform.canary else 0


def _count(metrics: Metrics, name: str) -> int:
    return int(metrics.registry.get_sample_value(f"shouwang_{name}_total") or 0)


def _waiting(engine: Engine, clock: Clock) -> int:
    """Notices that are due and not yet settled."""
    due = and_(notice.c.state.in_(("queued", "sending")), notice.c.next_try_at <= clock.now())
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(notice).where(due)).scalar_one()


def report(platform: Platform, published: Published) -> dict[str, Any]:
    """The object that `shouwang demo --json` writes; see the README for its fields.

    After `drain`; the canary's own readings are in none of the counts.
    """
    metrics, beats = platform.metrics, _beats(platform)
    stored = platform.store.counts().stored - beats if platform.store else 0
    rejected = _count(metrics, "rejected_readings")
    with reading(platform.engine) as connection:
        tickets, notices = _tally(connection, ticket.c.status), _tally(connection, notice.c.state)
        alerts = connection.execute(select(func.count()).select_from(alert)).scalar_one()
        doubled = connection.execute(select(func.count()).select_from(_doubled())).scalar_one()
        sent = connection.execute(
            select(alert.c.at, notice.c.requested_at)
            .join(notice, notice.c.alert == alert.c.id)
            .where(notice.c.requested_at.is_not(None), notice.c.due_at <= alert.c.opened_at, alert.c.age == 0)
        ).all()
    hops = {hop: latencies.percentiles() for hop, latencies in metrics.latencies.items()}
    hops["notice"] = _percentiles([requested - at for at, requested in sent])
    return {
        "messages_published": published.messages,
        "readings_published": published.readings,
        "readings_journalled": _count(metrics, "readings") - beats,
        "readings_duplicate": platform.store.counts().duplicate if platform.store else 0,
        "readings_stored": stored,
        "rejects": _by_label(metrics, "shouwang_rejects_total", "reason"),
        "detections": sum(_by_label(metrics, "shouwang_detections_total", "change").values()),
        "alerts": alerts,
        "tickets": tickets,
        "notices": notices,
        "readings_lost": published.readings - stored - rejected,
        "duplicate_alerts": doubled,
        "latency_ms": hops,
    }


def _tally(connection: Connection, column: Column[str]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(select(column, func.count()).group_by(column))}


def _doubled() -> Any:
    """Pairs of alerts of one subject and rule that were open at the same time."""
    other = alert.alias("other")
    same = and_(
        alert.c.subject_kind == other.c.subject_kind,
        alert.c.subject_id == other.c.subject_id,
        alert.c.rule == other.c.rule,
        alert.c.id < other.c.id,
        func.coalesce(alert.c.closed_at, other.c.opened_at + 1) > other.c.opened_at,
    )
    return select(alert.c.id).join(other, same).subquery()


def _by_label(metrics: Metrics, name: str, label: str) -> dict[str, int]:
    found = (sample for family in metrics.registry.collect() for sample in family.samples if sample.name == name)
    return {sample.labels[label]: int(sample.value) for sample in found if sample.value}


def _percentiles(spans: list[int]) -> dict[str, float | None]:
    if not spans:
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(spans, (50, 99)) / MILLISECOND
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}
