"""What a ticket's page says of its clocks, its next step, its candidates and its notices."""

from sqlalchemy import delete, insert, select, update

from alerts.escalating import run_due
from alerts.escalation_tables import escalation
from alerts.tables import delivery, notice, ticket
from console.language import texts
from core.clock import MINUTE
from core.database import reading, writing
from detectors.words import Severity
from tests.console.console_scene import Town, Visit


def page(town: Town, visit: Visit, language: str = "zh") -> str:
    desk = visit("disp")
    desk.cookies.set("shouwang_language", language)
    answer = desk.get(f"/tickets/{town.ticket()['number']}")
    assert answer.status_code == 200
    return answer.text


def test_the_timers_say_stage_clock_and_rule(town: Town, visit: Visit) -> None:
    town.alert()
    shown = page(town, visit)
    for text in ("各环节计时", "接单", "紧急工作时", "计时中", "default-1 紧急：接单 5 分钟"):
        assert text in shown
    english = page(town, visit, "en")
    assert "day and night" in english
    assert "default-1 critical: accept 5 min" in english


def test_the_next_step_says_when_why_and_whom(town: Town, visit: Visit) -> None:
    town.alert()
    shown = page(town, visit)
    for text in ("下一步", "尚未接单", "次序中的下一批", "扩大 1 级", "规则 default-1"):
        assert text in shown
    with writing(town.engine) as connection:
        later = town.clock.now() + 3 * MINUTE
        assert run_due(connection, town.view, town.rules, later) == 1
    shown = page(town, visit)
    assert "已执行" in shown
    assert "第 1 步" in shown
    with writing(town.engine) as connection:
        connection.execute(delete(escalation))
    assert "没有下一步" in page(town, visit)


def test_every_candidate_has_a_distance_a_way_and_a_reason(town: Town, visit: Visit) -> None:
    town.alert()
    shown = page(town, visit)
    assert "直线距离" in shown
    assert "固定班次" in shown
    choice = town.ticket()["assignment"]
    assert choice["shortfalls"]
    for code in choice["shortfalls"]:
        assert texts("zh")[f"shortfall.{code}"] in shown
    for each in choice["candidates"]:
        assert each["name"] in shown


def test_a_ticket_says_that_its_years_holidays_are_not_known(town: Town, visit: Visit) -> None:
    town.alert()
    said = texts("zh")["shortfall.no_calendar"]
    for source, told in (("state_council", False), ("weekends_only", True)):
        assignment = town.ticket()["assignment"] | {"calendar": source}
        with writing(town.engine) as connection:
            connection.execute(update(ticket).values(assignment=assignment))
        assert (said in page(town, visit)) == told


def test_a_notice_says_its_receipt_and_what_it_was_listed_with(town: Town, visit: Visit) -> None:
    town.alert()
    town.send_notices("http://127.0.0.1:1")
    with writing(town.engine) as connection:
        connection.execute(update(delivery).values(notices=3))
        connection.execute(update(notice).where(notice.c.id == 1).values(receipt="DELIVRD"))
    shown = page(town, visit)
    assert "与另外 2 条合并为一条消息" in shown
    assert "DELIVRD" in shown
    assert "此通道不提供回执" in shown
    assert "条未证实送达" in shown


def test_a_ticket_that_both_must_accept_says_who_is_missing(town: Town, visit: Visit) -> None:
    town.alert(severity=Severity.ALARM, value=30.0, limit=20.0)
    with writing(town.engine) as connection:
        connection.exec_driver_sql("UPDATE ticket SET acceptance = 'both', team = 'T-G01', station = 'ST1'")
    number = town.ticket()["number"]
    assert visit("g01").post(f"/m/tickets/{number}/accept").status_code == 303
    assert town.ticket()["status"] == "dispatched"
    shown = page(town, visit)
    assert "双方接单" in shown
    assert "等待执法站" in shown
    assert visit("disp").post(f"/tickets/{number}/moves/accept").headers["location"].endswith("done=accept")


def test_a_repeat_that_fails_says_that_others_were_told_before(town: Town, visit: Visit) -> None:
    town.alert()
    said = "已因同一事由告知下一级"
    with reading(town.engine) as connection:
        sent = dict(connection.execute(select(notice).limit(1)).mappings().one())
    kept = {name: value for name, value in sent.items() if name not in ("id", "key", "cause", "state")}
    about = f"not_accepted:7:4:0:{sent['created_at']}"
    rows = [
        {"key": f"1:{about}:1:person:DISP-1:mail", "cause": "not_accepted", "state": "failed"},
        {"key": f"uncertain:1:{about}:person:ST1-01:phone", "cause": "uncertain", "state": "accepted"},
        {"key": f"1:{about}:2:person:DISP-1:mail", "cause": "not_accepted", "state": "failed"},
    ]
    with writing(town.engine) as connection:
        first = connection.execute(insert(notice).values(**kept, **rows[0]).returning(notice.c.id)).scalar_one()
        connection.execute(insert(notice).values(**{**kept, **rows[1], "instead_of": first}))
    assert said not in page(town, visit), "it was just told"
    with writing(town.engine) as connection:
        connection.execute(insert(notice).values(**kept, **rows[2]))
    assert page(town, visit).count(said) == 1
