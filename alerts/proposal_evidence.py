"""What labels speak for at one moment, read from the database and the readings; nothing is written."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from alerts.labels import labelled_alerts, rules_judged_false
from alerts.proposals import (
    DEFAULT,
    Judged,
    ProposalSettings,
    Scope,
    Verdict,
    before_of,
    decide_all,
    plain,
    violation,
)
from alerts.words import Row
from detectors.loosening import counted_on
from detectors.rule import Rule, Terms, lowest
from detectors.rules import UnknownRules, load_version, newest_version
from detectors.tables import rule_proposal
from devices.tables import device, site

Readings = Callable[[int, int, int], tuple[Sequence[int], Sequence[float]]]
"""Of a series the times and values of the readings with since <= at < until."""


class Proposed(NamedTuple):
    """One proposal to be written; `devices` are those that its alerts are about."""

    rule: Rule
    scope: Scope
    verdict: Verdict
    before: dict[str, Any]


class Thought(NamedTuple):
    """What was thought of at one moment, under the rules' version then."""

    version: int
    proposals: list[Proposed]


def consider(
    connection: Connection, now: int, settings: ProposalSettings = DEFAULT, readings: Readings | None = None
) -> Thought:
    """What the labels speak for now; reads only. Without `readings` no limit is proposed, as nobody knows the peaks."""
    version = newest_version(connection) or 0
    rules = rules_of(connection, version)
    often = rules_judged_false(connection, now - settings.span, now + 1, settings.least)
    found = labelled_alerts(connection, [code for code in often if code in rules], now - settings.memory, now + 1)
    terms = terms_of_devices(connection, {row["subject_id"] for row in found})
    then = _Versions(connection, often)
    made: list[Proposed] = []
    for code in (code for code in often if code in rules):
        rule = rules[code]
        of_rule = [row for row in found if row["rule"] == code]
        held = {row["subject_id"]: terms[row["subject_id"]](rule) for row in of_rule if row["subject_id"] in terms}
        counted = [row for row in of_rule if row["label"] == "real" or then.same(rule, row)]
        judged = [_judged(rule, row, held.get(row["subject_id"]), now, readings) for row in counted]
        settled, taken = history(connection, code)
        strict = counted_on(rule, rules)
        for scope, verdict in decide_all(strict, judged, held, settled, taken, now, settings).items():
            about = [held[each] for each in sorted({j.device for j in verdict.false}) if each in held]
            made.append(Proposed(rule, scope, verdict, before_of(about, rule)))
    return Thought(version, made)


def footprint(rule: Rule, scope: Scope, place: str = "") -> str:
    """A digest of all that the rule says in a scope (of a device at the site `place`), other places left aside."""
    own = {"device": {"device": scope.code, "site": place}, "site": {"site": scope.code}, "rule": {}}[scope.kind]
    kept = tuple(each for each in rule.overrides if own.get(each.scope[0], each.scope[1]) == each.scope[1])
    plain_rule = msgspec.to_builtins(msgspec.structs.replace(rule, overrides=kept), str_keys=True)
    written = json.dumps(plain_rule, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()[:32]


def history(connection: Connection, rule: str) -> tuple[dict[Scope, int], list[Scope]]:
    """By scope when a proposal of the rule was last decided by a person, and the scopes that have an open one."""
    column = rule_proposal.c
    wanted = (column.rule == rule, column.state != "superseded")
    newest = func.max(func.coalesce(column.decided_at, 0))
    query = select(column.scope_kind, column.scope, column.state, newest).where(*wanted)
    settled: dict[Scope, int] = {}
    taken: list[Scope] = []
    for kind, code, state, at in connection.execute(query.group_by(column.scope_kind, column.scope, column.state)):
        scope = Scope(kind, code)
        if state == "proposed":
            taken.append(scope)
        else:
            settled[scope] = max(settled.get(scope, 0), at)
    return settled, taken


def rules_of(connection: Connection, version: int) -> Mapping[str, Rule]:
    try:
        return load_version(connection, version).rules
    except UnknownRules:
        return {}


def _judged(rule: Rule, row: Row, terms: Terms | None, now: int, readings: Readings | None) -> Judged:
    until = row["closed_at"] or now
    lasted, worst = until - row["onset"], None
    if readings and terms and terms.limits and plain(rule) and row["series"] >= 0:
        at, value = readings(row["series"], row["onset"], until + 1)
        if len(at):
            worst, lasted = violation(rule, lowest(terms.limits, rule.direction), at, value, until)
    return Judged(
        row["id"], row["number"], row["subject_id"], row["site"] or "", row["label"], row["cause"], row["onset"],
        row["judged_at"], lasted, worst,
    )  # fmt: skip


class _Versions:
    """Some rules as they were when alerts were judged, each version read once; the others of a version are let go."""

    def __init__(self, connection: Connection, codes: Sequence[str]) -> None:
        self._connection, self._codes = connection, codes
        self._known: dict[int, Mapping[str, Rule]] = {}
        self._same: dict[tuple[int, str, str], bool] = {}

    def same(self, rule: Rule, row: Row) -> bool:
        """Whether the rule said of the alert's device then what it says now: else the false alarm may be mended."""
        version, code = row["rules_version"], row["subject_id"]
        key = (version, rule.id, code)
        if key not in self._same:
            if version not in self._known:
                every = rules_of(self._connection, version)
                self._known[version] = {each: every[each] for each in self._codes if each in every}
            then = self._known[version].get(rule.id)
            scope, place = Scope("device", code), row["site"] or ""
            self._same[key] = then is not None and footprint(then, scope, place) == footprint(rule, scope, place)
        return self._same[key]


def terms_of_devices(connection: Connection, codes: set[str]) -> dict[str, Callable[[Rule], Terms]]:
    """How a rule holds for each of these devices."""
    columns = (device.c.code, device.c.type, device.c.site, device.c.attributes, site.c.attributes.label("around"))
    query = select(*columns).join(site, site.c.code == device.c.site).where(device.c.code.in_(sorted(codes)))

    def holds(row: Any) -> Callable[[Rule], Terms]:
        known = {**(row.around or {}), **(row.attributes or {})}
        return lambda rule: rule.terms(row.type, row.site, row.code, known)

    return {row.code: holds(row) for row in connection.execute(query)}
