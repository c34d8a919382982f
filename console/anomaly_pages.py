"""Warnings of the models of normal: what they say, what people say of them, and what the budget held back."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from alerts.anomaly_labels import LabelRefused, read_view, say, warnings_since, withdraw
from alerts.words import Row
from console.access import LARGEST_NUMBER, Dispatcher, Given
from console.anomaly_words import sentence
from console.api import answer
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.clock import DAY, HOUR, MINUTE
from core.database import reading, writing
from devices.device_types import Metric
from devices.tables import device, series

router = APIRouter()
SPAN = 7 * DAY
LISTED = 100
DRAWN = 12
"""Curves on the page: of the newest warnings."""
_BEFORE, _AFTER = 12 * HOUR, 2 * HOUR
_STALE = 5 * MINUTE
Number = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]


@router.get("/anomalies", include_in_schema=False)
def anomalies_page(
    request: Request,
    services: Given,
    _: Dispatcher,
    done: bool = False,
    refused: Annotated[Literal["", "unknown", "none"], Query()] = "",
) -> Response:
    """The budget, the warnings of a week with their verdicts, what was held back, and the shares."""
    now = services.clock.now()
    with reading(services.engine) as connection:
        view = read_view(connection)
        found = warnings_since(connection, now - SPAN, LISTED)
        names = {row["subject_id"] for row in found} | {one["device"] for one in (view or {}).get("held_back", [])}
        known = _metrics(connection, services, names)
    context: dict[str, Any] = {
        "view": view,
        "stale": view is not None and now - view["at"] > _STALE,
        "warnings": [(row, known.get(_series(row))) for row in found],
        "known": known,
        "drawn": DRAWN,
        "before": _BEFORE,
        "after": _AFTER,
        "sentence": sentence,
        "done": done,
        "refused": refused,
    }
    return pages_of(request).render(request, "anomalies.html", **context)


@router.post("/anomalies/{alert}/verdict", include_in_schema=False)
def give_verdict(
    services: Given,
    account: Dispatcher,
    alert: Number,
    verdict: Annotated[Literal["false", "real", "none"], Form()],
) -> Response:
    """Say that a warning was false or real, or take back what was said."""
    now = services.clock.now()
    try:
        with writing(services.engine) as connection:
            if verdict == "none":
                withdraw(connection, alert, account.username, now)
            else:
                say(connection, alert, verdict, account.username, now)
    except LabelRefused as refusal:
        return go(f"/anomalies?refused={refusal.reason}")
    return go("/anomalies?done=1")


@router.get("/api/v1/anomalies", tags=["console"])
def anomalies_api(services: Given, _: Dispatcher) -> Response:
    """The budget as the models last told it (`view`), and the warnings of the last seven days with their verdicts."""
    with reading(services.engine) as connection:
        view = read_view(connection)
        found = warnings_since(connection, services.clock.now() - SPAN, LISTED)
    return answer({"view": view, "warnings": found})


def _series(row: Row) -> tuple[str, str]:
    return row["subject_id"], (row["evidence"] or {}).get("metric", "")


def _metrics(connection: Connection, services: Services, codes: set[str]) -> dict[tuple[str, str], tuple[int, Metric]]:
    """Of the series of devices: number and metric, by the codes of device and metric."""
    query = select(series.c.number, series.c.metric, series.c.device, device.c.type)
    query = query.join(device, series.c.device == device.c.code).where(series.c.device.in_(sorted(codes)))
    found = {}
    for row in connection.execute(query):
        kind = services.types.get(row.type)
        if kind and row.metric in kind.metrics:
            found[row.device, row.metric] = row.number, kind.metrics[row.metric]
    return found
