"""Drills planned, begun, answered and reported; categories and class codes edited: over the console's pages."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from alerts.categories import categories, class_codes, ensure_categories
from alerts.escalation_tables import drill, drill_run
from core.database import reading, writing
from tests.alerts.notices.notice_rows import make_link
from tests.console.console_scene import Town, Visit

PLAN = {"name": "季度演练", "teams": ["T-G01"], "minutes": "30"}


def test_a_drill_is_planned_begun_answered_and_reported(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    assert disp.post("/drills", data=PLAN).headers["location"] == "/drills?done=defined"
    begun = disp.post("/drills/1/start")
    assert begun.headers["location"] == "/drills/runs/1?done=started"
    assert disp.get("/drills/runs/1").text.count("尚未应答") == 2
    assert town.send_notices(visit.url)
    with writing(town.engine) as connection:
        code = make_link(connection, "G01-01", town.ticket()["id"], town.clock.now())
    visit().post(f"/t/{code}/accept")
    assert "1/2 应答" in disp.get("/drills").text
    assert disp.post("/drills/runs/1/end").status_code == 303
    page = disp.get("/drills/runs/1").text
    for text in ("已应答", "未证实送达", "手机页"):
        assert text in page
    sheet = disp.get("/drills/runs/1/report.csv")
    assert "attachment" in sheet.headers["content-disposition"]
    assert "G01-02" in sheet.text


def test_a_drill_each_week_says_when_it_is_next(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    disp.post("/drills", data={**PLAN, "days": ["1", "4"], "at": "10:30"})
    page = disp.get("/drills").text
    assert "周一、周四 10:30" in page
    assert "下次 20" in page


def test_a_refused_plan_keeps_what_was_entered(town: Town, visit: Visit) -> None:
    answer = visit("disp").post("/drills", data={**PLAN, "name": " ", "at": "09:15"})
    assert answer.status_code == 409
    assert 'value="09:15"' in answer.text
    with reading(town.engine) as connection:
        assert connection.execute(select(drill)).all() == []


def test_a_run_under_way_is_not_begun_again(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    disp.post("/drills", data=PLAN)
    disp.post("/drills/1/start")
    assert disp.post("/drills/1/start").status_code == 409
    with reading(town.engine) as connection:
        assert len(connection.execute(select(drill_run)).all()) == 1


def test_a_retired_drill_is_gone(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    disp.post("/drills", data=PLAN)
    disp.post("/drills/1/retire")
    assert "季度演练" not in disp.get("/drills").text
    assert disp.post("/drills/1/start").status_code == 409


def test_unknown_runs_are_not_found_and_patrollers_plan_nothing(visit: Visit) -> None:
    disp, patroller = visit("disp"), visit("g01")
    for path in ("/drills/runs/7", "/drills/runs/7/report.csv"):
        assert disp.get(path).status_code == 404
    assert disp.post("/drills/runs/7/end").status_code == 404
    assert patroller.get("/drills").status_code == 403
    assert patroller.post("/drills", data=PLAN).status_code == 403


@pytest.fixture
def edit(town: Town, visit: Visit) -> Callable[..., int]:
    """Posts an edit as the administrator; its status."""
    with writing(town.engine) as connection:
        ensure_categories(connection)
    root = visit("root")
    return lambda path, **form: root.post(path, data=form).status_code


def test_an_administrator_edits_categories(town: Town, edit: Callable[..., int]) -> None:
    assert edit("/categories", name="防汛", name_en="Floods", acceptance="both") == 303
    assert edit("/categories", name="网格党建", retire="yes") == 303
    with reading(town.engine) as connection:
        found = {each.name: each for each in categories(connection)}
    assert found["防汛"].acceptance == "both"
    assert "网格党建" not in found


def test_an_administrator_edits_class_codes(town: Town, visit: Visit, edit: Callable[..., int]) -> None:
    assert edit("/categories/classes", code="c01-07", name="消火栓", name_en="Hydrant") == 303
    assert edit("/categories/classes", code="X1", name="错", name_en="Wrong") == 409
    assert edit("/categories/classes", code="E99", retire="yes") == 409
    with reading(town.engine) as connection:
        assert "C01-07" in {each.code for each in class_codes(connection)}
    assert "消火栓" in visit("disp").get("/categories").text
    assert {"code", "name"} <= visit("disp").get("/api/v1/categories").json()["classes"][0].keys()


def test_an_edit_says_who_made_it_and_what_it_changed(town: Town, visit: Visit, edit: Callable[..., int]) -> None:
    disp = visit("disp")
    assert disp.get("/api/v1/categories/edits").json() == {"edits": []}
    began = town.clock.now()
    assert edit("/categories", name="安全生产", name_en="Work safety", acceptance="both", place=3) == 303
    assert edit("/categories/classes", code="C05", retire="yes") == 303
    assert edit("/categories/classes", code="X1", name="错", name_en="Wrong") == 409
    assert visit("root").delete("/api/v1/classes/C04").json() == {"done": True}
    found = disp.get("/api/v1/categories/edits").json()["edits"]
    assert [(each["who"], each["what"], each["code"]) for each in found] == [
        ("root", "class", "C04"),
        ("root", "class", "C05"),
        ("root", "category", "安全生产"),
    ]
    assert (found[2]["before"]["acceptance"], found[2]["after"]["acceptance"]) == ("first", "both")
    assert all(began <= each["at"] <= town.clock.now() for each in found)
    page = disp.get("/categories").text
    assert "先接单者负责 → <b>网格队和执法站都须接单</b>" in page
    assert "可选 → <b>已停用</b>" in page
    assert disp.get("/api/v1/categories/edits", params={"before": found[0]["id"]}).json()["edits"] == found[1:]
    assert visit("g01").get("/api/v1/categories/edits").status_code == 403


def test_a_dispatcher_sees_the_tables_and_edits_nothing(town: Town, visit: Visit, edit: Callable[..., int]) -> None:
    disp = visit("disp")
    assert '<form method="post" action="/categories' not in disp.get("/categories").text
    assert disp.post("/categories", data={"name": "甲", "name_en": "A"}).status_code == 403
    assert disp.post("/categories/classes", data={"code": "C09", "name": "甲", "name_en": "A"}).status_code == 403
