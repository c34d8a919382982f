"""Who is on duty, and how channels stand, over the console's pages and API."""

import re

import pytest
from sqlalchemy import delete, insert, update

from alerts import tables
from alerts.town_view import TownView, load_town_view
from console.channel_facts import ChannelFacts
from core.clock import HOUR, MINUTE
from core.database import reading, writing
from tests.console.console_scene import Town, Visit, console_on


def test_everybody_is_listed_by_post_with_whether_they_are_on_duty(town: Town, visit: Visit) -> None:
    now = town.clock.now()
    span = {"person": "G01-01", "starts_at": now - HOUR, "ends_at": now + HOUR}
    away = {"person": "G01-02", "starts_at": now - 2 * MINUTE, "ends_at": now - MINUTE}
    with writing(town.engine) as connection:
        connection.execute(insert(tables.duty), [span, away])
    posts = {each["code"]: each for each in visit("disp").get("/api/v1/roster").json()["posts"]}
    people = {each["code"]: each for each in posts["T-G01"]["people"]}
    assert (people["G01-01"]["on"], people["G01-01"]["reason"]) == (True, "rostered")
    assert (people["G01-02"]["on"], people["G01-02"]["reason"]) == (False, "off_roster")
    page = visit("disp").get("/roster").text
    assert re.search(r"G01 网格.*?</a></td>\s*<td><span class=\"ok\">在岗 1/2</span>", page)
    assert "网格员 G01-01" in page
    assert "网格员 G01-02" not in page, "the overview has this shift alone"
    one = visit("disp").get("/roster?post=T-G01").text
    assert "排班不当值" in one
    assert {"网格员 G01-01", "网格员 G01-02"} <= set(re.findall(r"网格员 G01-\d\d", one))
    assert "ST1-01" not in one
    assert "值班领导" in page.split("现无人在岗")[1].split("</p>")[0]  # there is none in this town


def test_a_grid_of_which_nothing_tells_who_is_on_duty_is_named(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        connection.execute(update(tables.person).values(shift="day"))
    with reading(town.engine) as connection:
        town.view = load_town_view(connection)
    page = visit("disp").get("/roster").text
    assert "T-G01" in page.split("日间通知全体队员")[1].split("</p>")[0]
    assert visit("disp").get("/api/v1/roster").json()["posts"][0]["kind"]


def test_the_page_stays_short_in_a_large_town_and_narrows_to_a_village(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        crowd = [
            {"code": f"X-{n:03d}", "name": f"队员{n:03d}", "role": "patroller", "team": "T-G01", "shift": "all"}
            for n in range(200)
        ]
        connection.execute(insert(tables.person), crowd)
    with reading(town.engine) as connection:
        town.view = load_town_view(connection)
    disp = visit("disp")
    assert disp.get("/roster").text.count("队员") == 2
    assert "另有 198 人" in disp.get("/roster").text
    village = disp.get("/roster?village=V1").text
    assert village.count("<b>队员") == 200
    assert "执法一站</b>" not in village
    assert "没有符合的岗位" in disp.get("/roster?post=nowhere").text


def test_somebody_without_a_channel_is_seen(town: Town, visit: Visit) -> None:
    town.view = _without_contacts(town)
    assert "无通道" in visit("disp").get("/roster").text


def _without_contacts(town: Town) -> TownView:
    with writing(town.engine) as connection:
        connection.execute(delete(tables.contact))
        return load_town_view(connection)


@pytest.mark.parametrize("path", ["/roster", "/channels", "/api/v1/roster", "/api/v1/channels"])
def test_a_patroller_sees_neither(visit: Visit, path: str) -> None:
    assert visit("g01").get(path).status_code == 403


def test_what_waits_and_what_failed_stands_on_its_channel(town: Town, visit: Visit) -> None:
    town.alert()
    disp = visit("disp")
    (phone,) = [each for each in disp.get("/api/v1/channels").json()["channels"] if each["name"] == "phone"]
    assert phone["waits"] == phone["counts"]["queued"] > 0
    with writing(town.engine) as connection:
        connection.execute(update(tables.notice).values(state="failed", error="no_such_channel"))
    page = disp.get("/channels").text
    assert "设置中没有这个通道" in page
    assert town.ticket()["number"] in page.split("近一天失败")[1]


def test_what_is_sent_counts_and_what_nobody_knows_is_not_proven(town: Town, visit: Visit) -> None:
    town.alert()
    assert town.send_notices(visit.url)
    disp = visit("disp")
    (phone,) = [each for each in disp.get("/api/v1/channels").json()["channels"] if each["name"] == "phone"]
    assert (phone["minute"], phone["last"]["outcome"]) == (phone["counts"]["accepted"], "accepted")
    with writing(town.engine) as connection:
        connection.execute(update(tables.notice).values(state="uncertain"))
    assert town.ticket()["number"] in disp.get("/channels").text.split("回执逾期或结果不明")[1]


def test_a_channels_limits_are_those_of_the_settings(town: Town) -> None:
    facts = ChannelFacts("wecom_robot", ((20, MINUTE),), 10)
    town.channels = {"wecom_robot": facts}
    with console_on(town) as url:
        made = Visit(url)
        page = made("disp").get("/channels").text
        made.close()
    assert "1 分内 20 条" in page
    assert "一条可列 10 单" in page
