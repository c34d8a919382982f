"""A ticket's evidence pack as a download."""

import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, Response

from console.access import Dispatcher, Forbidden, Given, NotFound, language_of
from console.evidence_work import PackRefused, drop_folder, make_pack, new_folder
from console.language import both
from console.pages import pages_of, wants_page

router = APIRouter(include_in_schema=False)
_log = logging.getLogger(__name__)
_KEYS = {
    "no_reports": "error.no_reports",
    "busy": "error.evidence_busy",
    "too_slow": "error.evidence_failed",
    "failed": "error.evidence_failed",
}


@router.get("/tickets/{number}/evidence.zip")
def evidence(
    request: Request,
    services: Given,
    account: Dispatcher,
    number: str,
    language: Annotated[str, Query(pattern="^(zh|en)$")] = "",
    phones: bool = False,
) -> Response:
    """Everything about one ticket in one ZIP; with whole phone numbers only for an admin who asks for them."""
    if phones and account.role != "admin":
        raise Forbidden
    wanted = (number, language or language_of(request), phones, services.clock.now())
    folder = new_folder()
    try:
        made = make_pack(services.engine, services.store, services.types, wanted, folder)
    except PackRefused as refused:
        drop_folder(folder)
        if refused.reason == "no_ticket":
            raise NotFound("error.no_ticket") from None
        return _refusal(request, refused.reason)
    except BaseException:
        drop_folder(folder)
        raise
    if phones:
        _log.warning("evidence of %s with whole phone numbers for %s", number, account.username)
    headers = {"Cache-Control": "private, no-store"}
    name = f"{number}-evidence.zip"
    gone = BackgroundTask(drop_folder, folder)
    return FileResponse(made, filename=name, media_type="application/zip", headers=headers, background=gone)


def _refusal(request: Request, reason: str) -> Response:
    key = _KEYS[reason]
    if wants_page(request):
        return pages_of(request).render(request, "error.html", 503, key=key, faults=())
    return JSONResponse({"error": both(key)}, 503, {"Retry-After": "30"})
