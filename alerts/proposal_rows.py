"""Proposals in the database: made from labels, superseded by edits, adopted or dismissed by a person, once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import yaml
from sqlalchemy import Connection, insert, select, text, update

from alerts.proposal_evidence import Proposed, Thought, footprint, history, rules_of
from alerts.proposals import CHANGED, DEFAULT, Judged, ProposalSettings, Scope, overrides_for
from alerts.rows import first_row, rows
from alerts.words import PLATFORM, Row
from detectors.backtest_requests import request
from detectors.loosening import counted_on, life_safety_refused
from detectors.rule import Override, Rule
from detectors.rule_changes import written_span
from detectors.rules import newest_version
from detectors.tables import rule_proposal

_PROPOSALS = 0x5357_5052  # any number that no other advisory lock of this database uses
_SHOWN = 50
_SPANS = ("dwell", "dwell_off", "window")


class DecisionRefused(ValueError):
    """A proposal that is not decided; `reason` is "unknown", "decided", "changed", "life_safety" or "no_opinion"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def propose(
    connection: Connection, thought: Thought, now: int, settings: ProposalSettings = DEFAULT
) -> tuple[list[int], list[int]]:
    """Write what was thought of, as far as it still holds, each with its backtest asked for; (new, superseded) ids.

    Open proposals whose rule was edited since are superseded first; no scope of a rule gets a second open one.
    """
    hold_proposals(connection)
    superseded = supersede(connection, now)
    if thought.version != (newest_version(connection) or 0):
        return [], superseded
    made: list[int] = []
    for each in thought.proposals:
        settled, taken = history(connection, each.rule.id)
        newest_label = max(judged.at for judged in each.verdict.false)
        if each.scope in taken or settled.get(each.scope, 0) >= newest_label:
            continue
        made.append(_insert(connection, each, thought.version, now, settings))
    return made, superseded


def supersede(connection: Connection, now: int) -> list[int]:
    """Close the open proposals whose rule is not what it was; their ids."""
    opened = rows(connection, select(rule_proposal).where(rule_proposal.c.state == "proposed"))
    if not opened:
        return []
    rules = rules_of(connection, newest_version(connection) or 0)
    gone = [row["id"] for row in opened if changed_since(rules, row)]
    ended = {"state": "superseded", "decided_at": now, "decided_by": PLATFORM}
    connection.execute(update(rule_proposal).where(rule_proposal.c.id.in_(gone)).values(**ended))
    return gone


def changed_since(rules: Mapping[str, Rule], row: Row) -> bool:
    """Whether the rule of a proposal was edited, as far as it concerns the proposal's scope."""
    rule = rules.get(row["rule"])
    return rule is None or footprint(rule, scope_of(row), row["why"]["place"]) != row["why"]["footprint"]


def scope_of(row: Row) -> Scope:
    """Where a proposal would hold."""
    return Scope(row["scope_kind"], row["scope"])


def decided_overrides(rules: Mapping[str, Rule], row: Row) -> list[Override]:
    """The overrides that adopting a proposal sets. Raises DecisionRefused when they loosen a life-safety rule."""
    rule = counted_on(rules[row["rule"]], rules)
    if not row["change"]:
        return []
    wanted = overrides_for(rule, scope_of(row), msgspec.convert(row["change"], Override, strict=False))
    if any(life_safety_refused(rule, each) for each in wanted):
        raise DecisionRefused("life_safety")
    return wanted


def fields_of(override: Override) -> dict[str, Any]:
    """What an override says, as a pack has it: severities by name, spans with their unit."""
    said = {name: value for name in CHANGED if (value := getattr(override, name)) is not None}
    if "limits" in said:
        said["limits"] = {level.name.lower(): limit for level, limit in sorted(said["limits"].items())}
    return {name: written_span(value) if name in _SPANS else value for name, value in said.items()}


def pack_of(rule: str, overrides: Sequence[Override]) -> str:
    """The overrides of a rule as a pack's text, for a backtest."""
    listed = [{"rule": rule, each.scope[0]: each.scope[1], **fields_of(each)} for each in overrides]
    return yaml.safe_dump({"overrides": listed}, allow_unicode=True, sort_keys=False)


Adopt = Callable[[Row, Sequence[Override]], object]
"""Puts the overrides in force, in the same transaction."""


def close_proposal(
    connection: Connection, number: int, state: str, who: str, opinion: str, now: int, adopt: Adopt | None = None
) -> None:
    """Accept (`state` "accepted", by `adopt`) or dismiss a proposal, once. Raises DecisionRefused.

    One whose rule was edited meanwhile is "changed": roll back, then `supersede`.
    """
    hold_proposals(connection)
    row = read_proposal(connection, number)
    if row is None:
        raise DecisionRefused("unknown")
    if not opinion.strip():
        raise DecisionRefused("no_opinion")
    if row["state"] != "proposed":
        raise DecisionRefused("decided")
    if state == "accepted":
        rules = rules_of(connection, newest_version(connection) or 0)
        if changed_since(rules, row):
            raise DecisionRefused("changed")
        wanted = decided_overrides(rules, row)
        if wanted and adopt:
            adopt(row, wanted)
    ended = {"state": state, "decided_at": now, "decided_by": who, "opinion": opinion.strip()}
    connection.execute(update(rule_proposal).where(rule_proposal.c.id == number).values(**ended))


def read_proposal(connection: Connection, number: int) -> Row | None:
    """One proposal."""
    return first_row(connection, select(rule_proposal).where(rule_proposal.c.id == number))


def list_proposals(connection: Connection, limit: int = 200) -> list[Row]:
    """Proposals, the open ones first, then the newest."""
    order = ((rule_proposal.c.state == "proposed").desc(), rule_proposal.c.id.desc())
    return rows(connection, select(rule_proposal).order_by(*order).limit(limit))


def hold_proposals(connection: Connection) -> None:
    """Wait until no other transaction makes or decides proposals, and keep it so to the end of this one."""
    if connection.dialect.name == "postgresql":  # SQLite's write transaction is that already
        connection.execute(text("SELECT pg_advisory_xact_lock(:proposals)"), {"proposals": _PROPOSALS})


def _insert(connection: Connection, each: Proposed, version: int, now: int, settings: ProposalSettings) -> int:
    rule, scope, verdict = each.rule, each.scope, each.verdict
    place = verdict.false[-1].site if scope.kind == "device" else ""
    asked: int | None = None
    if verdict.change:
        pack = pack_of(rule.id, overrides_for(rule, scope, verdict.change))
        sites = sorted({judged.site for judged in verdict.false if judged.site}) if scope.kind != "rule" else []
        asked = request(connection, pack, now - settings.span, now, sites, PLATFORM, now)
    change = _said(verdict.change) if verdict.change else {}
    values = {"rule": rule.id, "scope_kind": scope.kind, "scope": scope.code, "change": change, "made_at": now}
    why = {
        "reason": verdict.reason,
        "outcome": verdict.outcome,
        "footprint": footprint(rule, scope, place),
        "place": place,
        "rules_version": version,
        "before": each.before,
        "removed": verdict.removed,
        "false": len(verdict.false),
        "real": len(verdict.real),
        "labels": [_told(judged) for judged in (*verdict.false[-_SHOWN:], *verdict.real[-_SHOWN:])],
    }
    added = insert(rule_proposal).values(**values, why=why, backtest=asked, state="proposed")
    number: int = connection.execute(added.returning(rule_proposal.c.id)).scalar_one()
    return number


def _said(change: Override) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(change, str_keys=True)
    return said


def _told(judged: Judged) -> dict[str, Any]:
    return judged._asdict()
