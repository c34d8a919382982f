"""What a ticket asks about people and routes is answered from indexes, however long the history."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from alerts.positions import positions_of
from alerts.rosters import Rosters
from alerts.routes import routes_to
from alerts.town_view import Person
from core.database import open_engine, reading
from tests.alerts.desk_scene import MONDAY_TEN

PEOPLE = [Person(code, code, "patroller", "", "T", None, "day") for code in ("P1", "P2")]


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (
            lambda c: Rosters(c, {}, MONDAY_TEN).of(PEOPLE),
            "duty USING INDEX ix_duty_person_starts_at (person=? AND starts",
        ),
        (lambda c: Rosters(c, {}, MONDAY_TEN).of(PEOPLE), "ticket USING INDEX ix_ticket_status_done_by (status=?)"),
        (lambda c: positions_of(c, ["P1", "P2"]), "position USING INDEX sqlite_autoindex_position_1 (person=?)"),
        (lambda c: routes_to(c, "S", [("team", "T"), ("station", "S1")], MONDAY_TEN), "from_code=? AND site=?)"),
    ],
    ids=["rosters", "tickets in hand", "positions", "routes"],
)
def test_it_is_answered_from_an_index(sqlite_template: Path, tmp_path: Path, ask: Any, index: str) -> None:
    path = tmp_path / "empty.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    asked: list[tuple[str, Any]] = []
    with reading(engine) as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        ask(connection)
        selects = [each for each in asked if each[0].startswith("SELECT")]
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given).all() for sql, given in selects]
    engine.dispose()
    assert index in "\n".join(row[-1] for plan in plans for row in plan)
