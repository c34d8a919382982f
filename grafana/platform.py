"""The platform itself: what it takes in, how far behind it is, what it refuses and sends, how its canary fares.

Most of it is what a Prometheus scrapes from /metrics; what is refused, the channels and the gateways are told by the
desk and the readings store too, so that a town without a Prometheus sees them.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue

from grafana.indicators import within
from grafana.kit import AnyPanel, Kit, Link, Row, new_dashboard
from grafana.panels import Column, Look, Steps, called, curves, rows_of, single, steps_from, texts, threshold_steps
from grafana.queries import SQL, InfluxQL, PromQL, Query

_RATE = "$__rate_interval"
_STATES = ("queued", "sending", "accepted", "delivered", "acknowledged", "uncertain", "failed", "expired")


def platform_dashboard(kit: Kit) -> Dashboard:
    """The dashboard."""
    words = kit.words
    rows = (
        Row(words("platform.now"), _now(kit)),
        Row(words("platform.ingest"), [*_ingest(kit), _rejects(kit), _gateways(kit)]),
        Row(words("platform.journal"), _journal(kit)),
        Row(words("platform.latency"), _latency(kit)),
        Row(words("platform.sending"), [_channels(kit), _requests(kit), *_sending(kit)]),
    )
    return new_dashboard(kit, "platform", rows, start="now-1h", refresh="10s")


def _now(kit: Kit) -> Sequence[AnyPanel]:
    asked: dict[str, tuple[str, str, Steps]] = {
        "connected": ("min(shouwang_broker_connected)", units.Short, threshold_steps((None, "red"), (1, "green"))),
        "readings": (f"sum(rate(shouwang_readings_total[{_RATE}]))", units.Short, ()),
        "canary": ("max(shouwang_canary_age_seconds)", units.Seconds, _two(30, 90)),
        "quota": ("max(shouwang_journal_share)", units.PercentUnit, _two(0.6, 0.8)),
        "failures": ("sum(increase(shouwang_task_failures_total[24h]))", units.Short, steps_from(1, "red")),
        "dropped": ("sum(max by (consumer) (shouwang_journal_dropped_readings))", units.Short, steps_from(1, "red")),
        "unscheduled": ("max(shouwang_escalation_findings)", units.Short, steps_from(1, "red")),
        "open_alerts": ("max(shouwang_open_alerts)", units.Short, ()),
    }
    return [
        single(
            Look(
                title=kit.words(f"platform.{name}"),
                queries=[PromQL(expression, instant=True)],
                span=3,
                height=4,
                unit=unit,
                steps=steps,
                mappings=texts(kit.words.family("connection")) if name == "connected" else (),
                empty="–",
            )
        )
        for name, (expression, unit, steps) in asked.items()
    ]


def _two(warn: float, alarm: float) -> Steps:
    return threshold_steps((None, "green"), (warn, "orange"), (alarm, "red"))


def _curve(
    kit: Kit, name: str, queries: Sequence[Query], unit: str, span: int = 12, steps: Steps = ()
) -> timeseries.Panel:
    look = Look(title=kit.words(f"platform.{name}"), queries=queries, unit=unit, span=span, minimum=0, steps=steps)
    panel = curves(look)
    return panel.axis_soft_max(1) if unit == units.Short else panel  # nothing at all lies on the ground, not at 100


def _ingest(kit: Kit) -> Sequence[AnyPanel]:
    rates = {"readings": "readings", "stored": "stored", "messages": "messages", "events": "events"}
    flows = [
        PromQL(f"sum(rate(shouwang_{metric}_total[{_RATE}]))", kit.words(f"platform.of_{name}"))
        for name, metric in rates.items()
    ]
    refused = [PromQL(f"60 * sum by (reason) (rate(shouwang_rejects_total[{_RATE}]))", "{{reason}}")]
    return [
        _curve(kit, "rates", flows, units.Short),
        called(_curve(kit, "rejects", refused, units.Short), kit.words.family("reject_reason")),
    ]


def _rejects(kit: Kit) -> AnyPanel:
    """What the gate refused, as the desk keeps count of it by the hour."""
    words = kit.words
    sql = (
        "SELECT gateway, reason, sum(messages) AS messages, sum(readings) AS readings, max(hour) AS last "
        "FROM grafana.reject WHERE hour_us >= $__unixEpochNanoFrom() / 1000 - 3600000000 "
        "AND hour_us < $__unixEpochNanoTo() / 1000 GROUP BY gateway, reason ORDER BY messages DESC, gateway LIMIT 50"
    )
    to_letters = Link(words("platform.open_rejects"), kit.to_console("/rejects"), new=True)
    columns = [
        Column("gateway", words("platform.gateway"), links=[to_letters]),
        Column("reason", words("platform.reason"), mappings=texts(words.family("reject_reason"))),
        Column("messages", words("platform.of_messages"), width=100),
        Column("readings", words("platform.of_readings"), width=100),
        Column("last", words("platform.hour"), width=170),
    ]
    look = Look(title=words("platform.reject_table"), queries=[SQL(sql)], empty=words("platform.none_refused"))
    return rows_of(look, columns)


def _gateways(kit: Kit) -> AnyPanel:
    words = kit.words
    sql = (
        "SELECT code, coalesce(online::int, -1) AS online, silent_s / 3600 AS silent_h, clock_off_s, "
        "rejected_messages, shed_messages FROM grafana.gateway "
        "WHERE NOT disabled ORDER BY online IS NULL, online, silent_s DESC NULLS LAST, code LIMIT 100"
    )
    columns = [
        Column("code", words("platform.gateway")),
        Column("online", words("platform.online"), width=110, mappings=texts(words.family("presence"))),
        Column("silent_h", words("platform.silent"), unit=f"suffix: {words('unit.hours')}", width=110, decimals=1),
        Column(
            "clock_off_s",
            words("platform.clock"),
            unit=units.Seconds,
            width=110,
            cell="color-text",
            steps=_two(60, 300),
        ),
        Column("rejected_messages", words("platform.refused"), width=100),
        Column("shed_messages", words("platform.shed"), width=100),
    ]
    return rows_of(Look(title=words("platform.gateways"), queries=[SQL(sql)]), columns)


def _journal(kit: Kit) -> Sequence[AnyPanel]:
    size = [PromQL("max(shouwang_journal_bytes)", kit.words("platform.bytes"))]
    share = [PromQL("max(shouwang_journal_share)", kit.words("platform.quota"))]
    lag = [PromQL("max by (consumer) (shouwang_consumer_lag_records)", "{{consumer}}")]
    return [
        _curve(kit, "journal_size", size, units.BytesIEC, 8),
        _curve(kit, "quota", share, units.PercentUnit, 8, _two(0.6, 0.8)),
        called(_curve(kit, "lag", lag, units.Short, 8), kit.words.family("consumer")),
    ]


def _latency(kit: Kit) -> Sequence[AnyPanel]:
    def hop(share: float) -> list[Query]:
        buckets = f"sum by (le, hop) (rate(shouwang_hop_seconds_bucket[{_RATE}]))"
        return [PromQL(f"histogram_quantile({share}, {buckets})", "{{hop}}")]

    hops = kit.words.family("hop")
    canary = [PromQL("max(shouwang_canary_age_seconds)", kit.words("platform.canary"))]
    return [
        called(_curve(kit, "p50", hop(0.5), units.Seconds, 8), hops),
        called(_curve(kit, "p99", hop(0.99), units.Seconds, 8), hops),
        _curve(kit, "canary_age", canary, units.Seconds, 8, _two(30, 90)),
    ]


def _channels(kit: Kit) -> AnyPanel:
    """Each channel's notices of the time range: what became of them, and how long until they were requested."""
    words = kit.words
    counted = ", ".join(f"count(*) FILTER (WHERE state = '{state}') AS {state}" for state in _STATES)
    sql = (
        f"SELECT channel, {counted}, "
        "percentile_cont(0.99) WITHIN GROUP (ORDER BY request_s) AS request_p99 FROM grafana.notice "
        f"WHERE {within('created_at_us')} GROUP BY channel ORDER BY channel"
    )
    columns = [
        Column("channel", words("platform.channel")),
        *(Column(state, words(f"platform.state_{state}"), width=85) for state in _STATES),
        Column("request_p99", words("platform.request_p99"), unit=units.Seconds, width=130),
    ]
    look = Look(
        title=words("platform.channels"), queries=[SQL(sql)], span=24, height=7, empty=words("platform.no_notice")
    )
    return rows_of(look, columns)


