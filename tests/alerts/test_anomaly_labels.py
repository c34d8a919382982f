"""What people say of the models' warnings, on both databases."""

from typing import Any

import pytest
from sqlalchemy import Engine, insert

from alerts.anomaly_labels import (
    TERM,
    LabelRefused,
    keep_view,
    label_counts,
    read_view,
    say,
    warnings_since,
    withdraw,
)
from alerts.tables import alert, ticket
from core.clock import HOUR
from core.database import reading, writing

NOW = 1_790_000_000_000_000


def put(engine: Engine, device: str = "GAS-1", metric: str | None = "level", **more: Any) -> int:
    row: dict[str, Any] = {
        "subject_kind": "device",
        "subject_id": device,
        "rule": "anomaly.readings",
        "onset": NOW,
        "state": "open",
    }
    row |= {
        "severity": 1,
        "level": 1,
        "hazard": "unusual",
        "category": "公共服务",
        "life_safety": False,
        "paged": False,
    }
    row |= dict.fromkeys(("at", "received_at", "journalled_at", "journal_n", "opened_at", "updated_at"), NOW)
    row |= {"rules_version": 1, "evidence": {"metric": metric} if metric else {}, **more}
    with writing(engine) as connection:
        return int(connection.execute(insert(alert).values(**row).returning(alert.c.id)).scalar_one())


def counts(engine: Engine, now: int = NOW) -> dict[tuple[str, str], tuple[int, int]]:
    with reading(engine) as connection:
        return dict(label_counts(connection, now))


def test_a_label_counts_until_it_is_taken_back_and_a_new_one_replaces_it(engine: Engine) -> None:
    one, two = put(engine, state="closed"), put(engine, onset=NOW + 1)
    with writing(engine) as connection:
        say(connection, one, "false", "D-01", NOW)
        say(connection, two, "false", "D-01", NOW)
    assert counts(engine) == {("GAS-1", "level"): (2, 0)}
    with writing(engine) as connection:
        say(connection, two, "real", "D-02", NOW + HOUR)
    assert counts(engine) == {("GAS-1", "level"): (1, 1)}
    with writing(engine) as connection:
        assert withdraw(connection, one, "D-02", NOW + HOUR)
        assert not withdraw(connection, one, "D-02", NOW + HOUR)
    assert counts(engine) == {("GAS-1", "level"): (0, 1)}
    with reading(engine) as connection:
        newest, before = warnings_since(connection, NOW, 10)
        assert (newest["id"], newest["verdict"], newest["who"], before["verdict"]) == (two, "real", "D-02", None)


def test_labels_are_forgotten_after_their_term(engine: Engine) -> None:
    number = put(engine)
    with writing(engine) as connection:
        say(connection, number, "false", "D-01", NOW)
    assert counts(engine, NOW + TERM) != {} == counts(engine, NOW + TERM + 1)


def test_a_warning_that_became_a_ticket_is_judged_by_its_end_unless_the_desk_says_more(engine: Engine) -> None:
    row: dict[str, Any] = {"number": "T1", "source": "iot", "status": "false_alarm", "title": "t", "hazard": "unusual"}
    row |= {"category": "公共服务", "severity": 2, "life_safety": False, "reported_at": NOW, "updated_at": NOW}
    row |= {"result": "false_alarm", "result_cause": "weather", "closed_at": NOW}
    with writing(engine) as connection:
        number = connection.execute(insert(ticket).values(**row).returning(ticket.c.id)).scalar_one()
    judged = put(engine, ticket=number)
    assert counts(engine) == {("GAS-1", "level"): (1, 0)}
    with writing(engine) as connection:
        say(connection, judged, "real", "D-01", NOW)
    assert counts(engine) == {("GAS-1", "level"): (0, 1)}


def test_only_warnings_of_the_models_can_be_labelled(engine: Engine) -> None:
    other, dumb = put(engine, rule="gas.leak"), put(engine, metric=None, onset=NOW + 5)
    for number, reason in ((other, "unknown"), (999_999, "unknown"), (dumb, "none")):
        with writing(engine) as connection, pytest.raises(LabelRefused, match=reason):
            say(connection, number, "false", "D-01", NOW)
    assert counts(engine) == {}


def test_the_models_last_word_replaces_the_one_before(engine: Engine) -> None:
    with reading(engine) as connection:
        assert read_view(connection) is None
    for at in (NOW, NOW + 1):
        with writing(engine) as connection:
            keep_view(connection, at, {"threshold": 5.5})
    with reading(engine) as connection:
        assert read_view(connection) == {"threshold": 5.5, "at": NOW + 1}
