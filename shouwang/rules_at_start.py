"""The rules that a platform starts under: those that packs, files and sheets give, or the last ones that did.

An upgrade brings packs that know nothing of the town's sheets, and a file may be broken by hand. A town without alarms
is worse than one under the rules of yesterday: the platform goes on with them, and tells of it until it is mended.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection, Engine, func, select

from core.database import reading, writing
from detectors.rules import RuleErrors, RuleSet, UnknownRules, load_packs, load_version, record_version
from detectors.sheets import hold_rules, put_in_force
from detectors.tables import rules_sheet, rules_version
from devices.device_types import DeviceType

AUTHOR = "platform"
_SEARCHED = 100  # versions
_log = structlog.get_logger()


class Began(NamedTuple):
    """The version to start under; `refused` are the errors that keep packs, files and sheets out of force together."""

    version: int
    refused: list[str]


def rules_at_start(
    engine: Engine, extra: Sequence[Path], types: Mapping[str, DeviceType], now: int, reason: str = "files as installed"
) -> Began:
    """Record the rules as they are now, if they changed, or go on with the newest recorded ones; `now` in µs UTC.

    Raises RuleErrors when there were none before.
    """
    try:
        with writing(engine) as connection:
            return Began(put_in_force(connection, AUTHOR, reason, now, types, extra, may_loosen=True), [])
    except RuleErrors as wrong:
        with writing(engine) as connection:
            hold_rules(connection)
            kept = newest_readable(connection)
            if kept is None:
                raise
            why = f"as version {kept.version}: {wrong.errors[0]}"
            version = record_version(connection, _with_platform_rules(kept, types), AUTHOR, why, now)
        _log.error(
            "packs, files and sheets don't hold together: going on with the last rules that did",
            version=version,
            errors=wrong.errors,
            mend="edit or withdraw the sheet that is named, or mend the file and start again",
        )
        return Began(version, wrong.errors)


def newest_readable(connection: Connection) -> RuleSet | None:
    """The newest recorded rules that this program can read: it judges by them as far as it knows their devices."""
    newest = select(rules_version.c.version).order_by(rules_version.c.version.desc()).limit(_SEARCHED)
    for version in connection.execute(newest).scalars().all():
        try:
            return load_version(connection, version)
        except UnknownRules as unknown:
            _log.warning("rules left aside", why=str(unknown))
    return None


class Refused:
    """How many errors keep the rules out of force, until an edit, which is only taken when the whole holds."""

    def __init__(self, engine: Engine, began: Began) -> None:
        self._engine, self._count = engine, len(began.refused)
        self._edits = _edits(engine) if began.refused else (0, 0)

    def count(self) -> float:
        """The errors now."""
        if self._count and _edits(self._engine) != self._edits:
            self._count = 0
        return self._count


def _edits(engine: Engine) -> tuple[int, int]:
    with reading(engine) as connection:
        columns = (rules_sheet.c.id, rules_version.c.version)
        edition, version = (connection.scalar(select(func.max(column))) or 0 for column in columns)
    return edition, version


def _with_platform_rules(kept: RuleSet, types: Mapping[str, DeviceType]) -> RuleSet:
    """Rules of an older program know nothing of the faults that a newer one finds in itself, this one first of all."""
    try:
        shipped = load_packs((), types).rules
    except RuleErrors:
        return kept
    own = {code: msgspec.structs.replace(rule, overrides=()) for code, rule in shipped.items() if rule.kind == AUTHOR}
    return RuleSet(0, {**own, **kept.rules})
