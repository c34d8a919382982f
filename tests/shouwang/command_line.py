"""Commands as an operator types them, and a look into the database behind them."""

from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from core.database import open_engine, reading
from shouwang.cli import app


def run(*arguments: object, fails: int = 0) -> Result:
    """One command; it must end with status `fails` and, whatever happened, without a traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == fails, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def query(statement: str) -> list[tuple[object, ...]]:
    """The rows of a query to the database of the state in the working folder."""
    engine = open_engine("sqlite:///state/shouwang.db")
    with reading(engine) as connection:
        rows = [tuple(row) for row in connection.execute(text(statement))]
    engine.dispose()
    return rows
