"""Labels of closed tickets, and each rule's precision by week, site and device, on both databases."""

from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, insert, literal, select

from alerts.labels import (
    LABEL,
    Precision,
    label_of,
    newest_judgement,
    precision,
    precision_of,
    rules_judged_false,
    week_of,
)
from alerts.lifecycle import Status
from alerts.tables import alert, ticket
from core.clock import DAY, HOUR, local
from core.database import reading, writing
from tests.alerts.desk_scene import MONDAY_TEN, at_local

_NUMBERS = count(1)


def put(
    engine: Engine, onset: int, status: str | None, result: str | None = None, cause: str = "", **more: Any
) -> None:
    """One alert, and its ticket unless `status` is None."""
    with writing(engine) as connection:
        number = None
        if status is not None:
            row = {"number": f"T{next(_NUMBERS)}", "source": "iot", "status": status, "title": "t", "hazard": "gas"}
            row |= {"category": "安全生产", "severity": 3, "life_safety": False, "reported_at": onset}
            row |= {"updated_at": onset, "result": result, "result_cause": cause, "closed_at": onset + HOUR}
            number = connection.execute(insert(ticket).values(**row).returning(ticket.c.id)).scalar_one()
        row = {"subject_kind": "device", "subject_id": "D1", "rule": "gas.leak", "onset": onset, "state": "closed"}
        row |= {"severity": 3, "level": 0, "hazard": "gas", "category": "安全生产", "life_safety": False, "paged": True}
        row |= dict.fromkeys(("at", "received_at", "journalled_at", "journal_n", "opened_at", "updated_at"), onset)
        row |= {"site": "S1", "ticket": number, "rules_version": 1, **more}
        connection.execute(insert(alert).values(**row))


ENDS = [
    ("closed", "handled", "", "real"),
    ("false_alarm", "false_alarm", "weather", "false"),
    ("false_alarm", "false_alarm", "test", "excluded"),
    ("false_alarm", "false_alarm", "drill", "excluded"),
    ("void", "void", "", "excluded"),
    ("merged", None, "", "excluded"),
    ("closed", "self_recovered", "", "unlabelled"),
    ("accepted", None, "", "unlabelled"),
    (None, None, "", "unlabelled"),
]


@pytest.mark.parametrize(("status", "result", "cause", "label"), ENDS)
def test_what_a_tickets_end_says(status: str | None, result: str | None, cause: str, label: str) -> None:
    assert label_of(status, result, cause) == label


def test_sql_says_the_same_of_every_end(engine: Engine) -> None:
    ends = [
        (s.value, r, c)
        for s in Status
        for r in (None, "handled", "false_alarm", "self_recovered")
        for c in ("", "test")
    ]
    with reading(engine) as connection:
        for status, result, cause in ends:
            row = select(
                literal(status).label("status"), literal(result).label("result"), literal(cause).label("cause")
            )
            said = _over(row.subquery())
            assert connection.execute(said).scalar_one() == label_of(status, result, cause), (status, result, cause)


def _over(rows: Any) -> Any:
    columns = {"status": rows.c.status, "result": rows.c.result, "result_cause": rows.c.cause}
    from sqlalchemy.sql import visitors

    swapped = visitors.replacement_traverse(
        LABEL, {}, lambda part, **_: columns[part.name] if getattr(part, "table", None) is ticket else None
    )
    return select(swapped).select_from(rows)


def test_precision_by_local_week_says_its_denominator(engine: Engine) -> None:
    sunday = at_local("2026-09-20 23:59")
    for place, (status, result, cause, _) in enumerate(ENDS):
        put(engine, MONDAY_TEN + place, status, result, cause)
    put(engine, sunday, "closed", "handled")
    with reading(engine) as connection:
        weeks = precision(connection, sunday - DAY, MONDAY_TEN + DAY)
    assert [(each.real, each.false, each.unlabelled, each.excluded) for each in weeks] == [(1, 0, 0, 0), (1, 1, 3, 4)]
    assert [(each.labelled, each.share) for each in weeks] == [(1, 1.0), (2, 0.5)]
    assert [f"{local(each.week):%F %R}" for each in weeks] == ["2026-09-14 00:00", "2026-09-21 00:00"]
    labels = [("gas.leak", "", MONDAY_TEN, label) for *_, label in ENDS]
    assert precision_of([*labels, ("gas.leak", "", sunday, "real")]) == weeks  # type: ignore[list-item]


def test_precision_by_site_and_device(engine: Engine) -> None:
    put(engine, MONDAY_TEN, "closed", "handled", subject_id="A", site="S1")
    put(engine, MONDAY_TEN, "false_alarm", "false_alarm", "works", subject_id="B", site="S2")
    put(engine, MONDAY_TEN, "closed", "handled", subject_id="GW", subject_kind="gateway", site=None)
    put(engine, MONDAY_TEN, "closed", "handled", subject_id="C", rule="noise")
    with reading(engine) as connection:
        span = (MONDAY_TEN - DAY, MONDAY_TEN + DAY)
        by_site = precision(connection, *span, "site", "gas.leak")
        by_device = precision(connection, *span, "device", "gas.leak")
        assert [row.rule for row in precision(connection, *span)] == ["gas.leak", "noise"]
    week = week_of(MONDAY_TEN)
    assert by_site == [Precision("gas.leak", "S1", week, 1, 0, 0, 0), Precision("gas.leak", "S2", week, 0, 1, 0, 0)]
    assert [(each.scope, each.share) for each in by_device] == [("A", 1.0), ("B", 0.0)]


def test_nobody_judged_is_no_precision() -> None:
    assert Precision("r", "", 0, 0, 0, 5, 2).share is None


def test_rules_with_enough_false_alarms_are_counted_by_tickets(engine: Engine) -> None:
    for place in range(3):
        put(engine, MONDAY_TEN + place, "false_alarm", "false_alarm", "weather")
    put(engine, MONDAY_TEN, "closed", "handled", rule="noise")
    with reading(engine) as connection:
        assert rules_judged_false(connection, MONDAY_TEN, MONDAY_TEN + DAY, 3) == ["gas.leak"]
        assert rules_judged_false(connection, MONDAY_TEN, MONDAY_TEN + DAY, 4) == []
        assert rules_judged_false(connection, MONDAY_TEN + DAY, MONDAY_TEN + 2 * DAY, 1) == []
        assert newest_judgement(connection) == MONDAY_TEN + HOUR + 2
