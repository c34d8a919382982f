"""Proposals of changed rules: what speaks for each, decided by a person; and how often every rule was right."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Form, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from alerts.labels import By, Precision, precision
from alerts.proposal_rows import (
    DecisionRefused,
    changed_since,
    close_proposal,
    fields_of,
    list_proposals,
    read_proposal,
    scope_of,
    supersede,
)
from alerts.proposals import overrides_for, plain
from alerts.words import Row
from console import dossier
from console.access import LARGEST_NUMBER, Dispatcher, Forbidden, Given, NotFound
from console.accounts import Account
from console.api import answer
from console.language import LANGUAGES, texts
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.clock import DAY
from core.database import reading, writing
from detectors.backtest_requests import Requested, requested
from detectors.rule import Override
from detectors.rules import RuleErrors
from detectors.sheets import EditRefused, announce, set_override

router = APIRouter()
WEEKS = 12
DECISIONS = {"adopt": "accepted", "dismiss": "dismissed"}
Number = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]
_ByName = Annotated[By, Query()]
_Weeks = Annotated[int, Query(ge=1, le=104)]


@router.get("/proposals", include_in_schema=False)
def proposals_page(
    request: Request,
    services: Given,
    _: Dispatcher,
    by: _ByName = "rule",
    rule: Annotated[str, Query(max_length=80)] = "",
    weeks: _Weeks = WEEKS,
) -> Response:
    """All proposals, the open ones first, above each rule's precision week by week."""
    now = services.clock.now()
    with reading(services.engine) as connection:
        found = list_proposals(connection)
        counted = precision(connection, now - weeks * 7 * DAY, now + 1, by, rule)
        sites = dossier.sites_named(connection, [row["scope"] for row in found if row["scope_kind"] == "site"])
    context: dict[str, Any] = {
        "proposals": found,
        "lines": _lines(counted),
        "rules": services.rules().rules,
        "sites": sites,
        "by": by,
        "rule": rule,
        "weeks": weeks,
    }
    return pages_of(request).render(request, "proposals.html", **context)


@router.get("/proposals/{number}", include_in_schema=False)
def proposal_page(request: Request, services: Given, account: Dispatcher, number: Number) -> Response:
    """One proposal with the false alarms and the real ones behind it, and what its backtest found."""
    return _page(request, services, account, number)


