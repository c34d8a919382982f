"""The models of normal of this platform: where they read, which labels they heed, and where their word is kept."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from alerts.anomaly_labels import Counted, keep_view, label_counts
from core.clock import Clock
from core.database import reading, writing
from core.journal import Journal
from detectors.anomaly.budget import FLOOR, HeldBack
from detectors.anomaly.town_models import TownModels, View
from devices.registry import Registry
from shouwang.anomaly_watch import AnomalyWatch
from shouwang.settings import Settings

FILE = "models.db"
"""In the state folder: what the models know of normal. Without it they learn anew, silent for two days."""
_LISTED = 100
_log = structlog.get_logger()


def anomaly_watch(
    settings: Settings, journal: Journal, engine: Engine, clock: Clock, registry: Callable[[], Registry]
) -> AnomalyWatch:
    """The worker that feeds the models."""
    desk = _Desk(engine, clock)

    def make() -> TownModels:
        return TownModels(registry, desk.labels, desk.show, settings.anomaly.per_hour)

    return AnomalyWatch(journal, clock, settings.state / FILE, make)


class _Desk:
    """The database as the models see it: a database that is away neither stops them nor changes what they know."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._shown: dict[str, Any] = {}

    def labels(self) -> Mapping[tuple[str, str], Counted] | None:
        try:
            with reading(self._engine) as connection:
                return label_counts(connection, self._clock.now())
        except SQLAlchemyError as error:
            _log.warning("labels of warnings can't be read: those known stay", why=str(error))
            return None

    def show(self, view: View) -> None:
        """Keep the view for the pages, if it has changed."""
        body = _body(view)
        if body == self._shown:
            return
        try:
            with writing(self._engine) as connection:
                keep_view(connection, view.at, body)
            self._shown = body
        except SQLAlchemyError as error:
            _log.warning("the models' word can't be kept", why=str(error))


def _body(view: View) -> dict[str, Any]:
    budget = view.budget
    return {
        "series": view.series,
        "learning": view.learning,
        "threshold": round(budget.threshold, 2),
        "floor": FLOOR,
        "per_hour": budget.per_hour,
        "spent": budget.spent,
        "counts": dict(budget.counts),
        "shares": [[device, metric, share] for (device, metric), share in sorted(budget.shares().items())],
        "held_back": [_held(one) for one in list(budget.held_back)[: -_LISTED - 1 : -1]],
    }


def _held(held: HeldBack) -> dict[str, Any]:
    weighed = held.weighed
    one = weighed.candidate
    return {
        "at": held.at,
        "device": one.device,
        "metric": one.metric,
        "score": round(one.score, 2),
        "weight": round(weighed.weight, 2),
        "threshold": round(weighed.threshold, 2),
        "share": weighed.share,
        "alike": weighed.alike,
        "tier": one.tier,
        "evidence": dict(one.evidence),
        "reason": held.reason,
    }
