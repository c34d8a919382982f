"""The town's own rule sheets: packs kept in the database, edited whole or override by override, each edit a version.

Every edit is checked together with all packs, the town's files and the other sheets before anything is written, and is
recorded with its author and reason in the caller's transaction. Files that changed since the last version come along
as a version of the platform's own before it. After the commit the caller journals
RulesChanged(version), by which a running platform follows.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import structlog
import yaml
from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy import text as statement

from core.database import writing
from core.yaml_files import YAMLError, load_yaml
from detectors.rule import SCOPES
from detectors.rule_changes import changes, loosened, written_span
from detectors.rules import RuleErrors, RuleSet, UnknownRules, load_packs, load_version, newest_version, record_version
from detectors.tables import rules_sheet, rules_version
from detectors.words import Severity
from devices.device_types import DeviceType
from ingest.words import RulesChanged

CONSOLE = "console"
"""The sheet that structured edits write; it is read after all others."""
FILES = "platform"
"""The author of what changed in packs and files, of which nobody told the platform."""
FIELDS = ("limits", "recovery", "dwell", "dwell_off", "window", "enabled")
"""What an override may change."""
LARGEST = 100_000
"""The most characters of a sheet: it is read again while others wait. Limits of many devices are for attributes."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_EDITORS = 0x5357_5255  # any number that no other advisory lock of this database uses

_log = structlog.get_logger()

Types = Mapping[str, DeviceType]


class EditRefused(ValueError):
    """An edit that was not made; nothing was written.

    `why` is "no_author", "no_reason", "bad_name", "bad_scope", "bad_field", "no_rule", "nothing_set", "no_override",
    "no_sheet", "too_large", "changed" (others edited the same since; `details` are their changes) or "loosens" (a
    life-safety rule would announce less or later, and that was not confirmed; `details` are its fields).
    """

    def __init__(self, why: str, details: Sequence[str] = ()) -> None:
        super().__init__(f"{why}: {'; '.join(details)}" if details else why)
        self.why = why
        self.details = list(details)


class Sheet(NamedTuple):
    """One edition of a sheet. `id` tells editions of a sheet apart; an empty `text` withdrew it. `at` in µs UTC."""

    id: int
    name: str
    text: str
    at: int
    author: str
    reason: str


class _Edit(NamedTuple):
    """Who edits, why and when, and what the sheets stand on."""

    author: str
    reason: str
    now: int
    may_loosen: bool
    types: Types | None
    extra: Sequence[Path]

    def rules(self, sheets: Mapping[str, str]) -> RuleSet:
        return load_packs(self.extra, self.types, {name: sheets[name] for name in _ordered(sheets) if sheets[name]})


def sheets_in_force(connection: Connection) -> dict[str, str]:
    """The text of every sheet by its name, in the order in which they are read."""
    return {name: sheet.text for name, sheet in newest_sheets(connection).items() if sheet.text}


def newest_sheets(connection: Connection) -> dict[str, Sheet]:
    """The newest edition of every sheet, withdrawn ones too, in the order in which they are read."""
    newest = select(func.max(rules_sheet.c.id)).group_by(rules_sheet.c.name)
    rows = connection.execute(select(*rules_sheet.c).where(rules_sheet.c.id.in_(newest)))
    found = sorted((Sheet(*row) for row in rows), key=lambda sheet: (sheet.name == CONSOLE, sheet.name))
    return {sheet.name: sheet for sheet in found}


def editions(connection: Connection, name: str, limit: int = 50) -> list[Sheet]:
    """A sheet's editions, the newest first."""
    query = select(*rules_sheet.c).where(rules_sheet.c.name == name).order_by(rules_sheet.c.id.desc()).limit(limit)
    return [Sheet(*row) for row in connection.execute(query)]


def put_in_force(
    connection: Connection,
    author: str,
    reason: str,
    now: int,
    types: Types | None = None,
    extra: Sequence[Path] = (),
    *,
    may_loosen: bool = False,
) -> int:
    """Record packs, files and sheets as they are now; the version. Raises EditRefused and RuleErrors."""
    by = _Edit(author, reason, now, may_loosen, types, extra)
    _begin(connection, by)
    rules = by.rules(sheets_in_force(connection))
    _refuse_looser(connection, rules, by)
    return record_version(connection, rules, author, reason, now)


