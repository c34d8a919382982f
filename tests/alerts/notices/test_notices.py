from itertools import product

import pytest
from sqlalchemy import Engine, select, update

from alerts.notices import TRANSITIONS, acknowledge, change_state, enqueue, next_step, recipients_of
from alerts.tables import notice
from alerts.unsent import expire
from core.clock import HOUR, MINUTE
from core.database import writing
from detectors.words import Severity
from tests.alerts.notices.notice_rows import (
    NOW,
    Rule,
    notices,
    put_alert,
    put_ticket,
    put_town,
    queue,
    to_person,
    to_robot,
)


def test_a_repeated_enqueue_adds_nothing(engine: Engine) -> None:
    with writing(engine) as connection:
        put_town(connection)
        ticket = put_ticket(connection)
        alert = put_alert(connection, ticket)
        to = [to_person("P-01"), to_person("P-02"), to_robot()]
        assert enqueue(connection, ticket, alert, to, "dispatched", NOW, NOW) == 3
        assert enqueue(connection, ticket, alert, to, "dispatched", NOW + 1, NOW + 1) == 0
    assert len(notices(engine)) == 3


@pytest.mark.parametrize(
    ("ticket_change", "alert_change", "cause"),
    [
        ({}, {"severity": 3}, "dispatched"),
        ({}, {"reopened": 1}, "dispatched"),
        ({}, {}, "raised"),
        ({"dispatched_at": NOW + MINUTE}, {}, "dispatched"),
    ],
    ids=["severity", "reopened", "cause", "dispatched_again"],
)
def test_what_is_news_is_another_notice(
    engine: Engine, ticket_change: dict[str, int], alert_change: dict[str, int], cause: str
) -> None:
    with writing(engine) as connection:
        put_town(connection)
        ticket = put_ticket(connection)
        alert = put_alert(connection, ticket)
        enqueue(connection, ticket, alert, [to_person()], "dispatched", NOW, NOW)
        changed = {**ticket, **ticket_change}, {**alert, **alert_change}
        assert enqueue(connection, *changed, [to_person()], cause, NOW, NOW) == 1


@pytest.mark.parametrize(("severity", "good_for"), [(Severity.ALARM, 15 * MINUTE), (Severity.CRITICAL, 60 * MINUTE)])
def test_a_notice_is_good_for_a_time_from_when_it_is_due(engine: Engine, severity: Severity, good_for: int) -> None:
    morning = NOW + 10 * HOUR
    queue(engine, to_person(), due_at=morning, severity=int(severity))
    (row,) = notices(engine)
    assert (row.due_at, row.next_try_at, row.not_after) == (morning, morning, morning + good_for)


def test_the_body_holds_the_facts(engine: Engine) -> None:
    queue(engine, to_person())
    body = notices(engine)[0].body
    assert body["number"] == "20261123-0007"
    assert (body["place_zh"], body["place_en"]) == ("示例化工0123厂", "Example Chemicals 0123")
    assert (body["area_zh"], body["area_en"]) == ("何家角村 03网格", "Hejiajiao grid 03")
    assert (body["value"], body["limit"], body["unit"]) == (52.0, 25.0, Rule.unit)
    assert (body["contact"], body["phone"]) == ("安全员 E0123", "13900000123")
    assert (body["onset"], body["lng"], body["lat"]) == (NOW, 120.435, 31.445)
    assert body["advice_zh"] == Rule.advice_zh


def test_a_ticket_without_alert_or_site_can_be_told(engine: Engine) -> None:
    with writing(engine) as connection:
        put_town(connection)
        ticket = put_ticket(connection, site=None, grid=None, address="示例路口", source="patrol")
        assert enqueue(connection, ticket, None, [to_person()], "dispatched", NOW, NOW) == 1
    body = notices(engine)[0].body
    assert (body["place_zh"], body["value"]) == ("示例路口", None)


def test_a_group_mentions_the_people_told_with_it_when_it_is_critical(engine: Engine) -> None:
    queue(engine, to_robot(), to_person("P-01"), to_person("P-02", step=1))
    robot, *people = notices(engine)
    assert robot.body["mobiles"] == ["13800000001"]
    assert [row.body["mobiles"] for row in people] == [[], []]


def test_a_group_is_not_mentioned_below_critical(engine: Engine) -> None:
    queue(engine, to_robot(), to_person("P-01"), severity=int(Severity.ALARM))
    assert [row.body["mobiles"] for row in notices(engine)] == [[], []]


def test_acting_on_a_ticket_acknowledges_what_was_sent_to_the_person_and_their_team(engine: Engine) -> None:
    ticket = queue(engine, to_person("P-01"), to_robot(), to_person("P-02"), to_person("P-01", channel="sms"))
    with writing(engine) as connection:
        connection.execute(update(notice).where(notice.c.channel != "sms").values(state="accepted"))
        connection.execute(update(notice).where(notice.c.channel == "sms").values(state="uncertain", claimed_by="x"))
        assert acknowledge(connection, ticket, "P-01", NOW + MINUTE) == 3
        assert acknowledge(connection, ticket, "P-01", NOW + 2 * MINUTE) == 0
    assert [row.state for row in notices(engine)] == ["acknowledged", "acknowledged", "accepted", "acknowledged"]
    assert notices(engine)[0].acknowledged_at == NOW + MINUTE
    assert notices(engine)[3].claimed_by is None


def test_what_was_never_sent_is_not_acknowledged(engine: Engine) -> None:
    ticket = queue(engine, to_person("P-01"))
    with writing(engine) as connection:
        assert acknowledge(connection, ticket, "P-01", NOW) == 0


def test_only_what_waits_expires(engine: Engine) -> None:
    queue(engine, to_person("P-01"), to_person("P-02"))
    first, second = notices(engine)
    with writing(engine) as connection:
        connection.execute(update(notice).where(notice.c.id == second.id).values(state="accepted"))
        assert expire(connection, first.not_after - 1) == []
        assert expire(connection, first.not_after) == [first.id]
    assert [row.state for row in notices(engine)] == ["expired", "accepted"]


def test_a_state_changes_only_as_the_table_says(engine: Engine) -> None:
    queue(engine, to_person())
    moves = set()
    with writing(engine) as connection:
        for source, target in product(TRANSITIONS, repeat=2):
            connection.execute(update(notice).values(state=source))
            if change_state(connection, notice.c.id > 0, target):
                moves.add((source, target))
            now = connection.scalar(select(notice.c.state))
            assert now == (target if (source, target) in moves else source)
    assert moves == {(source, target) for source, targets in TRANSITIONS.items() for target in targets}


def test_the_stored_assignment_names_whom_to_tell_next(engine: Engine) -> None:
    candidates = [
        {"kind": "team", "code": "T-01", "chosen": True, "step": None},
        {"kind": "person", "code": "P-01", "chosen": True, "step": 0},
        {"kind": "person", "code": "P-02", "chosen": False, "step": None},
        {"kind": "person", "code": "P-09", "chosen": True, "step": 2},
    ]
    with writing(engine) as connection:
        put_town(connection)
        found = recipients_of(connection, {"candidates": candidates})
    assert found == [to_person("P-01"), to_person("P-09", step=2)]
    assert next_step(found, 0) == [to_person("P-09", step=2)]
    assert next_step(found, 2) == []
