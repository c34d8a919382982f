"""For those who watch the platform: is it alive, and its metrics."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import select
from starlette.responses import PlainTextResponse, Response

from console.access import Forbidden, Given, Visitor, is_loopback
from core.database import reading

router = APIRouter()


@router.get("/healthz", response_class=PlainTextResponse)
def healthz(services: Given) -> str:
    """`ok` when the console can read its database; 503 otherwise."""
    with reading(services.engine) as connection:
        connection.execute(select(1))
    return "ok\n"


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request, services: Given, visitor: Visitor) -> Response:
    """Prometheus' text format, for this machine and for a signed-in admin."""
    if not is_loopback(request) and (visitor is None or visitor.role != "admin"):
        raise Forbidden
    return Response(generate_latest(services.metrics), media_type=CONTENT_TYPE_LATEST)