def edit(
    connection: Connection,
    name: str,
    text: str,
    author: str,
    reason: str,
    now: int,
    types: Types | None = None,
    extra: Sequence[Path] = (),
    *,
    seen: int | None = None,
    may_loosen: bool = False,
) -> int:
    """Put a sheet's text in force in place of its last edition; the rules' version.

    `types` are the device types, `extra` the folders of the town's own packs, `now` µs UTC. `seen` is the id of the
    edition that the author saw, 0 for none; without it the last one is replaced unseen. `may_loosen`: a life-safety
    rule may announce less or later than it did. Raises EditRefused, and RuleErrors when the whole does not hold.
    """
    by = _Edit(author, reason, now, may_loosen, types, extra)
    if not _NAME.fullmatch(name):
        raise EditRefused("bad_name", [name])
    _begin(connection, by)
    newest = newest_sheets(connection).get(name)
    if seen is not None and seen != (newest.id if newest else 0):
        raise EditRefused("changed", _since(connection, name, seen, by))
    return _write(connection, name, text, by)


def withdraw(
    connection: Connection,
    name: str,
    author: str,
    reason: str,
    now: int,
    types: Types | None = None,
    extra: Sequence[Path] = (),
    *,
    may_loosen: bool = False,
) -> int:
    """Take a sheet out of force; the rules' version. Raises EditRefused and RuleErrors."""
    by = _Edit(author, reason, now, may_loosen, types, extra)
    _begin(connection, by)
    if name not in sheets_in_force(connection):
        raise EditRefused("no_sheet", [name])
    return _write(connection, name, "", by)


def set_override(
    connection: Connection,
    rule: str,
    scope: tuple[str, str],
    fields: Mapping[str, Any],
    author: str,
    reason: str,
    now: int,
    types: Types | None = None,
    extra: Sequence[Path] = (),
    *,
    seen: int | None = None,
    may_loosen: bool = False,
) -> int:
    """Set what differs from a rule for one ("device_type" | "attribute" | "site" | "device", code); the rules' version.

    An attribute's code is "name=value". `fields` are those of an override as a pack has them ({"limits": {"alarm": 20},
    "dwell": "10s"}) or as Override holds them (spans in µs); they replace the console's earlier override of this rule
    and scope whole. `seen` is the rules' version that the author saw: refused when the rule differs by now. Otherwise
    as `edit`. Raises EditRefused and RuleErrors.
    """
    given = _spelled(fields)
    if not given:
        raise EditRefused("nothing_set")
    entry = {"rule": rule, **_scoped(scope), **given}
    by = _Edit(author, reason, now, may_loosen, types, extra)
    return _edit_console(connection, rule, scope, entry, by, seen)


def remove_override(
    connection: Connection,
    rule: str,
    scope: tuple[str, str],
    author: str,
    reason: str,
    now: int,
    types: Types | None = None,
    extra: Sequence[Path] = (),
    *,
    seen: int | None = None,
    may_loosen: bool = False,
) -> int:
    """Take the console's override of this rule and scope away; as `set_override`."""
    by = _Edit(author, reason, now, may_loosen, types, extra)
    return _edit_console(connection, rule, scope, None, by, seen)


def announce(engine: Engine, journal: Callable[[RulesChanged], object]) -> int:
    """Journal the newest version, so that a running platform goes on under it; call it after an edit's commit.

    One after another: an older version never stands behind a newer one.
    """
    with writing(engine) as connection:
        hold_rules(connection)
        version = newest_version(connection) or 0
        journal(RulesChanged(version))
    return version


def overrides_in(text: str) -> list[dict[str, Any]]:
    """The overrides of a sheet's text as they stand there; none when it can't be read."""
    listed = _read(text).get("overrides")
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _read(text: str) -> dict[str, Any]:
    try:
        document = load_yaml(text) if text else None
    except YAMLError:
        return {}
    return document if isinstance(document, dict) else {}


def scope_of(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """The scope of an override as it stands in a sheet."""
    for kind in SCOPES:
        if kind in entry:
            code = entry[kind]
            return kind, ",".join(f"{k}={v}" for k, v in code.items()) if isinstance(code, dict) else str(code)
    return None


def hold_rules(connection: Connection) -> None:
    """Wait until no other transaction edits rules, and keep it so to the end of this one."""
    if connection.dialect.name == "postgresql":  # SQLite's write transaction is that already
        connection.execute(statement("SELECT pg_advisory_xact_lock(:editors)"), {"editors": _EDITORS})


def _begin(connection: Connection, by: _Edit) -> None:
    if not by.author.strip():
        raise EditRefused("no_author")
    if not by.reason.strip():
        raise EditRefused("no_reason")
    hold_rules(connection)


def _edit_console(
    connection: Connection,
    rule: str,
    scope: tuple[str, str],
    entry: dict[str, Any] | None,
    by: _Edit,
    seen: int | None,
) -> int:
    _begin(connection, by)
    newest = _newest(connection)
    if rule not in newest.rules:
        raise EditRefused("no_rule", [rule])
    if seen is not None:
        _refuse_changed(connection, newest, rule, seen)
    sheet = sheets_in_force(connection).get(CONSOLE, "")
    there = overrides_in(sheet)
    kept = [each for each in there if (each.get("rule"), scope_of(each)) != (rule, scope)]
    if entry is None and len(kept) == len(there):
        raise EditRefused("no_override", [rule, "=".join(scope)])
    overrides = [*kept, entry] if entry else kept
    document = {**_read(sheet), "overrides": overrides}
    document = {key: value for key, value in document.items() if value}
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120) if document else ""
    return _write(connection, CONSOLE, text, by)


