"""Which rules apply to one device, at which limits, and where each limit comes from."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from console.access import LARGEST_NUMBER, Dispatcher, Given, NotFound
from console.pages import pages_of
from console.services import Services
from core.clock import local
from core.database import reading
from detectors.explain import Explained, Place, explain_at
from detectors.rule import GRADED
from detectors.rules import RuleSet, UnknownRules, load_version
from devices.device_types import DeviceType
from devices.tables import device, site

router = APIRouter(include_in_schema=False)


def explained(services: Services, code: str, rules: RuleSet | None = None) -> list[Explained]:
    """Every rule that is about a device, by the rules in force or those given. Raises NotFound."""
    with reading(services.engine) as connection:
        place = _place(connection, code, services.types)
    if place is None:
        raise NotFound("error.no_device")
    return explain_at(rules or services.rules(), place, local(services.clock.now()).date())


def _place(connection: Connection, code: str, types: Mapping[str, DeviceType]) -> Place | None:
    columns = (device.c.type, device.c.site, device.c.state, device.c.attributes, site.c.attributes.label("of_site"))
    query = select(*columns).outerjoin(site, site.c.code == device.c.site).where(device.c.code == code)
    row = connection.execute(query).first()
    if row is None:
        return None
    metrics = types[row.type].metrics if row.type in types else {}
    return Place(code, row.type, row.site, row.state, row.attributes or {}, row.of_site or {}, metrics)


@router.get("/devices/{code}/rules")
def device_rules_page(
    request: Request,
    services: Given,
    _: Dispatcher,
    code: str,
    rule: Annotated[str, Query(max_length=200)] = "",
    version: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)] = None,
) -> Response:
    """The rules that apply to a device, those in force first; or one of them, as a version had it."""
    rules = _version(services, version)
    found = sorted(explained(services, code, rules), key=lambda each: (not each.in_force, each.rule.id))
    context: dict[str, Any] = {
        "device": code,
        "found": [each for each in found if rule in ("", each.rule.id)],
        "wanted": rule,
        "graded": GRADED,
        "version": rules.version,
        "newest": services.rules().version,
    }
    return pages_of(request).render(request, "device_rules.html", **context)


def _version(services: Services, version: int | None) -> RuleSet:
    """The rules of a version, by default those in force. Raises NotFound."""
    rules = services.rules()
    if version is None or version == rules.version:
        return rules
    try:
        with reading(services.engine) as connection:
            return load_version(connection, version)
    except UnknownRules as unknown:
        raise NotFound("error.no_rules") from unknown
