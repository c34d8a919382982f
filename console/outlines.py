"""The outlines of the grids for maps elsewhere, such as Grafana's: the one thing of the town that anybody may read.

A browser that shows Grafana brings no session of this console, and no page of Grafana's origin may have one. What is
told is what a town puts on a notice board: codes, names and borders of grids (WGS84); no site, no device, no person.
"""

import hashlib
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from console import board
from console.access import Given
from console.remembered import remembered
from core.clock import MINUTE
from core.database import reading

router = APIRouter(include_in_schema=False)
_FRESH = 5 * MINUTE


@router.get("/grids.geojson")
def outlines(request: Request, services: Given, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Grids as a GeoJSON feature collection, to any origin, without credentials."""

    def make() -> tuple[str, bytes]:
        with reading(services.engine) as connection:
            body = msgspec.json.encode({"type": "FeatureCollection", "features": board.grid_shapes(connection)})
        return f'W/"{hashlib.sha256(body).hexdigest()[:16]}"', body

    tag, body = remembered(request, "outlines").get(services.clock.now() // _FRESH, make)
    headers = {"ETag": tag, "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/geo+json", headers=headers)
