"""Rows as plain mappings by column name."""

from sqlalchemy import Connection, Executable

from alerts.words import Row


def rows(connection: Connection, statement: Executable, values: Row | None = None) -> list[Row]:
    """All rows of a statement. `values` beside a statement that is built once are quicker than a new statement."""
    found = connection.execute(statement, values)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


def first_row(connection: Connection, statement: Executable, values: Row | None = None) -> Row | None:
    """Its first row, None when there is none."""
    found = rows(connection, statement, values)
    return found[0] if found else None


def one_row(connection: Connection, statement: Executable, values: Row | None = None) -> Row:
    """Its only row. `values` beside the statement instead of in it are quicker: it is compiled once."""
    row: Row = connection.execute(statement, values).one()._asdict()
    return row
