import csv
import io

import pytest
from sqlalchemy import insert, select, update

from alerts import tables
from alerts.auditor import audit
from alerts.drill_report import make_report, report_csv
from alerts.drill_schedule import DrillSchedule
from alerts.drills import BY_HAND, define, drills, end, retire, run_due, runs_of, start, under_way
from alerts.escalation_tables import drill, drill_call, drill_run
from alerts.refusals import DrillRefused, MoveRefused
from alerts.settings import DEFAULTS
from alerts.town_view import load_town_view
from alerts.words import Row
from core.clock import DAY, HOUR, MINUTE, SECOND
from core.database import reading, writing
from tests.alerts.desk_scene import MONDAY_TEN, RULES, Scene, at_local

MONDAYS = DrillSchedule((1,), "10:00")


def make(scene: Scene, schedule: DrillSchedule = BY_HAND, teams: tuple[str, ...] = ("T-G17",), **more: object) -> Row:
    with writing(scene.engine) as connection:
        return define(connection, scene.town, "联络演练", "li", scene.clock.now(), teams, schedule, **more)  # type: ignore[arg-type]


def begin(scene: Scene, number: int = 1) -> Row:
    with writing(scene.engine) as connection:
        return start(connection, scene.town, number, scene.clock.now(), scene.settings)


def tick(scene: Scene) -> int:
    with writing(scene.engine) as connection:
        return run_due(connection, scene.town, RULES, scene.clock.now(), scene.settings)


def told(scene: Scene, who: str, state: str, **moments: int | str) -> None:
    with writing(scene.engine) as connection:
        its = tables.notice.c.recipient == who
        connection.execute(update(tables.notice).where(its).values(state=state, **moments))


def runs(scene: Scene) -> list[Row]:
    with reading(scene.engine) as connection:
        return runs_of(connection, 1)


def test_a_double_click_defines_one_drill(scene: Scene) -> None:
    assert make(scene)["id"] == make(scene)["id"]
    assert make(scene, MONDAYS)["id"] != make(scene)["id"]


def test_a_drill_calls_the_real_contacts_with_its_mark(scene: Scene) -> None:
    make(scene)
    begin(scene)
    (ticket,) = scene.tickets
    assert (ticket["source"], ticket["drill"], ticket["status"], ticket["life_safety"]) == (
        "drill",
        1,
        "dispatched",
        False,
    )
    assert {each["recipient"] for each in scene.notices} == {"G17-01", "G17-02", "G17-03", "G17-04"}
    assert all(each["body"]["drill"] and not each["life_safety"] for each in scene.notices)
    assert scene.log == ["drill"]


