"""The queries that panels ask: InfluxQL of the readings store, SQL of the alerts database, PromQL of /metrics.

The SDK has no query type of its own for the first two; these are what Grafana 11.6 stores of theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog import runtime
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import Dataquery as PrometheusQuery

READINGS = "shouwang-readings"
DESK = "shouwang-desk"
METRICS = "shouwang-prometheus"
"""The uids that provisioning gives the readings store, the alerts database and the platform's /metrics."""

Shape = Literal["time_series", "table"]


@dataclass(frozen=True)
class InfluxQL(Dataquery, Builder[Dataquery]):
    """Raw InfluxQL; `alias` names the lines (`$tag_device`, `$col`), `shape` "table" keeps the columns as they are."""

    query: str
    alias: str = ""
    shape: Shape = "time_series"
    ref: str = "A"

    def build(self) -> Dataquery:
        """Itself: it is finished when it is made."""
        return self

    def named(self, ref: str) -> "InfluxQL":
        """The same under another letter."""
        return replace(self, ref=ref)

    def to_json(self) -> dict[str, object]:
        """What Grafana keeps of it."""
        told: dict[str, object] = {
            "refId": self.ref,
            "datasource": source("influxdb"),
            "rawQuery": True,
            "query": self.query,
            "resultFormat": self.shape,
        }
        return {**told, "alias": self.alias} if self.alias else told

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(kept["query"], kept.get("alias", ""), kept["resultFormat"], kept["refId"])


@dataclass(frozen=True)
class SQL(Dataquery, Builder[Dataquery]):
    """Raw SQL for PostgreSQL; a "time_series" has a column `time`, numbers, and perhaps `metric`, which names lines."""

    query: str
    shape: Shape = "table"
    ref: str = "A"

    def build(self) -> Dataquery:
        """Itself: it is finished when it is made."""
        return self

    def named(self, ref: str) -> "SQL":
        """The same under another letter."""
        return replace(self, ref=ref)

    def to_json(self) -> dict[str, object]:
        """What Grafana keeps of it."""
        return {
            "refId": self.ref,
            "datasource": source("grafana-postgresql-datasource"),
            "rawQuery": True,
            "rawSql": self.query,
            "format": self.shape,
            "editorMode": "code",
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(kept["rawSql"], kept["format"], kept["refId"])


@dataclass(frozen=True)
class PromQL(Builder[Dataquery]):
    """One PromQL expression and the legend of its lines; `instant` asks for the newest value alone."""

    expression: str
    legend: str = ""
    instant: bool = False
    ref: str = "A"

    def build(self) -> PrometheusQuery:
        """The SDK's own query."""
        asked = prometheus.Dataquery().expr(self.expression).legend_format(self.legend).ref_id(self.ref)
        asked.datasource(source("prometheus"))
        return (asked.instant() if self.instant else asked.range()).build()

    def named(self, ref: str) -> "PromQL":
        """The same under another letter."""
        return replace(self, ref=ref)


Query = InfluxQL | SQL | PromQL
SOURCES = {"influxdb": READINGS, "grafana-postgresql-datasource": DESK, "prometheus": METRICS}
"""The uid of each type of data source."""


def source(kind: str) -> DataSourceRef:
    """The data source of a type."""
    return DataSourceRef(type_val=kind, uid=SOURCES[kind])


MIXED = DataSourceRef(type_val="datasource", uid="-- Mixed --")
"""What a panel says of its data source when its queries ask several: else the first one is asked all of them."""


def source_of(query: Query) -> DataSourceRef:
    """The data source that a query asks."""
    kinds = {InfluxQL: "influxdb", SQL: "grafana-postgresql-datasource", PromQL: "prometheus"}
    return source(kinds[type(query)])


def register_queries() -> None:
    """Let the SDK read our queries back from JSON."""
    for kind, query in (("influxdb", InfluxQL), ("grafana-postgresql-datasource", SQL)):
        runtime.register_dataquery_variant(runtime.DataqueryConfig(kind, query.from_json))
    runtime.register_dataquery_variant(runtime.DataqueryConfig(str(MIXED.type_val), _of_a_mixed_panel))


def _of_a_mixed_panel(kept: Mapping[str, Any]) -> Dataquery:
    """A query by the type of its own source; the SDK goes by the panel's."""
    return runtime.dataquery_from_json(dict(kept), kept["datasource"]["type"])
