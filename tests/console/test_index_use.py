"""With many open tickets and alerts the queue and the map read indexes alone, never the wide rows."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, select

from alerts.lifecycle import ENDED, Status
from alerts.tables import ticket
from console.board import open_alerts_by_site
from console.stages import desk_clock, due
from console.worklist import PAGE, Filter, Posting, mine, queue, tab_counts
from core.database import open_engine, reading, writing


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


TICKET = {
    **{"source": "iot", "title": "t", "hazard": "gas", "category": "c", "severity": 3, "life_safety": False},
    **{"reported_at": 0, "updated_at": 0},
}
IN_ORDER = "SCAN ticket USING INDEX ix_ticket_queue_order"


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda c: queue(c, Filter()), IN_ORDER),
        (lambda c: queue(c, Filter("waiting", 3, "G01", "gas", "iot")), IN_ORDER),
        (lambda c: mine(c, Posting("T-G01", "ST1", "", "")), IN_ORDER),
        (lambda c: tab_counts(c, Filter(severity=3)), "COVERING INDEX ix_ticket_queue "),
        (open_alerts_by_site, "COVERING INDEX ix_alert_open"),
    ],
    ids=["queue", "filtered", "mine", "counts", "map"],
)
def test_it_is_answered_from_an_index(sqlite_template: Path, tmp_path: Path, ask: Any, index: str) -> None:
    path = tmp_path / "empty.db"
    path.write_bytes(sqlite_template.read_bytes())
    plans = plans_of(path, ask)
    assert index in plans
    assert "FOR ORDER BY" not in plans


def test_the_first_page_of_many_tickets_is_read_in_order(engine: Engine) -> None:
    with writing(engine) as connection:
        rows = [{**TICKET, "number": f"T-{n}", "status": ("closed", "dispatched")[n % 2]} for n in range(2000)]
        connection.execute(insert(ticket), rows)
        connection.exec_driver_sql("ANALYZE")
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_: Connection, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    with reading(engine) as connection:
        assert len(queue(connection, Filter())) == PAGE
        sql, given = next(each for each in asked if "ORDER BY" in each[0])
        plan = str(connection.exec_driver_sql(explain + sql, given).all())
    assert "ix_ticket_queue_order" in plan
    assert "sort" not in plan.lower()


def test_the_stored_order_is_the_clock_that_the_page_shows(engine: Engine) -> None:
    with writing(engine) as connection:
        clocks = [{"accept_by": 5, "arrive_by": 7, "done_by": 9}, {"arrive_by": 7, "done_by": 9}, {"done_by": 9}, {}]
        rows = [
            {
                **TICKET,
                "accept_by": None,
                "arrive_by": None,
                "done_by": None,
                **each,
                "status": str(status),
                "desk_by": by,
            }
            for status in Status
            for each in clocks
            for by in (3, None)
        ]
        connection.execute(insert(ticket), [{**row, "number": f"T-{n}"} for n, row in enumerate(rows)])
        for row in connection.execute(select(ticket)).mappings():
            clock = due({**row, "desk": desk_clock(row)})
            last = None if row["status"] in ENDED else 2**63 - 1
            assert row["queue_by"] == (clock.by if clock else last), dict(row)
