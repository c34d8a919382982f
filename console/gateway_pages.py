"""Gateways: what each sends, how far its clock is off, whether it is shut out; the worst first."""

from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from sqlalchemy import Connection, func, select
from starlette.responses import Response

from alerts.tables import alert
from console import dossier
from console.access import Admin, Dispatcher, Given, NotFound
from console.board import IS_OPEN
from console.pages import pages_of
from console.signing import go
from core.database import reading, writing
from devices.gateways import Standing, UnknownGateway, enable_gateway, list_gateways
from devices.tables import device
from devices.tables import registry as registry_table
from ingest.gateway_figures import GatewayReport, list_gateway_reports
from ingest.words import RegistryChanged

router = APIRouter(include_in_schema=False)
CLOCK_OFF = 300.0
"""Seconds from which a clock is off."""
COLUMNS = {
    "readings": "readings",
    "qos0": "qos0_readings",
    "shed": "shed_messages",
    "rejected": "rejected_messages",
}
"""The page's columns of counts, each with its field of the report."""


class Gateway(NamedTuple):
    """One gateway as the page shows it. `alerts` are its own open ones, the most severe first."""

    standing: Standing
    report: GatewayReport | None
    devices: int
    alerts: list[dossier.Row]

    @property
    def clock_off(self) -> bool:
        """Whether its clock is so far off that somebody should mend it."""
        return is_off(self.report)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """What was counted of it, each by the name of its column."""
        report = self.report
        if report is None:
            return [(name, 0) for name in COLUMNS]
        return [(name, getattr(report, column)) for name, column in COLUMNS.items()]

    @property
    def badness(self) -> tuple[bool, int, bool, bool, int]:
        """The greater, the nearer to the top."""
        report = self.report
        silent = report is None or report.last_received_at is None
        worst = max((row["severity"] for row in self.alerts), default=0)
        offline = report is not None and report.online is False
        lost = (report.shed_messages + report.rejected_messages) if report else 0
        return bool(self.standing.disabled_at), worst, offline or (silent and self.devices > 0), self.clock_off, lost


def is_off(report: GatewayReport | None) -> bool:
    """Whether the clock that a report tells of is off."""
    return report is not None and report.clock_off_s is not None and abs(report.clock_off_s) >= CLOCK_OFF


def report_of(connection: Connection, code: str) -> GatewayReport | None:
    """One gateway's figures, None for one that never sent anything."""
    return next((report for report in list_gateway_reports(connection) if report.gateway == code), None)


@router.get("/gateways")
def gateways_page(request: Request, services: Given, account: Dispatcher, enabled: str = "") -> Response:
    """All gateways that are not retired, the worst first."""
    with reading(services.engine) as connection:
        found = _gateways(connection)
        sites = dossier.sites_named(connection, [row.standing.site for row in found if row.standing.site])
    found.sort(key=lambda row: row.standing.code)
    found.sort(key=lambda row: row.badness, reverse=True)
    context: dict[str, Any] = {
        "gateways": found,
        "sites": sites,
        "rules": services.rules().rules,
        "enabled": enabled,
        "may_enable": account.role == "admin",
    }
    return pages_of(request).render(request, "gateways.html", **context)


@router.post("/gateways/{code}/enable")
def enable(services: Given, _: Admin, code: str) -> Response:
    """Let a gateway in again that was shut out."""
    try:
        with writing(services.engine) as connection:
            changed = enable_gateway(connection, code)
            version = connection.execute(select(registry_table.c.version)).scalar_one()
    except UnknownGateway as unknown:
        raise NotFound("error.no_gateway") from unknown
    if changed:
        services.journal_control(RegistryChanged(version))  # after the commit: whoever reads it looks into the registry
    return go(f"/gateways?enabled={code}")


def _gateways(connection: Connection) -> list[Gateway]:
    reports = {report.gateway: report for report in list_gateway_reports(connection)}
    counted = select(device.c.gateway, func.count()).where(device.c.state != "retired").group_by(device.c.gateway)
    devices = {code: int(count) for code, count in connection.execute(counted)}
    columns = [alert.c[name] for name in ("subject_id", "severity", "rule", "onset", "value", "limit")]
    own = select(*columns).where(IS_OPEN, alert.c.subject_kind == "gateway").order_by(alert.c.severity.desc())
    alerts: dict[str, list[dossier.Row]] = {}
    for row in dossier.rows(connection, own):
        alerts.setdefault(row["subject_id"], []).append(row)
    return [
        Gateway(each, reports.get(each.code), devices.get(each.code, 0), alerts.get(each.code, []))
        for each in list_gateways(connection)
    ]
