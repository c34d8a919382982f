"""Sheets: what a folder of CSV files may hold, column by column, and the rows that are read from and written to it.

A package adds its own by declaring a `Sheet`: import and export know nothing of any particular one.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Table

from devices.cells import CellProblem, Kind
from devices.geometry import as_geometry

if TYPE_CHECKING:
    from devices.town_rows import Town

Values = dict[str, Any]
Key = tuple[Any, ...]


class Problem(NamedTuple):
    """One fault of an import. `row` counts as a spreadsheet does, 1 is the header; 0 is the file as a whole.

    In a GeoJSON file `row` is the feature's number. In the database's own rows, which no file holds, it is 0.
    """

    file: str
    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        where = (self.file, f"row {self.row}" if self.row else "", self.column)
        return f"{', '.join(part for part in where if part)}: {self.reason}"


Complaint = tuple[str, str]
"""A column's name and what is wrong with its value."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a sheet and of its table.

    `empty` is the value of an empty cell; one that is `required` must not be empty. `refers` names the sheet whose key
    the value (or each of a list) must be, or picks that name by the row's values.
    """

    name: str
    kind: Kind
    required: bool = False
    empty: Any = ""
    refers: str | Callable[[Values], str | None] | None = None


@dataclass(slots=True)
class Row:
    """A row as it will stand: `values` by column, `before` as the database has it (None: new).

    `number` is its place in the file, 0 when only the database has it; `given` are the columns with a filled cell. One
    that is `gone` will be deleted.
    """

    values: Values
    before: Values | None = None
    number: int = 0
    given: frozenset[str] = frozenset()
    gone: bool = False


def _no_complaint(_row: Row, _town: "Town") -> Iterable[Complaint]:
    return ()


def _nothing_more(_row: Row, _now: int) -> Values:
    return {}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file `NAME.csv` (or `NAME.geojson`) and the table that it fills.

    Sheets are given to an import in the order of their references: what is referred to comes first. `key` identifies a
    row. `retirement` is the column and value that retire a row; without it rows are never pruned. `check` looks at a
    row in the town as it will be, may fill in derived values, and complains; it sees the file's rows, and the
    database's own where the grids change. `complete` adds values at the write (times of service) from the row and now.
    `span` names a column of moments: a pruning file deletes the rows between its first and its last moment that it
    doesn't hold, as nothing refers to them (a roster is replaced, other months are left alone).
    """

    name: str
    table: Table
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    retirement: tuple[str, Any] | None = None
    check: Callable[[Row, "Town"], Iterable[Complaint]] = _no_complaint
    complete: Callable[[Row, int], Values] = _nothing_more
    geojson: bool = False
    span: str | None = None

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}.geojson" if self.geojson else f"{self.name}.csv"

    @property
    def positioned(self) -> bool:
        """Does it hold positions, and so may have a column `crs`?"""
        return self.geojson or {"lng", "lat"} <= {column.name for column in self.columns}

    def key_of(self, values: Mapping[str, Any]) -> Key:
        """The row's key, a tuple even for one column."""
        return tuple(values[name] for name in self.key)

    def shown(self, key: Key) -> str:
        """A key as people read it, its parts as their cells are written."""
        kinds = {column.name: column.kind for column in self.columns}
        return "/".join(kinds[name].write(part) for name, part in zip(self.key, key, strict=True))

    def retired(self, values: Mapping[str, Any]) -> bool:
        """Is a row with these values retired?"""
        return self.retirement is not None and values[self.retirement[0]] == self.retirement[1]


@dataclass(slots=True)
class Reading:
    """A file's columns and rows, and what is wrong with them."""

    columns: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_sheet(sheet: Sheet, folder: Path) -> Reading | None:
    """Read and parse a sheet's file, None when the folder has none.

    A column that the file doesn't have is left alone, so it isn't in a row's `values`; the key and the required columns
    must be there for a new row, which the import checks. Positions are as written; "crs" is among a row's values.
    """
    path = folder / sheet.file
    if not path.is_file():
        return None
    found = Reading()
    try:
        content = path.read_bytes().decode("utf-8-sig")
        cells = list(_features(content) if sheet.geojson else _records(content))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        reason = f"line {line} is not UTF-8; save the file as CSV UTF-8"
        found.problems.append(Problem(sheet.file, 0, "", reason))
    except (csv.Error, ValueError) as error:
        found.problems.append(Problem(sheet.file, 0, "", str(error)))
    else:
        _parse_all(sheet, cells, found)
    return found


