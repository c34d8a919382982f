"""The rules' versions with what each changed, by whom and why."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from detectors.rule import Rule
from detectors.rule_changes import FieldChange, changes, loosened
from detectors.rules import UnknownRules, load_version
from detectors.tables import rules_version


class Edition(NamedTuple):
    """One version of all rules. `at` in µs UTC; `loosened` are the fields by which life-safety rules became looser.

    `changes` are against the version before it; of the first version none.
    """

    version: int
    at: int
    author: str
    reason: str
    changes: list[FieldChange]
    loosened: dict[str, list[str]]


def history(connection: Connection, limit: int = 20, before: int | None = None) -> list[Edition]:
    """The newest versions, or those before a version, the newest first."""
    columns = (rules_version.c.version, rules_version.c.created_at, rules_version.c.author, rules_version.c.reason)
    query = select(*columns).order_by(rules_version.c.version.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(rules_version.c.version < before)
    rows = connection.execute(query).all()
    found, newer = [], None
    for place, row in enumerate(rows):
        rules = newer if newer is not None else load_version(connection, row.version).rules
        if place == limit:
            break
        older = load_version(connection, rows[place + 1].version).rules if place + 1 < len(rows) else None
        found.append(Edition(*row, *_between(older, rules)))
        newer = older
    return found


def edition(connection: Connection, version: int) -> Edition:
    """One version with what it changed. Raises UnknownRules."""
    found = next(iter(history(connection, 1, version + 1)), None)
    if found is None or found.version != version:
        raise UnknownRules(f"the database holds no rules of version {version}")
    return found


def edits_of(editions: list[Edition], rule: str) -> list[Edition]:
    """Those that changed one rule, with only its changes."""
    mine = (each._replace(changes=[change for change in each.changes if change.rule == rule]) for each in editions)
    return [each for each in mine if each.changes]


def _between(
    older: Mapping[str, Rule] | None, rules: Mapping[str, Rule]
) -> tuple[list[FieldChange], dict[str, list[str]]]:
    if older is None:
        return [], {}
    return changes(older, rules), loosened(older, rules)
