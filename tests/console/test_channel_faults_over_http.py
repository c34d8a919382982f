"""What the page of channels says of notices that nobody sends, and of what other platforms refused."""

import time

import pytest
from sqlalchemy import insert, update

from alerts.case_tables import outside_message
from alerts.outside_refusals import RECENT, refused_outside
from alerts.stalled import stalled
from alerts.tables import notice
from console.api import FIGURES_FRESH
from console.tables import account
from core.clock import MINUTE, SECOND
from core.database import reading, writing
from tests.console.console_scene import Town, Visit


def test_notices_that_nobody_sends_are_told_and_a_sender_ends_that(town: Town, visit: Visit) -> None:
    town.alert()
    disp = visit("disp")
    assert "派单服务" not in disp.get("/channels").text
    assert disp.get("/api/v1/state").json()["stalled"] is None
    with writing(town.engine) as connection:
        connection.execute(update(notice).values(next_try_at=notice.c.next_try_at - MINUTE - SECOND))
    page = disp.get("/channels").text
    assert "派单服务（dispatch）在运行吗" in page
    waiting = disp.get("/api/v1/channels").json()["stalled"]["waiting"]
    assert waiting > 0
    time.sleep(FIGURES_FRESH / SECOND)
    told = disp.get("/api/v1/state").json()["stalled"]
    assert told["waiting"] == waiting
    assert told["since"] < town.clock.now() - MINUTE
    town.send_notices(visit.url)
    with reading(town.engine) as connection:
        assert stalled(connection, town.clock.now()) is None


def test_what_was_refused_between_platforms_is_listed_with_its_reason(town: Town, visit: Visit) -> None:
    town.alert()
    now, number = town.clock.now(), town.ticket()["number"]
    common = {"received_at": now, "ticket": None}
    error = '{"error": {"code": "unknown_ticket", "zh": "没有", "en": "none"}, "of": "x"}'
    with writing(town.engine) as connection:
        for row in (
            {"system": "district", "key": "k-1", "status": 404, "answer": error, **common},
            {"system": ">district", "key": "log-1", "status": 403, "answer": "not yours", **common, "ticket": 1},
            {"system": ">district", "key": "log-2", "status": 0, "answer": "", **common},
            {"system": "district", "key": "k-2", "status": 201, "answer": "{}", **common},
            {"system": "district", "key": "k-3", "status": 409, "answer": error, **common, "received_at": now - RECENT},
        ):
            connection.execute(insert(outside_message).values(**row))
        found = refused_outside(connection, now)
    assert [(each.way, each.system, each.status, each.why) for each in found] == [
        ("out", "district", 403, "not yours"),
        ("in", "district", 404, "unknown_ticket"),
    ]
    page = visit("disp").get("/channels").text.split("外部平台往来被拒")[1]
    for text in ("not yours", "unknown_ticket", "k-1", number, "403"):
        assert text in page


def test_a_dispatcher_tests_their_own_contact(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        connection.execute(update(account).where(account.c.username == "disp").values(person="DISP-1"))
    disp = visit("disp")
    assert 'name="channel" value="phone"' in disp.get("/channels").text
    answer = disp.post("/channels/test", data={"channel": "phone"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/channels?tested=phone#mine")
    again = disp.post("/channels/test", data={"channel": "phone"})
    assert again.status_code == 409
    assert "测试过于频繁" in again.text
    refused = disp.post("/api/v1/channels/phone/test")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "tested_just_now")
    with writing(town.engine) as connection:
        connection.execute(
            update(notice).values(state="failed", error="refused_for_good 93000 the robot was stopped: x")
        )
    (told,) = disp.get("/api/v1/channels/tests").json()["tests"]
    assert (told["channel"], told["state"]) == ("phone", "failed")
    assert "机器人已停用" in disp.get("/channels").text.split('id="mine"')[1]


def test_who_has_no_contact_is_told_so(visit: Visit) -> None:
    disp = visit("disp")
    assert "您没有登记联系方式" in disp.get("/channels").text
    assert disp.post("/api/v1/channels/phone/test").json()["error"]["code"] == "no_person_behind"
    assert visit("g01").post("/api/v1/channels/phone/test").status_code == 403
    assert visit().post("/channels/test", data={"channel": "phone"}).status_code in (303, 401)


@pytest.mark.parametrize(("why", "listed"), [("not_sent_in_time", True), ("dispatched_anew", False)])
def test_only_what_should_have_gone_out_is_listed_as_failed(town: Town, visit: Visit, why: str, listed: bool) -> None:
    town.alert()
    with writing(town.engine) as connection:
        connection.execute(update(notice).values(state="expired", error=why))
    assert (town.ticket()["number"] in visit("disp").get("/channels").text) == listed