def _records(content: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Non-blank records with their spreadsheet row number, the header first."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    for number, record in enumerate(reader, 1):
        if number == 1 or any(cell.strip() for cell in record):
            yield number, record


def _features(content: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The features as records: a header of all property names and "polygon", then one a feature."""
    try:
        collection = json.loads(content)
        features = [(feature.get("properties") or {}, feature["geometry"]) for feature in collection["features"]]
        names = list(dict.fromkeys(name for properties, _ in features for name in properties))
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is no GeoJSON FeatureCollection: {error}") from error
    yield 0, [*names, "polygon"]
    for number, (properties, geometry) in enumerate(features, 1):
        texts = [_as_cell(properties.get(name)) for name in names]
        yield number, [*texts, json.dumps(geometry)]


def _as_cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parse_all(sheet: Sheet, cells: Sequence[tuple[int, Sequence[str]]], found: Reading) -> None:
    if not cells:
        found.problems.append(Problem(sheet.file, 0, "", "is empty: the header is missing"))
        return
    (header_row, header), *records = cells
    names = [name.strip() for name in header]
    columns = {column.name: column for column in sheet.columns}
    for name, reason in _header_complaints(sheet, names):
        found.problems.append(Problem(sheet.file, header_row, name, reason))
    if found.problems:
        return
    found.columns = frozenset(names)
    for number, record in records:
        if len(record) != len(names):
            reason = f"has {len(record)} cells, the header has {len(names)}"
            found.problems.append(Problem(sheet.file, number, "", reason))
            continue
        texts = {name: cell.strip() for name, cell in zip(names, record, strict=True)}
        row = Row({}, number=number, given=frozenset(name for name, cell in texts.items() if cell))
        for name, cell in texts.items():
            try:
                row.values[name] = _value(columns.get(name), cell)
            except CellProblem as problem:
                found.problems.append(Problem(sheet.file, number, name, str(problem)))
        if set(sheet.key) <= set(row.values):
            found.rows.append(row)


def _header_complaints(sheet: Sheet, names: Sequence[str]) -> Iterator[Complaint]:
    known = {column.name for column in sheet.columns} | ({"crs"} if sheet.positioned else set())
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield name, "stands twice in the header"
        elif name not in known:
            yield name, f"unknown column; known are {', '.join(sorted(known))}"
    yield from ((name, "column is missing") for name in sheet.key if name not in names)


def _value(column: Column | None, cell: str) -> Any:
    if column is None:  # crs
        return cell.lower()
    if cell:
        return column.kind.parse(cell)
    if column.required:
        raise CellProblem("must not be empty")
    return column.empty


def _polygon(cell: str) -> str:
    try:
        as_geometry(cell)
    except ValueError as error:
        raise CellProblem(str(error)) from error
    found = json.loads(cell)
    return json.dumps({"type": found["type"], "coordinates": found["coordinates"]}, separators=(",", ":"))


POLYGON = Kind(_polygon)
"""A GeoJSON Polygon or MultiPolygon, kept as compact text."""


def write_sheet(sheet: Sheet, rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write rows, sorted by key, as the file that `read_sheet` reads back to the same values."""
    ordered = sorted(rows, key=sheet.key_of)
    write = _geojson if sheet.geojson else _csv
    (folder / sheet.file).write_text(write(sheet, ordered), encoding="utf-8", newline="\n")


def _cells(sheet: Sheet, values: Mapping[str, Any]) -> list[str]:
    shown = ((column, values[column.name]) for column in sheet.columns)
    return ["" if value is None or value in ([], {}, "") else column.kind.write(value) for column, value in shown]


def _csv(sheet: Sheet, rows: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.name for column in sheet.columns])
    writer.writerows(_cells(sheet, values) for values in rows)
    return buffer.getvalue()


def _geojson(sheet: Sheet, rows: Sequence[Mapping[str, Any]]) -> str:
    names = [column.name for column in sheet.columns]
    features = []
    for values in rows:
        properties = dict(zip(names, _cells(sheet, values), strict=True))
        polygon = properties.pop("polygon")
        told = json.dumps(properties, ensure_ascii=False)
        features.append(f'{{"type":"Feature","properties":{told},"geometry":{polygon}}}')
    return '{"type":"FeatureCollection","features":[\n' + ",\n".join(features) + "\n]}\n"
