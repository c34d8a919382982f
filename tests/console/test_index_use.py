"""With many open tickets and alerts the queue and the map read indexes alone, never the wide rows."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from console.board import open_alerts_by_site
from console.worklist import Filter, Posting, mine, queue, tab_counts
from core.database import open_engine, reading


def plans_of(path: Path, ask: Any) -> str:
    """SQLite's plans of the statements that `ask` runs on an empty database."""
    engine = open_engine(f"sqlite:///{path}")
    asked: list[tuple[str, Any]] = []
    with reading(engine) as connection:

        @event.listens_for(engine, "before_cursor_execute")
        def note(_: Connection, __: Any, statement: str, parameters: Any, *___: Any) -> None:
            if statement.startswith("SELECT"):
                asked.append((statement, parameters))

        ask(connection)
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given).all() for sql, given in asked]
    engine.dispose()
    return "\n".join(str(row[-1]) for plan in plans for row in plan)


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda c: queue(c, Filter()), "COVERING INDEX ix_ticket_queue"),
        (lambda c: queue(c, Filter("waiting", 3, "G01", "gas", "iot")), "COVERING INDEX ix_ticket_queue"),
        (lambda c: tab_counts(c, Filter(severity=3)), "COVERING INDEX ix_ticket_queue"),
        (lambda c: mine(c, Posting("T-G01", "ST1", "", "")), "COVERING INDEX ix_ticket_queue"),
        (open_alerts_by_site, "COVERING INDEX ix_alert_open"),
    ],
    ids=["queue", "filtered", "counts", "mine", "map"],
)
def test_it_is_answered_from_an_index(sqlite_template: Path, tmp_path: Path, ask: Any, index: str) -> None:
    path = tmp_path / "empty.db"
    path.write_bytes(sqlite_template.read_bytes())
    assert index in plans_of(path, ask)