@router.post("/proposals/{number}/{decision}", include_in_schema=False)
def decide_page(
    request: Request,
    services: Given,
    account: Dispatcher,
    number: Number,
    decision: str,
    opinion: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Adopt a proposal, so that its rule changes, or dismiss it."""
    if decision not in DECISIONS:
        raise NotFound("error.not_found")
    try:
        decide(services, number, decision, account, opinion)
    except DecisionRefused as refused:
        return _page(request, services, account, number, 409, refused=refused.reason, opinion=opinion)
    return go(f"/proposals/{number}")


def may_adopt(account: Account, row: Row) -> bool:
    """Whoever may edit rules may; a note to check a sensor changes none."""
    return account.role == "admin" or not row["change"]


def decide(services: Services, number: int, decision: str, account: Account, opinion: str) -> None:
    """Close a proposal in one transaction with the rule's edit, announced after the commit.

    Raises DecisionRefused and, for an account that may not edit rules, Forbidden.
    """
    now, who = services.clock.now(), account.username
    with reading(services.engine) as connection:
        if decision == "adopt" and not may_adopt(account, _found(connection, number)[0]):
            raise Forbidden

    def adopt(row: Row, overrides: Any) -> None:
        reason = f"proposal {row['id']}: {opinion.strip()}"
        for each in overrides:
            by = (who, reason, now, services.types, services.rule_folders)
            set_override(connection, row["rule"], each.scope, fields_of(each), *by)

    try:
        with writing(services.engine) as connection:
            close_proposal(connection, number, DECISIONS[decision], who, opinion, now, adopt)
    except DecisionRefused as refused:
        if refused.reason == "unknown":
            raise NotFound("error.no_proposal") from refused
        if refused.reason == "changed":
            with writing(services.engine) as connection:
                supersede(connection, now)
        raise
    except EditRefused as refused:
        raise DecisionRefused("life_safety" if refused.why == "loosens" else "edit") from refused
    except RuleErrors as errors:
        raise DecisionRefused("edit") from errors
    if decision == "adopt":
        announce(services.engine, services.journal_control)


@router.get("/api/v1/proposals", tags=["console"])
def proposals(services: Given, _: Dispatcher) -> Response:
    """Proposals of changed rules, the open ones first."""
    with reading(services.engine) as connection:
        return answer({"now": services.clock.now(), "proposals": list_proposals(connection)})


@router.get("/api/v1/proposals/{number}", tags=["console"])
def proposal(services: Given, _: Dispatcher, number: Number) -> Response:
    """One proposal with its evidence and what its backtest found."""
    with reading(services.engine) as connection:
        row, tried = _found(connection, number)
    return answer({"now": services.clock.now(), **row, "backtest": tried})


@router.post("/api/v1/proposals/{number}/{decision}", tags=["console"])
def decide_by_program(
    services: Given,
    account: Dispatcher,
    number: Number,
    decision: str,
    opinion: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Adopt or dismiss a proposal; 409 with the reason when it can't be."""
    if decision not in DECISIONS:
        raise NotFound("error.not_found")
    try:
        decide(services, number, decision, account, opinion)
    except DecisionRefused as refused:
        zh, en = (texts(language)[f"proposal_refused.{refused.reason}"] for language in LANGUAGES)
        said = answer({"error": {"code": refused.reason, "zh": zh, "en": en}})
        said.status_code = 409
        return said
    return proposal(services, account, number)


@router.get("/api/v1/precision", tags=["console"])
def precision_by_week(
    services: Given,
    _: Dispatcher,
    by: _ByName = "rule",
    rule: Annotated[str, Query(max_length=80)] = "",
    weeks: _Weeks = WEEKS,
) -> Response:
    """Alerts by rule (and site or device) and local week: real, false, unlabelled, excluded; `share` is of labelled."""
    now = services.clock.now()
    with reading(services.engine) as connection:
        found = precision(connection, now - weeks * 7 * DAY, now + 1, by, rule)
    rows = [{**row._asdict(), "labelled": row.labelled, "share": row.share} for row in found]
    return answer({"now": now, "precision": rows})


def _found(connection: Connection, number: int) -> tuple[Row, Requested | None]:
    row = read_proposal(connection, number)
    if row is None:
        raise NotFound("error.no_proposal")
    return row, requested(connection, row["backtest"]) if row["backtest"] else None


def _page(
    request: Request,
    services: Services,
    account: Account,
    number: int,
    status: int = 200,
    refused: str = "",
    opinion: str = "",
) -> Response:
    rules = services.rules().rules
    with reading(services.engine) as connection:
        row, tried = _found(connection, number)
        sites = dossier.sites_named(connection, [row["scope"], *(each["site"] for each in row["why"]["labels"])])
    rule = rules.get(row["rule"])
    context: dict[str, Any] = {
        "row": row,
        "rule": rule,
        "rules": rules,
        "sites": sites,
        "backtest": tried,
        "refused": refused,
        "opinion": opinion,
        "stale": row["state"] == "proposed" and changed_since(rules, row),
        "may_adopt": may_adopt(account, row),
        "peaks": rule is not None and plain(rule),
        "fields": _fields(rules, row),
    }
    return pages_of(request).render(request, "proposal.html", status, **context)


def _fields(rules: Any, row: Row) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    """What adopting it would set, by scope, spans in µs; nothing for a note, or when the rule is gone."""
    if not row["change"] or row["rule"] not in rules:
        return []
    change = msgspec.convert(row["change"], Override, strict=False)
    wanted = overrides_for(rules[row["rule"]], scope_of(row), change)
    spans = [{name: getattr(each, name) for name in ("dwell", "dwell_off", "window")} for each in wanted]
    return [(each.scope, {**fields_of(each), **span}) for each, span in zip(wanted, spans, strict=True)]


def _lines(found: list[Precision]) -> list[dict[str, Any]]:
    """One line a rule and scope, the least precise first: its sums over all weeks, and its weeks."""
    lines: dict[tuple[str, str], list[Precision]] = {}
    for row in found:
        lines.setdefault((row.rule, row.scope), []).append(row)
    told = [
        {
            "rule": rule,
            "scope": scope,
            "sum": Precision(rule, scope, 0, *(sum(getattr(w, n) for w in weeks) for n in _COUNTS)),
            "weeks": [(row.week, row.share, row.real, row.labelled) for row in weeks],
        }
        for (rule, scope), weeks in lines.items()
    ]
    return sorted(told, key=lambda line: (line["sum"].share is None, line["sum"].share, line["rule"], line["scope"]))


_COUNTS = ("real", "false", "unlabelled", "excluded")