def test_everybody_and_the_groups_when_no_team_is_named(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        group = {"owner_kind": "team", "owner": "T-G18", "channel": "robot", "address": "https://robot.example"}
        connection.execute(insert(tables.contact).values(group))
        scene.town = load_town_view(connection)
    make(scene, teams=())
    begin(scene)
    assert {"LEAD-1", "DISP-1", "ST1-01", "G18-01", "T-G18"} <= {each["recipient"] for each in scene.notices}


@pytest.mark.parametrize(
    ("delivered_at", "outcome", "reached_at"), [(None, "unproven", None), (MONDAY_TEN + 3, "reached", MONDAY_TEN + 3)]
)
def test_a_members_answer_does_not_prove_that_the_groups_message_arrived(
    delivered_at: int | None, outcome: str, reached_at: int | None
) -> None:
    times = {"requested_at": MONDAY_TEN, "due_at": MONDAY_TEN, "acknowledged_at": MONDAY_TEN + 9}
    to = {"recipient_kind": "team", "recipient": "T-G18", "channel": "robot", "error": ""}
    sent = {"id": 1, "state": "acknowledged", "delivered_at": delivered_at, **times, **to}
    run = {"began_at": MONDAY_TEN, "ends_at": MONDAY_TEN + HOUR}
    (group,) = make_report(run, "", [], [sent], {}, MONDAY_TEN + HOUR)["groups"]
    assert (group["outcome"], group["reached_at"]) == (outcome, reached_at)


def test_each_answers_for_themselves_and_the_ticket_waits_for_all(scene: Scene) -> None:
    make(scene)
    begin(scene)
    scene.clock.advance(30 * SECOND)
    assert scene.move("accept", "G17-01").status == "dispatched"
    assert scene.move("accept", "G17-01").status == "dispatched"
    assert scene.log == ["drill", "accept"]
    answered = {row["person"]: row["replied_at"] for row in scene.rows(drill_call)}
    assert answered == {
        "G17-01": MONDAY_TEN + 30 * SECOND,
        "G17-02": None,
        "G17-03": None,
        "G17-04": None,
    }
    assert tick(scene) == 0
    for who in ("G17-02", "G17-03", "G17-04"):
        scene.move("accept", who)
    assert tick(scene) == 1
    assert scene.tickets[0]["status"] == "closed"
    assert scene.tickets[0]["result"] == "test"
    assert runs(scene)[0]["report"]["counts"]["answered"] == 4


def test_whoever_was_not_called_does_not_answer_and_nothing_else_is_done_to_it(scene: Scene) -> None:
    make(scene)
    begin(scene)
    with pytest.raises(MoveRefused, match="not_yours"):
        scene.move("accept", "G18-01")
    for action in ("arrive", "return", "false_alarm", "handle", "reassign"):
        with pytest.raises(MoveRefused, match="drill_is_only_answered"):
            scene.move(action, "G17-01", opinion="x", cause="x")
    scene.clock.advance(30 * MINUTE)
    tick(scene)
    with pytest.raises(MoveRefused, match="ticket_over"):
        scene.move("accept", "G17-01")


def test_the_report_names_who_was_reached_how_and_who_was_not(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        connection.execute(tables.contact.delete().where(tables.contact.c.owner == "G17-04"))
    scene.town.contacts.pop(("person", "G17-04"))  # type: ignore[attr-defined]
    make(scene)
    begin(scene)
    now = scene.clock.advance(MINUTE)
    scene.move("accept", "G17-01")
    told(scene, "G17-02", "delivered", requested_at=now, delivered_at=now + 1)
    told(scene, "G17-03", "failed", error="no such number")
    scene.clock.advance(29 * MINUTE)
    assert tick(scene) == 1
    report = runs(scene)[0]["report"]
    assert {row["code"]: row["outcome"] for row in report["people"]} == {
        "G17-01": "answered",
        "G17-02": "reached",
        "G17-03": "not_reached",
        "G17-04": "no_contact",
    }
    sheet = list(csv.DictReader(io.StringIO(report_csv(report, "zh").removeprefix("\ufeff"))))
    by_code = {row["编号"]: row for row in sheet}
    assert by_code["G17-01"]["结果"] == "已应答"
    assert by_code["G17-01"]["应答"] == "2026-09-21 10:01:00+08:00"
    assert by_code["G17-02"]["送达"] == "2026-09-21 10:01:00+08:00"
    assert by_code["G17-03"]["错误"] == "no such number"
    assert "no contact" in report_csv(report, "en")


def test_quiet_hours_hold_unless_the_drill_wakes(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        connection.execute(update(tables.person).values(quiet_hours="09:00-12:00"))
    make(scene)
    make(scene, DrillSchedule(wakes=True))
    begin(scene, 1)
    assert {each["due_at"] for each in scene.notices} == {at_local("2026-09-21 12:00")}
    scene.clock.advance(30 * MINUTE)
    tick(scene)
    assert runs(scene)[0]["report"]["counts"]["quiet_hours"] == 4
    begin(scene, 2)
    woken = [each for each in scene.notices if each["ticket"] == 2]
    assert {each["due_at"] for each in woken} == {scene.clock.now()}
    assert not any(each["life_safety"] for each in woken)


def test_it_comes_by_itself_each_week_and_once(scene: Scene) -> None:
    scene.clock.value = at_local("2026-09-21 09:59")
    assert make(scene, MONDAYS)["next_at"] == MONDAY_TEN
    assert tick(scene) == 0
    scene.clock.value = MONDAY_TEN
    assert tick(scene) == 1
    assert tick(scene) == 0
    (held,) = scene.rows(drill)
    assert held["next_at"] == MONDAY_TEN + 7 * DAY
    with reading(scene.engine) as connection:
        assert under_way(connection) == 1


def test_one_missed_while_nothing_ran_waits_for_its_next_time(scene: Scene) -> None:
    make(scene, DrillSchedule((1, 2), "11:00"))
    scene.clock.value = at_local("2026-09-21 13:00")
    tick(scene)
    assert scene.tickets == []
    assert scene.rows(drill)[0]["next_at"] == at_local("2026-09-22 11:00")


def test_one_whose_last_run_goes_on_waits_for_its_next_time(scene: Scene) -> None:
    make(scene, MONDAYS, window=24 * HOUR)
    begin(scene)
    with writing(scene.engine) as connection:
        connection.execute(update(drill).values(next_at=scene.clock.now()))
    tick(scene)
    assert len(scene.rows(drill_run)) == 1
    assert scene.rows(drill)[0]["next_at"] > scene.clock.now()


def test_an_ended_run_stays_as_it_is(scene: Scene) -> None:
    make(scene)
    run = begin(scene)
    with writing(scene.engine) as connection:
        first = end(connection, scene.town, run["id"], scene.clock.advance(MINUTE), scene.settings)
    with writing(scene.engine) as connection:
        again = end(connection, scene.town, run["id"], scene.clock.advance(MINUTE), scene.settings)
    assert first == again


def test_a_drill_asks_nothing_of_escalation(scene: Scene) -> None:
    make(scene)
    begin(scene)
    with reading(scene.engine) as connection:
        assert audit(connection, scene.clock.advance(MINUTE), scene.settings).findings == ()


@pytest.mark.parametrize(
    ("reason", "more"),
    [
        ("needs_name", {"name": " "}),
        ("bad_schedule", {"schedule": DrillSchedule((8,))}),
        ("bad_schedule", {"schedule": DrillSchedule((1,), "25:00")}),
        ("bad_window", {"window": 25 * HOUR}),
        ("no_such_group", {"teams": ("T-X",)}),
    ],
)
def test_what_is_no_drill_is_refused(scene: Scene, reason: str, more: dict[str, object]) -> None:
    said: dict[str, object] = {"name": "x", "owner": "li", "now": 0, **more}
    with writing(scene.engine) as connection, pytest.raises(DrillRefused, match=reason):
        define(connection, scene.town, **said)  # type: ignore[arg-type]


def test_what_can_not_begin_is_refused(scene: Scene) -> None:
    make(scene)
    begin(scene)
    with pytest.raises(DrillRefused, match="under_way"):
        begin(scene)
    with writing(scene.engine) as connection:
        retire(connection, 1)
        assert drills(connection) == []
    with pytest.raises(DrillRefused, match="no_such_drill"):
        begin(scene)
    with writing(scene.engine) as connection, pytest.raises(DrillRefused, match="no_such_drill"):
        retire(connection, 9)
    with writing(scene.engine) as connection, pytest.raises(DrillRefused, match="no_such_run"):
        end(connection, scene.town, 9, 0, DEFAULTS)


def test_nothing_is_due_when_the_towns_people_are_gone(scene: Scene) -> None:
    scene.town.contacts.clear()  # type: ignore[attr-defined]
    make(scene, MONDAYS)
    with pytest.raises(DrillRefused, match="nobody_to_call"):
        begin(scene)
    with reading(scene.engine) as connection:
        assert connection.scalars(select(drill_run.c.id)).all() == []
