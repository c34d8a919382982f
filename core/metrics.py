"""What the platform tells of itself: Prometheus metrics on their own registry, and exact latencies of recent work."""

import math
import threading
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric

from core.clock import SECOND

HOPS = ("journal", "store", "alert", "ticket", "notice")
"""The hops of a reading, each timed from its publication."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60)
_KEPT = 65_536


def unreadable_receipts(registry: CollectorRegistry | None) -> Counter:
    """The counter of receipts that a provider pushed and nobody can read."""
    return Counter("shouwang_receipts_unreadable", "Receipts that can't be read", ["channel"], registry=registry)


class KnownGauge(Gauge):
    """A gauge that only some processes can tell: one that does not know (NaN) says nothing of it.

    >>> gauge = KnownGauge("shouwang_example", "An example", registry=None)
    >>> [len(family.samples) for family in gauge.collect()]
    [0]
    """

    def __init__(self, name: str, documentation: str, *, registry: CollectorRegistry | None) -> None:
        super().__init__(name, documentation, registry=registry)
        self.set(math.nan)

    def collect(self) -> Iterable[Metric]:
        """The family, without samples that are not known."""
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not math.isnan(sample.value)]
            yield family


class Latencies:
    """The last 65,536 latencies of one hop, µs, for exact percentiles."""

    def __init__(self) -> None:
        self._kept: npt.NDArray[np.int64] = np.empty(_KEPT, np.int64)
        self._seen = 0
        self._lock = threading.Lock()

    def add(self, spans: npt.NDArray[np.int64]) -> None:
        """Keep `spans` (µs); of a larger batch than fits, the last ones."""
        spans = spans[-_KEPT:]
        with self._lock:
            self._kept[(self._seen + np.arange(len(spans))) % _KEPT] = spans
            self._seen += len(spans)

    def percentiles(self) -> dict[str, float | None]:
        """{"p50", "p99"} in milliseconds, None when nothing was timed.

        >>> hop = Latencies()
        >>> hop.add(np.array([1_000, 2_000, 3_000]))
        >>> hop.percentiles()
        {'p50': 2.0, 'p99': 2.98}
        """
        with self._lock:
            spans = self._kept[: min(self._seen, _KEPT)]
            if not len(spans):
                return {"p50": None, "p99": None}
            p50, p99 = np.percentile(spans, (50, 99)) / 1_000
        return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


class Metrics:
    """All metrics of one process. Times in seconds, as Prometheus wants them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.messages = Counter("shouwang_messages", "MQTT messages journalled", registry=registry)
        self.readings = Counter("shouwang_readings", "Readings journalled", registry=registry)
        self.readings_at_least_once = Counter(
            "shouwang_readings_at_least_once", "Readings without a time of their own", registry=registry
        )
        self.readings_qos0 = Counter(
            "shouwang_readings_qos0", "Readings sent at QoS 0, which promises nothing", registry=registry
        )
        self.events = Counter("shouwang_events", "Events journalled", registry=registry)
        self.rejects = Counter("shouwang_rejects", "Messages or parts of them refused", ["reason"], registry=registry)
        self.rejected_readings = Counter("shouwang_rejected_readings", "Readings refused", registry=registry)
        self.shed_messages = Counter(
            "shouwang_shed_messages", "Messages of gateways that flood or are shut out", ["level"], registry=registry
        )
        self.stored = Counter("shouwang_stored", "Readings stored", registry=registry)
        self.duplicates = Counter("shouwang_duplicates", "Readings stored before", registry=registry)
        self.detections = Counter("shouwang_detections", "Detections", ["change"], registry=registry)
        self.records_skipped = Counter("shouwang_records_skipped", "Records no rule could judge", registry=registry)
        self.broker_connected = KnownGauge("shouwang_broker_connected", "1 while subscribed", registry=registry)
        self.registry_version = Gauge(
            "shouwang_registry_version", "Version of the registry that the gate judges by", registry=registry
        )
        self.broker_dropped = KnownGauge(
            "shouwang_broker_dropped_messages", "Messages the broker dropped since its start", registry=registry
        )
        self.canary_age = KnownGauge(
            "shouwang_canary_age_seconds", "Since the last canary that went the whole way", registry=registry
        )
        self.journal_bytes = Gauge("shouwang_journal_bytes", "Bytes in the journal", registry=registry)
        self.journal_share = Gauge("shouwang_journal_share", "Journal bytes / quota", registry=registry)
        self.journal_dropped = Gauge(
            "shouwang_journal_dropped_readings",
            "Readings the quota took from a consumer",
            ["consumer"],
            registry=registry,
        )
        self.lag = Gauge(
            "shouwang_consumer_lag_records", "Records a consumer has not read", ["consumer"], registry=registry
        )
        self.open_alerts = Gauge("shouwang_open_alerts", "Open alerts", registry=registry)
        self.escalation_findings = KnownGauge(
            "shouwang_escalation_findings", "Live tickets whose next step is not scheduled", registry=registry
        )
        self.escalation_audited = KnownGauge(
            "shouwang_escalation_audited_timestamp_seconds", "When that was looked at last", registry=registry
        )
        self.notices = Gauge("shouwang_notices", "Notices of the last day", ["state"], registry=registry)
        self.receipts_unreadable = unreadable_receipts(registry)
        self.task_failures = Counter("shouwang_task_failures", "Unexpected ends of a task", ["task"], registry=registry)
        self.hop_seconds = Histogram(
            "shouwang_hop_seconds", "From publication to each hop", ["hop"], buckets=_BUCKETS, registry=registry
        )
        self.latencies = {hop: Latencies() for hop in HOPS}

    def time_hop(self, hop: str, since: npt.ArrayLike, now: int) -> None:
        """Time a hop for things published at `since` (µs) and through at `now`."""
        spans = now - np.asarray(since, np.int64)
        if not len(spans):
            return
        self.latencies[hop].add(spans)
        histogram = self.hop_seconds.labels(hop)
        for span in spans[:: max(1, len(spans) // 16)]:  # a sample: the histogram is for a chart
            histogram.observe(max(0.0, float(span) / SECOND))
