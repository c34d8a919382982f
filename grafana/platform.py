"""The platform's own dashboard: what it takes in, how far behind it is, and what it sends, from its /metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)

DATA_SOURCE = "shouwang-prometheus"
"""The uid that `provisioning/datasources` gives the Prometheus data source."""

_SOURCE = DataSourceRef(type_val="prometheus", uid=DATA_SOURCE)


@dataclass(frozen=True)
class Query:
    """One PromQL expression and the legend of its lines."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Chart:
    """One panel. `warn` and `alarm` colour its value from there on; `maximum` fixes the axis."""

    title: str
    queries: tuple[Query, ...]
    unit: str = units.Short
    span: int = 12
    warn: float | None = None
    alarm: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Row:
    """A titled row of single values (`stats`) or curves."""

    title: str
    charts: tuple[Chart, ...]
    stats: bool = False


def _hop(share: float) -> str:
    return f"histogram_quantile({share}, sum by (le, hop) (rate(shouwang_hop_seconds_bucket[$__rate_interval])))"


ROWS = (
    Row(
        "现在 · Now",
        (
            Chart("已连上消息代理 · Broker connected", (Query("min(shouwang_broker_connected)"),), units.BoolYesNo, 4),
            Chart(
                "读数/秒 · Readings/s", (Query("sum(rate(shouwang_readings_total[$__rate_interval]))"),), units.Short, 4
            ),
            Chart("未恢复的报警 · Open alerts", (Query("sum(shouwang_open_alerts)"),), units.Short, 4),
            Chart(
                "日志配额已用 · Journal quota used",
                (Query("max(shouwang_journal_share)"),),
                units.PercentUnit,
                4,
                warn=0.6,
                alarm=0.8,
            ),
            Chart(
                "24 小时任务失败 · Task failures, 24 h",
                (Query("sum(increase(shouwang_task_failures_total[24h]))"),),
                units.Short,
                4,
                alarm=1,
            ),
            Chart(
                "因配额丢弃的读数 · Readings dropped by quota",
                (Query("sum(shouwang_journal_dropped_readings)"),),
                units.Short,
                4,
                alarm=1,
            ),
        ),
        stats=True,
    ),
    Row(
        "接入 · Ingest",
        (
            Chart(
                "每秒流量 · Rates",
                (
                    Query("sum(rate(shouwang_readings_total[$__rate_interval]))", "读数 readings"),
                    Query("sum(rate(shouwang_stored_total[$__rate_interval]))", "已入库 stored"),
                    Query("sum(rate(shouwang_messages_total[$__rate_interval]))", "消息 messages"),
                    Query("sum(rate(shouwang_events_total[$__rate_interval]))", "事件 events"),
                ),
                units.CountsPerSecond,
            ),
            Chart(
                "每分钟拒收，按原因 · Rejects a minute by reason",
                (Query("60 * sum by (reason) (rate(shouwang_rejects_total[$__rate_interval]))", "{{reason}}"),),
                units.CountsPerMinute,
            ),
        ),
    ),
    Row(
        "日志与进度 · Journal and consumers",
        (
            Chart("日志大小 · Journal size", (Query("sum(shouwang_journal_bytes)", "字节 bytes"),), units.BytesIEC, 8),
            Chart(
                "占配额 · Share of the quota",
                (Query("max(shouwang_journal_share)", "占比 share"),),
                units.PercentUnit,
                8,
                warn=0.6,
                alarm=0.8,
                maximum=1,
            ),
            Chart(
                "尚未读取的记录 · Records not yet read",
                (Query("max by (consumer) (shouwang_consumer_lag_records)", "{{consumer}}"),),
                units.Short,
                8,
            ),
        ),
    ),
    Row(
        "自发布起的时延 · Latency from publication",
        (
            Chart("中位数 · p50", (Query(_hop(0.5), "{{hop}}"),), units.Seconds),
            Chart("第 99 百分位 · p99", (Query(_hop(0.99), "{{hop}}"),), units.Seconds),
        ),
    ),
    Row(
        "报警与通知 · Alerts and notices",
        (
            Chart("未恢复的报警 · Open alerts", (Query("sum(shouwang_open_alerts)", "报警 alerts"),), units.Short, 8),
            Chart(
                "每分钟检测结果 · Detections a minute",
                (Query("60 * sum by (change) (rate(shouwang_detections_total[$__rate_interval]))", "{{change}}"),),
                units.CountsPerMinute,
                8,
            ),
            Chart(
                "近一天的通知，按状态 · Notices of the last day by state",
                (Query("sum by (state) (shouwang_notices)", "{{state}}"),),
                units.Short,
                8,
            ),
        ),
    ),
)


def platform_dashboard() -> Dashboard:
    """The dashboard; times are shown in Asia/Shanghai, the last hour by default."""
    built = (
        dashboard.Dashboard("守望平台 · Shouwang platform")
        .uid("shouwang-platform")
        .tags(["shouwang"])
        .timezone("Asia/Shanghai")
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    numbers = count(1)
    for row in ROWS:
        built.with_row(dashboard.Row(row.title).id(next(numbers)))
        draw: Callable[[Chart], stat.Panel | timeseries.Panel] = _stat if row.stats else _curve
        for chart in row.charts:
            built.with_panel(draw(chart).id(next(numbers)))
    return built.build()


def _stat(chart: Chart) -> stat.Panel:
    panel = stat.Panel().title(chart.title).unit(chart.unit).span(chart.span).height(4).datasource(_SOURCE)
    for query in chart.queries:
        panel.with_target(_target(query).instant())
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.thresholds(_thresholds(chart))


def _curve(chart: Chart) -> timeseries.Panel:
    panel = timeseries.Panel().title(chart.title).unit(chart.unit).span(chart.span).height(8).datasource(_SOURCE)
    panel.min(0).fill_opacity(8).thresholds(_thresholds(chart))
    panel.legend(
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    if chart.maximum is not None:
        panel.max(chart.maximum)
    for number, query in enumerate(chart.queries):
        panel.with_target(_target(query).ref_id(chr(ord("A") + number)).range())
    return panel


def _target(query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expression).legend_format(query.legend).datasource(_SOURCE)


def _thresholds(chart: Chart) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color="green")]
    for value, color in ((chart.warn, "orange"), (chart.alarm, "red")):
        if value is not None:
            steps.append(Threshold(value=value, color=color))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def dashboard_text(built: Dashboard) -> str:
    """The dashboard as the JSON text that Grafana reads from a file."""
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built) + "\n"


def write_dashboards(folder: Path) -> list[Path]:
    """Write every dashboard to `folder`, which must exist; the files written."""
    path = folder / "platform.json"
    path.write_text(dashboard_text(platform_dashboard()), encoding="utf-8")
    return [path]