def _write(connection: Connection, name: str, text: str, by: _Edit) -> int:
    if len(text) > LARGEST:
        raise EditRefused("too_large", [f"{len(text):,} > {LARGEST:,}"])
    before = sheets_in_force(connection)
    wanted = by.rules({**before, name: text})
    _refuse_looser(connection, wanted, by)
    _record_files(connection, before, by)
    version = record_version(connection, wanted, by.author, by.reason, by.now)
    if before.get(name, "") != text:
        row = {"name": name, "text": text, "at": by.now, "author": by.author, "reason": by.reason}
        connection.execute(insert(rules_sheet).values(**row))
    return version


def _refuse_looser(connection: Connection, rules: RuleSet, by: _Edit) -> None:
    looser = loosened(_newest(connection).rules, rules.rules)
    if looser and not by.may_loosen:
        raise EditRefused("loosens", [f"{rule} {field}".strip() for rule, found in looser.items() for field in found])
    if looser:
        _log.warning("a life-safety rule is loosened", author=by.author, reason=by.reason, rules=looser)


def _record_files(connection: Connection, sheets: Mapping[str, str], by: _Edit) -> None:
    """Record what packs and files changed since as a version of its own, so that it isn't taken for the author's."""
    if newest_version(connection) is None:
        return
    try:
        files = by.rules(sheets)
    except RuleErrors:  # what stands now doesn't hold together: the edit mends it
        return
    record_version(connection, files, FILES, f"files as they were when {by.author} edited", by.now)


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name == CONSOLE, name))


def _newest(connection: Connection) -> RuleSet:
    """The newest recorded rules; none where there are none that this program can read."""
    try:
        return load_version(connection, newest_version(connection) or 0)
    except UnknownRules:
        return RuleSet(0)


def _refuse_changed(connection: Connection, newest: RuleSet, rule: str, seen: int) -> None:
    """Refuse when the rule is not what it was at the version that the author saw."""
    try:
        then = load_version(connection, seen).rules
    except UnknownRules as unknown:
        raise EditRefused("changed", [str(unknown)]) from unknown
    found = [change for change in changes(then, newest.rules) if change.rule == rule]
    if found:
        later = select(rules_version.c.author).where(rules_version.c.version > seen).order_by(rules_version.c.version)
        authors = ", ".join(dict.fromkeys(connection.execute(later).scalars()))
        raise EditRefused("changed", [f"{authors}: {change.told()}" for change in found])


def _since(connection: Connection, name: str, seen: int, by: _Edit) -> list[str]:
    """Who edited a sheet since, and what of the rules differs by it."""
    later = [edition for edition in editions(connection, name) if edition.id > seen]
    told = [f"{edition.author}: {edition.reason}" for edition in reversed(later)]
    same = (rules_sheet.c.id == seen, rules_sheet.c.name == name)
    then = connection.execute(select(rules_sheet.c.text).where(*same)).scalar() or ""
    sheets = sheets_in_force(connection)
    found = changes(by.rules({**sheets, name: then}).rules, by.rules(sheets).rules)
    return told + [change.told() for change in found]


def _scoped(scope: tuple[str, str]) -> dict[str, Any]:
    kind, code = scope
    name, equals, value = code.partition("=")
    if kind not in SCOPES or not code or (kind == "attribute" and not (name and equals and value)):
        raise EditRefused("bad_scope", [kind, code])
    return {kind: {name: value} if kind == "attribute" else code}


def _spelled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An override's fields as a pack has them."""
    given = {name: value for name, value in fields.items() if value is not None and value != {}}
    if unknown := sorted(given.keys() - set(FIELDS)):
        raise EditRefused("bad_field", unknown)
    for name in ("dwell", "dwell_off", "window"):
        if isinstance(given.get(name), int):
            given[name] = written_span(given[name])
    if isinstance(given.get("limits"), Mapping):
        given["limits"] = {_level(level): limit for level, limit in given["limits"].items()}
    return given


def _level(level: Any) -> str:
    return Severity(int(level)).name.lower() if str(level).isdigit() else str(level)
