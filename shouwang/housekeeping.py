"""What is done every few seconds or once a day: trim the journal, measure, tell own faults, let old readings go."""

import threading
from collections import deque
from collections.abc import Callable, Mapping

import structlog
from sqlalchemy import Engine, func, select

from alerts.tables import alert, notice
from core.clock import DAY, MILLISECOND, MINUTE, SECOND, Clock
from core.database import reading
from core.metrics import Metrics
from core.sqlite_journal import TRIM_INTERVAL, SqliteJournal
from ingest.store import ReadingStore, StoreUnavailable
from shouwang.canary import Standing
from shouwang.faults import CANARY_S, SelfWatch

_log = structlog.get_logger()
_INTERVAL = 1.0  # s
_RATE_SPAN = 10  # samples


class Housekeeping:
    """Keeps the journal small, the gauges true and readings for `keep` µs; journals the platform's own faults.

    `detected` tells the time (µs) up to which detection has come; it and `store` are None where another process has it.
    `reserve` is how many bytes of the disk the journal leaves free; `canary` tells how the canary fares, sent every
    `canary_s`; `refused` how many errors keep the rules as they are edited out of force, `unsure` how many tickets
    have no next step that can be counted on.
    """

    def __init__(
        self,
        journal: SqliteJournal,
        engine: Engine,
        store: ReadingStore | None,
        clock: Clock,
        metrics: Metrics,
        detected: Callable[[], int] | None,
        keep: int,
        reserve: int,
        canary: Callable[[], Standing | None] = lambda: None,
        canary_s: float = CANARY_S,
        refused: Callable[[], float | None] = lambda: None,
        unsure: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._journal, self._engine, self._store = journal, engine, store
        self._clock, self._metrics, self._keep = clock, metrics, keep
        self._detected = detected
        self._canary = canary
        self._self_watch = SelfWatch(journal, reserve, canary, canary_s, self._drops, refused, unsure)
        self._states: set[str] = set()
        self._samples: deque[tuple[int, float]] = deque(maxlen=_RATE_SPAN)

    def run(self, ending: threading.Event) -> None:
        """Once a second until `ending`."""
        next_trim = next_retain = 0
        while not ending.wait(_INTERVAL):
            now = self._clock.now()
            if now >= next_trim:
                self._journal.trim(now)
                self._self_watch.look(now)
                self._measure(now)
                next_trim = now + TRIM_INTERVAL
            self._self_watch.say(now)
            if self._store and now >= next_retain:
                next_retain = now + (DAY if self._let_go(self._store, now) else MINUTE)
            self._samples.append((now, self._metrics.registry.get_sample_value("shouwang_readings_total") or 0.0))

    def _let_go(self, store: ReadingStore, now: int) -> bool:
        """Delete the old readings; False when the store is away."""
        try:
            store.retain(now - self._keep)
        except StoreUnavailable as error:
            _log.warning("old readings stay for now", why=str(error))
            return False
        return True

    def figures(self) -> Mapping[str, float]:
        """`readings_per_s` over the last ten seconds and `lag_ms` that detection is behind the journal."""
        if len(self._samples) < 2:
            return {}
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        rate = (after - before) * SECOND / max(1, last - first)
        figures = {"readings_per_s": round(rate, 1)}
        if self._detected:
            figures["lag_ms"] = max(0, self._journal.last_time() - self._detected()) / MILLISECOND
        return figures

    def _drops(self) -> float | None:
        return self._metrics.registry.get_sample_value("shouwang_broker_dropped_messages")

    def _measure(self, now: int) -> None:
        use, head = self._journal.use(), self._journal.head()
        metrics = self._metrics
        metrics.journal_bytes.set(use.bytes)
        metrics.journal_share.set(use.share)
        if beats := self._canary():
            metrics.canary_age.set(beats.age)
        for consumer, dropped in use.dropped_readings.items():
            metrics.journal_dropped.labels(consumer).set(dropped)
            metrics.lag.labels(consumer).set(head.n - self._journal.acknowledged(consumer).n)
        with reading(self._engine) as connection:
            open_alerts = select(func.count()).select_from(alert).where(alert.c.state == "open")
            metrics.open_alerts.set(connection.execute(open_alerts).scalar_one())
            states = (
                select(notice.c.state, func.count()).where(notice.c.created_at > now - DAY).group_by(notice.c.state)
            )
            counts = {state: count for state, count in connection.execute(states)}  # noqa: C416 - rows are no pairs
        self._states |= counts.keys()
        for state in self._states:  # one that no notice is in any more must not keep its last count
            metrics.notices.labels(state).set(counts.get(state, 0))
