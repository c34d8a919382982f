"""The town as files: a folder of sheets goes into the database whole or not at all, and comes out again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, insert, update

from core.database import reading, writing
from devices.coordinates import in_wgs84, position_complaints
from devices.device_types import DeviceType
from devices.enrolment import complete_series, lock_registry, raise_version
from devices.sheets import Key, Problem, Reading, Row, Sheet, read_sheet, write_sheet
from devices.town_rows import Town, faults, merged, refers, stored


class ImportRefused(ValueError):
    """A folder that can't be imported; `problems` are all its faults. Nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that changes: old and new value by column."""

    key: str
    columns: dict[str, tuple[Any, Any]]


@dataclass(slots=True)
class SheetPlan:
    """What an import does to one sheet's table; rows by key. A roster's are deleted where others are retired."""

    name: str
    added: list[str] = field(default_factory=list)
    changed: list[RowChange] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import does, or did when `applied`, sheet by sheet."""

    sheets: dict[str, SheetPlan]
    applied: bool

    @property
    def changes(self) -> bool:
        """Is there anything to write?"""
        return any(sheet.added or sheet.changed or sheet.retired for sheet in self.sheets.values())


def import_town(
    engine: Engine,
    folder: Path,
    sheets: Sequence[Sheet],
    types: Mapping[str, DeviceType],
    now: int,
    apply: bool = True,
    prune: bool = False,
    crs: str = "wgs84",
) -> Plan:
    """Bring the database to what the folder's files say, in one transaction; `apply=False` only tells the changes.

    Rows are added or changed by key; with `prune`, rows that a file of the folder no longer holds are retired, never
    deleted, but for those of a roster. A sheet without a file is left alone. Positions without a column `crs` are in
    `crs` and become WGS84. New devices get their series numbers; the registry's version rises when anything changes.
    Raises ImportRefused with all problems at once, and ValueError for sheets that are not in the order of their
    references.
    """
    _require_order(sheets)
    files = {sheet.name: found for sheet in sheets if (found := read_sheet(sheet, folder)) is not None}
    if not files:
        expected = ", ".join(sheet.file for sheet in sheets)
        raise ImportRefused([Problem(str(folder.name), 0, "", f"holds none of {expected}")])
    for sheet in sheets:
        if sheet.name in files:
            _place(sheet, files[sheet.name], crs)
    with (writing if apply else reading)(engine) as connection:
        if apply:
            lock_registry(connection)
        problems = [problem for found in files.values() for problem in found.problems]
        town = merged(connection, sheets, files, types, prune, problems)
        problems.extend(faults(sheets, town))
        if problems:
            raise ImportRefused(_in_order(problems, sheets))
        plan = Plan({sheet.name: _difference(sheet, town.rows[sheet.name]) for sheet in sheets}, apply)
        if apply:
            _write(connection, sheets, town, plan, now)
    return plan


def export_town(engine: Engine, folder: Path, sheets: Sequence[Sheet]) -> None:
    """Write every sheet's rows that are not retired into `folder`; importing that folder changes nothing.

    A row that can't be retired itself (a contact) stays out when what it refers to is retired.
    """
    _require_order(sheets)
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, set[Key]] = {}
    with reading(engine) as connection:
        for sheet in sheets:
            rows = {key: values for key, values in stored(connection, sheet).items() if not sheet.retired(values)}
            if sheet.retirement is None:
                rows = {
                    key: row for key, row in rows.items() if all(key in written[to] for to, key in refers(sheet, row))
                }
            written[sheet.name] = set(rows)
            write_sheet(sheet, rows.values(), folder)


def _require_order(sheets: Sequence[Sheet]) -> None:
    before: set[str] = set()
    for sheet in sheets:
        for column in sheet.columns:
            if isinstance(column.refers, str) and column.refers not in before:
                raise ValueError(f"sheet {sheet.name} refers to {column.refers}, which must come before it")
        before.add(sheet.name)


def _place(sheet: Sheet, found: Reading, crs: str) -> None:
    """Turn positions into WGS84 and tell those that can't be."""
    for row in found.rows:
        complaints = [*in_wgs84(row.values, row.values.pop("crs", "") or crs), *position_complaints(row.values)]
        found.problems.extend(Problem(sheet.file, row.number, *complaint) for complaint in complaints)


def _in_order(problems: Sequence[Problem], sheets: Sequence[Sheet]) -> list[Problem]:
    place = {sheet.file: number for number, sheet in enumerate(sheets)}
    return sorted(problems, key=lambda problem: (place[problem.file], problem.row))


def _difference(sheet: Sheet, rows: Mapping[Key, Row]) -> SheetPlan:
    plan = SheetPlan(sheet.name)
    for key, row in sorted(rows.items()):
        changed = _changed(row)
        if row.before is None:
            plan.added.append(sheet.shown(key))
        elif row.gone:
            plan.retired.append(sheet.shown(key))
        elif not changed:
            plan.unchanged += 1
        elif sheet.retired(row.values) and not sheet.retired(row.before):
            plan.retired.append(sheet.shown(key))
        else:
            plan.changed.append(RowChange(sheet.shown(key), changed))
    return plan


def _changed(row: Row) -> dict[str, tuple[Any, Any]]:
    before = row.before or {}
    return {name: (before[name], value) for name, value in row.values.items() if row.before and before[name] != value}


def _write(connection: Connection, sheets: Sequence[Sheet], town: Town, plan: Plan, now: int) -> None:
    for sheet in sheets:
        rows = town.rows[sheet.name].values()
        added = [row.values | sheet.complete(row, now) for row in rows if row.before is None]
        if added:
            connection.execute(insert(sheet.table), added)
        for row in rows:
            this = and_(*(sheet.table.c[name] == row.values[name] for name in sheet.key))
            if row.gone:
                connection.execute(delete(sheet.table).where(this))
            elif changed := _changed(row):
                new = {name: value for name, (_, value) in changed.items()} | sheet.complete(row, now)
                connection.execute(update(sheet.table).where(this).values(new))
    complete_series(connection, town.types)
    if plan.changes:
        raise_version(connection)
