"""A ticket by hand from the desk's form: made once, placed in its grid, refused with what was entered."""

import pytest
from sqlalchemy import func, select

from alerts.categories import ensure_categories
from alerts.tables import ticket
from core.database import reading, writing
from tests.console.console_scene import LAT, LNG, Town, Visit

SAID = {
    "source": "12345",
    "title": "路灯不亮",
    "category": "城市管理",
    "class_code": "C01",
    "severity": "2",
    "lng": str(LNG + 0.005),
    "lat": str(LAT + 0.005),
    "reporter": "市民",
    "phone": "00000000001",
    "system": "12345",
    "number": "SZ-77",
}


@pytest.fixture(autouse=True)
def known_categories(town: Town) -> None:
    with writing(town.engine) as connection:
        ensure_categories(connection)


def test_a_report_becomes_one_ticket_in_its_grid(town: Town, visit: Visit) -> None:
    desk = visit("disp")
    form = desk.get("/reports/new").text
    assert '<option value="城市管理"' in form
    assert '<option value="S01"' in form
    made = desk.post("/reports/new", data=SAID)
    number = town.ticket()["number"]
    assert made.headers["location"] == f"/tickets/{number}?done=report"
    assert (town.ticket()["grid"], town.ticket()["status"]) == ("G01", "reported")
    assert desk.post("/reports/new", data=SAID).headers["location"] == made.headers["location"]
    with reading(town.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(ticket)) == 1
    page = desk.get(f"/tickets/{number}").text
    for text in ("SZ-77", "市民", "路灯不亮", "12345 热线", 'data-action="verify"'):
        assert text in page
    assert "路灯不亮" in desk.get("/queue?source=12345").text
    assert "路灯不亮" not in desk.get("/queue?source=patrol").text


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"title": " "}, "请写明标题"),
        ({"lng": "far"}, "经纬度不对"),
        ({"lat": ""}, "经纬度不对"),
        ({"site": "S99"}, "没有这个点位"),
        ({"number": ""}, "外部工单须有系统名和编号"),
        ({"category": "无"}, "没有“无”这个类别"),
    ],
)
def test_a_refusal_says_why_and_keeps_what_was_entered(
    town: Town, visit: Visit, wrong: dict[str, str], why: str
) -> None:
    answer = visit("disp").post("/reports/new", data=SAID | wrong | {"address": "示例路<1>号"})
    assert answer.status_code == 409
    assert why in answer.text
    assert "示例路&lt;1&gt;号" in answer.text
    with reading(town.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(ticket)) == 0


def test_only_the_desk_reports_here(visit: Visit) -> None:
    assert visit("g01").get("/reports/new").status_code == 403
    assert visit().post("/reports/new", data=SAID).status_code == 303
