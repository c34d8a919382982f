"""Edits of rules as pages and the API ask for them: made in a transaction, announced, or refused with what is wrong."""

from collections.abc import Callable, Container, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from sqlalchemy import Connection

from console.accounts import Account
from console.services import Services
from core.database import writing
from detectors import sheets
from detectors.rules import RuleErrors
from detectors.words import Severity


class Asked(NamedTuple):
    """What comes with every edit: why, whether a looser life-safety rule is meant, and what the author saw."""

    reason: str = ""
    confirm: bool = False
    seen: int | None = None


class Outcome(NamedTuple):
    """The rules' version after an edit, or `why` it was refused with the lines that tell more.

    `why` is that of EditRefused, or "errors" when the rules would not hold together.
    """

    version: int = 0
    why: str = ""
    lines: tuple[str, ...] = ()


def set_override(
    services: Services, account: Account, rule: str, scope: tuple[str, str], fields: Mapping[str, Any], asked: Asked
) -> Outcome:
    """Set the console's override of a rule for one scope, which must be there."""
    if scope[1] and not _is_there(services, scope):
        return Outcome(0, "no_place", (scope[1],))

    def change(connection: Connection) -> int:
        return sheets.set_override(
            connection, rule, scope, fields, *_by(services, account, asked), seen=asked.seen, may_loosen=asked.confirm
        )

    return _edited(services, change)


def _is_there(services: Services, scope: tuple[str, str]) -> bool:
    kind, code = scope
    known: Mapping[str, Container[str]] = {
        "device_type": services.types,
        "site": services.town().sites,
        "device": services.town().devices,
    }
    return kind not in known or code in known[kind]


def remove_override(services: Services, account: Account, rule: str, scope: tuple[str, str], asked: Asked) -> Outcome:
    """Take the console's override of a rule for one scope away."""

    def change(connection: Connection) -> int:
        return sheets.remove_override(
            connection, rule, scope, *_by(services, account, asked), seen=asked.seen, may_loosen=asked.confirm
        )

    return _edited(services, change)


def edit_sheet(services: Services, account: Account, name: str, text: str, asked: Asked) -> Outcome:
    """Put a sheet's text in force; an empty one withdraws it."""

    def change(connection: Connection) -> int:
        by = _by(services, account, asked)
        if not text.strip():
            return sheets.withdraw(connection, name, *by, may_loosen=asked.confirm)
        return sheets.edit(connection, name, text, *by, seen=asked.seen, may_loosen=asked.confirm)

    return _edited(services, change)


def status_of(outcome: Outcome | None) -> HTTPStatus:
    """The HTTP status that tells of an edit's outcome."""
    if outcome is None or not outcome.why:
        return HTTPStatus.OK
    if outcome.why in ("no_rule", "no_sheet", "no_override"):
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.CONFLICT if outcome.why in ("changed", "loosens") else HTTPStatus.UNPROCESSABLE_ENTITY


def override_fields(entered: Mapping[str, str]) -> dict[str, Any]:
    """What was filled in, as an override's fields; what is no number stays a text, so that it is told of.

    >>> override_fields({"limits.alarm": "20", "dwell": " 10s", "enabled": "false", "recovery": ""})
    {'limits': {'alarm': 20.0}, 'dwell': '10s', 'enabled': False}
    """
    given = {name: value.strip() for name, value in entered.items() if value.strip()}
    levels = [level.name.lower() for level in Severity if level]
    fields: dict[str, Any] = {
        "limits": {level: _number(given[f"limits.{level}"]) for level in levels if f"limits.{level}" in given},
        "recovery": _number(given["recovery"]) if "recovery" in given else None,
        **{name: given[name] for name in ("dwell", "dwell_off", "window") if name in given},
        "enabled": given["enabled"] == "true" if "enabled" in given else None,
    }
    return {name: value for name, value in fields.items() if value not in (None, {})}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _by(services: Services, account: Account, asked: Asked) -> tuple[Any, ...]:
    return account.username, asked.reason, services.clock.now(), services.types, services.rule_folders


def _edited(services: Services, change: Callable[[Connection], int]) -> Outcome:
    try:
        with writing(services.engine) as connection:
            version = change(connection)
    except sheets.EditRefused as refused:
        return Outcome(0, refused.why, tuple(refused.details))
    except RuleErrors as wrong:
        return Outcome(0, "errors", tuple(wrong.errors))
    sheets.announce(services.engine, services.journal_control)
    return Outcome(version)
