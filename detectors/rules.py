"""The rules in force: loaded from packs as a whole, kept by version in the database."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import msgspec
from sqlalchemy import Connection, insert, select

from detectors.pack_files import RuleErrors, read_packs
from detectors.rule import GRADED, Kind, Override, Rule, Terms
from detectors.tables import rules_version
from devices.device_types import DeviceType, load_device_types

__all__ = [
    "GRADED",
    "Kind",
    "Override",
    "Rule",
    "RuleErrors",
    "RuleSet",
    "Terms",
    "UnknownRules",
    "load_packs",
    "load_version",
    "newest_version",
    "record_version",
]


class UnknownRules(LookupError):
    """The database holds no rules of this version."""


@dataclass(frozen=True)
class RuleSet:
    """All rules by id. `version` is 0 until the set is recorded."""

    version: int
    rules: dict[str, Rule] = field(default_factory=dict)

    @cached_property
    def content(self) -> str:
        """The rules as canonical JSON: equal rules give equal text.

        >>> RuleSet(3).content
        '{}'
        """
        plain = msgspec.to_builtins(self.rules, str_keys=True)
        return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    def in_force(self, day: date) -> "RuleSet":
        """The rules that hold on a local day."""
        return RuleSet(self.version, {code: rule for code, rule in self.rules.items() if rule.in_force(day)})

    def next_change(self, day: date) -> date | None:
        """The first later day on which other rules hold; None when there is none."""
        begins = [rule.effective_from for rule in self.rules.values() if rule.effective_from]
        lasting = (rule.effective_to for rule in self.rules.values() if rule.effective_to)
        ends = [last + timedelta(days=1) for last in lasting if last < date.max]
        return min((change for change in (*begins, *ends) if change > day), default=None)


def load_packs(
    extra: Sequence[Path] = (),
    types: Mapping[str, DeviceType] | None = None,
    sheets: Mapping[str, str] = MappingProxyType({}),
) -> RuleSet:
    """The rules of detectors/packs, of the `extra` files and folders of `*.yaml`, and of `sheets`, as version 0.

    `sheets` are the texts of packs that are edited in the platform, by name, read last in their order. A later rule
    replaces an earlier one of the same id, a later override one of the same rule and scope; all others add up. `types`
    are the device types that the rules are checked against, by default the catalogue's. Raises RuleErrors with every
    error of every file at once.
    """
    return RuleSet(0, read_packs(extra, load_device_types() if types is None else types, sheets).rules)


def record_version(connection: Connection, rules: RuleSet, author: str, reason: str, now: int) -> int:
    """The version of these rules; a new row only when they differ from the newest one."""
    columns = (rules_version.c.version, rules_version.c.digest)
    newest = connection.execute(select(*columns).order_by(columns[0].desc()).limit(1)).first()
    if newest is not None and newest.digest == rules.digest:
        return int(newest.version)
    row = {"digest": rules.digest, "content": rules.content, "created_at": now, "author": author, "reason": reason}
    added = connection.execute(insert(rules_version).values(**row).returning(rules_version.c.version))
    return int(added.scalar_one())


def load_version(connection: Connection, version: int) -> RuleSet:
    """The rules of a version. Raises UnknownRules, also for those that only another program can read."""
    row = connection.execute(select(rules_version.c.content).where(rules_version.c.version == version)).first()
    if row is None:
        raise UnknownRules(f"the database holds no rules of version {version}")
    try:
        return RuleSet(version, msgspec.json.decode(row.content, type=dict[str, Rule]))
    except msgspec.ValidationError as error:
        raise UnknownRules(f"the rules of version {version} are of another program: {error}") from error


def newest_version(connection: Connection) -> int | None:
    """The newest recorded version, None before the first."""
    newest = connection.execute(select(rules_version.c.version).order_by(rules_version.c.version.desc()).limit(1))
    return newest.scalar_one_or_none()
