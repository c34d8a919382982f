"""The rows of an import: the files' laid over the database's, checked against each other before anything is written."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from devices.device_types import DeviceType
from devices.geometry import Grids
from devices.sheets import Key, Problem, Reading, Row, Sheet, Values


@dataclass(slots=True)
class Town:
    """The town as it will be after an import: every sheet's rows by key, and the grids in force."""

    types: Mapping[str, DeviceType]
    rows: dict[str, dict[Key, Row]]
    grids: Grids
    grids_change: bool
    _indexes: dict[tuple[str, str], dict[Any, list[Row]]] = field(default_factory=dict)

    def by(self, sheet: str, column: str) -> Mapping[Any, Sequence[Row]]:
        """A sheet's rows by the value of a column, those left out that will be deleted; made once."""
        found = self._indexes.get((sheet, column))
        if found is None:
            found = self._indexes[sheet, column] = {}
            for row in self.rows[sheet].values():
                if not row.gone:
                    found.setdefault(row.values[column], []).append(row)
        return found


def stored(connection: Connection, sheet: Sheet) -> dict[Key, Values]:
    """The rows that the database has, the retired ones too, by key."""
    names = [column.name for column in sheet.columns]
    if sheet.retirement and sheet.retirement[0] not in names:
        names.append(sheet.retirement[0])
    rows = connection.execute(select(*(sheet.table.c[name] for name in names)))
    return {sheet.key_of(values): values for values in map(dict, rows.mappings())}


def merged(
    connection: Connection,
    sheets: Sequence[Sheet],
    files: Mapping[str, Reading],
    types: Mapping[str, DeviceType],
    prune: bool,
    problems: list[Problem],
) -> Town:
    """The database's rows with the files' laid over them."""
    rows: dict[str, dict[Key, Row]] = {}
    for sheet in sheets:
        rows[sheet.name] = {key: Row(dict(old), old) for key, old in stored(connection, sheet).items()}
        if sheet.name in files:
            _lay_over(sheet, files[sheet.name], rows[sheet.name], problems)
            if prune and not files[sheet.name].problems:
                _prune(sheet, rows[sheet.name].values())
    before, after = _polygons(rows, earlier=True), _polygons(rows, earlier=False)
    return Town(types, rows, Grids.of(after.items()), before != after)


def _lay_over(sheet: Sheet, found: Reading, rows: dict[Key, Row], problems: list[Problem]) -> None:
    seen: dict[Key, int] = {}
    missing = [column.name for column in sheet.columns if column.required and column.name not in found.columns]
    complained = False
    for row in found.rows:
        key = sheet.key_of(row.values)
        if key in seen:
            told = f"{sheet.shown(key)} stands in row {seen[key]} too"
            problems.append(Problem(sheet.file, row.number, sheet.key[0], told))
            continue
        seen[key] = row.number
        known = rows.get(key)
        if known is None and missing and not complained:
            complained = True
            told = f"column is missing, and {sheet.shown(key)} is new"
            problems.extend(Problem(sheet.file, row.number, name, told) for name in missing)
        row.before = known.before if known else None
        row.values = (known.values if known else _blank(sheet)) | row.values
        row.values.update(_revived(sheet))
        rows[key] = row


def _blank(sheet: Sheet) -> Values:
    return {column.name: column.empty for column in sheet.columns}


def _revived(sheet: Sheet) -> Values:
    """A row that the file holds is not retired, unless its own state column says so."""
    if sheet.retirement is None or sheet.retirement[0] in {column.name for column in sheet.columns}:
        return {}
    return {sheet.retirement[0]: 0}


def _prune(sheet: Sheet, rows: Collection[Row]) -> None:
    for row in rows:
        if not row.number and sheet.retirement and not sheet.retired(row.values):
            row.values[sheet.retirement[0]] = sheet.retirement[1]
    if sheet.span:
        moments = [row.values[sheet.span] for row in rows if row.number]
        for row in rows:
            row.gone = not row.number and min(moments, default=1) <= row.values[sheet.span] <= max(moments, default=0)


def _polygons(rows: Mapping[str, Mapping[Key, Row]], earlier: bool) -> dict[str, str]:
    """The polygons of the grids that are in force, by code, before or after the import."""
    versions = [row.before if earlier else row.values for row in rows.get("grids", {}).values()]
    return {each["code"]: each["polygon"] for each in versions if each and each["polygon"] and not each["retired"]}


def faults(sheets: Sequence[Sheet], town: Town) -> Iterator[Problem]:
    """What each sheet's own check and the references say. Rows that no file holds are checked when the grids move."""
    for sheet in sheets:
        for row in town.rows[sheet.name].values():
            if row.number or (town.grids_change and not sheet.retired(row.values)):
                for column, reason in sheet.check(row, town):
                    yield _fault(sheet, row, column, reason)
    by_name = {sheet.name: sheet for sheet in sheets}
    for sheet in sheets:
        for row in town.rows[sheet.name].values():
            yield from _broken_references(sheet, row, by_name, town)


def _fault(sheet: Sheet, row: Row, column: str, reason: str) -> Problem:
    where = "" if row.number else f"{sheet.shown(sheet.key_of(row.values))} in the database: "
    return Problem(sheet.file, row.number, column, where + reason)


def _broken_references(sheet: Sheet, row: Row, by_name: Mapping[str, Sheet], town: Town) -> Iterator[Problem]:
    for column in sheet.columns:
        for name, key in refers(sheet, row.values, column.name):
            target = town.rows[name].get(key)
            if target is None:
                if row.number:
                    yield _fault(sheet, row, column.name, f"unknown {by_name[name].shown(key)}: not among the {name}")
            elif by_name[name].retired(target.values) and _holds(sheet, row, by_name[name], target):
                yield _fault(
                    sheet, row, column.name, f"refers to {by_name[name].shown(key)} of the {name}, which is retired"
                )


def _holds(sheet: Sheet, row: Row, target_sheet: Sheet, target: Row) -> bool:
    """Does the row stand in the way of its target being retired? One that no file holds only if it is so just now."""
    if sheet.retired(row.values):
        return False
    just_now = target.before is not None and not target_sheet.retired(target.before)
    return bool(row.number) or (just_now and sheet.retirement is not None)


def refers(sheet: Sheet, values: Values, only: str | None = None) -> Iterator[tuple[str, Key]]:
    """The sheets and keys that a row refers to, in all columns or in one."""
    for column in sheet.columns:
        if column.refers is None or only not in (None, column.name):
            continue
        name = column.refers if isinstance(column.refers, str) else column.refers(values)
        value = values[column.name]
        if name is not None:
            yield from ((name, (each,)) for each in (value if isinstance(value, list) else [value]) if each)