def _requests(kit: Kit) -> AnyPanel:
    asked = (
        'SELECT count("id") AS "notices" FROM "notice" WHERE $timeFilter '
        'GROUP BY time($__interval), "channel", "outcome" fill(none)'
    )
    panel = _curve(kit, "outcomes", [InfluxQL(asked, "$tag_channel $tag_outcome")], units.Short, 24)
    for state in _STATES:
        shown = f"${{__field.labels.channel}} {kit.words(f'platform.state_{state}')}"
        panel.override_by_regexp(f"/ {state}$/", [DynamicConfigValue(id_val="displayName", value=shown)])
    return panel


def _sending(kit: Kit) -> Sequence[AnyPanel]:
    alerts = [PromQL("max(shouwang_open_alerts)", kit.words("platform.open_alerts"))]
    found = [PromQL(f"60 * sum by (change) (rate(shouwang_detections_total[{_RATE}]))", "{{change}}")]
    notices = [PromQL("max by (state) (shouwang_notices)", "{{state}}")]
    states = {state: kit.words(f"platform.state_{state}") for state in _STATES}
    return [
        _curve(kit, "open_over_time", alerts, units.Short, 8),
        called(_curve(kit, "detections", found, units.Short, 8), kit.words.family("change")),
        called(_curve(kit, "notices", notices, units.Short, 8), states),
    ]
