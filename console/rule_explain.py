"""Which rules apply to one device, at which limits, and where each limit comes from."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.access import Dispatcher, Given, NotFound
from console.pages import pages_of
from console.services import Services
from core.clock import local
from detectors.explain import Explained, UnknownDevice, explain
from detectors.rule import GRADED
from detectors.rule_changes import written_span
from devices.registry import load_registry

router = APIRouter(include_in_schema=False)


def explained(services: Services, device: str) -> list[Explained]:
    """Every rule that is about a device. Raises NotFound."""
    registry = load_registry(services.engine, services.types)
    try:
        return explain(services.rules(), registry, device, local(services.clock.now()).date())
    except UnknownDevice as unknown:
        raise NotFound("error.no_device") from unknown


@router.get("/devices/{code}/rules")
def device_rules_page(request: Request, services: Given, _: Dispatcher, code: str) -> Response:
    """The rules that apply to a device, those in force first."""
    found = sorted(explained(services, code), key=lambda each: (not each.in_force, each.rule.id))
    context: dict[str, Any] = {"device": code, "found": found, "graded": GRADED, "written": written_span}
    return pages_of(request).render(request, "device_rules.html", version=services.rules().version, **context)
