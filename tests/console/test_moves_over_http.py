"""Every move of the table from the desk's page: its button, its words, what comes with it, how a refusal looks."""

import re

import pytest

from alerts.lifecycle import ROWS, STATUS_WORDS
from console.acting import BUTTONS
from console.language import LANGUAGES, texts
from core.clock import DAY, HOUR, SHANGHAI, SystemClock, local
from detectors.words import Severity
from tests.console.console_scene import Town, Visit

BY_PEOPLE = {row.action for row in ROWS if row.transition.roles - {"platform"}}


def entered(in_future: int) -> str:
    """A local time as a browser's field gives it."""
    return f"{local(SystemClock().now() + in_future, SHANGHAI):%Y-%m-%dT%H:%M}"


def carry(town: Town, visit: Visit, *actions: str) -> str:
    """A warning's ticket, carried on by the desk; its number."""
    town.alert("WTR-0001", "flood.road", Severity.WARNING, 8.0, 5.0)
    desk, number = visit("disp"), str(town.ticket()["number"])
    for action in actions:
        assert desk.post(f"/tickets/{number}/moves/{action}").status_code == 303, action
    return number


def test_every_move_that_people_may_make_has_its_button() -> None:
    assert set(BUTTONS) == BY_PEOPLE


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_move_is_named_as_the_table_names_it_and_says_that_it_was_done(language: str) -> None:
    known = texts(language)
    for row in ROWS:
        assert known[f"action.{row.action}"]
    for action in BY_PEOPLE:
        assert known[f"done.{action}"]
        assert known[f"because.{action}_by_hand"]
    for status in STATUS_WORDS:
        assert known[f"status.{status}"]
    if language == "zh":
        assert {row.action: known[f"action.{row.action}"] for row in ROWS} == {row.action: row.words.zh for row in ROWS}


def test_a_suspension_is_asked_for_granted_as_asked_and_ended_by_hand(town: Town, visit: Visit) -> None:
    number, desk = carry(town, visit, "accept"), visit("disp")
    until = entered(3 * DAY)
    asked = desk.post(f"/tickets/{number}/moves/ask_suspension", data={"opinion": "等待配件", "until": until})
    assert asked.headers["location"].endswith("done=ask_suspension")
    page = desk.get(f"/tickets/{number}").text
    assert "申请挂账" in page
    assert "等待配件" in page
    assert 'data-action="suspend-asked"' in page
    assert desk.post(f"/tickets/{number}/moves/suspend", data={"opinion": "同意"}).status_code == 303
    about = town.ticket()
    assert about["status"] == "suspended"
    assert f"{local(about['resume_at'], SHANGHAI):%Y-%m-%dT%H:%M}" == until
    assert "之后恢复为“已接单”" in desk.get(f"/tickets/{number}").text
    assert desk.post(f"/tickets/{number}/moves/resume").status_code == 303
    assert town.ticket()["status"] == "accepted"


def test_an_extension_is_refused_with_a_reason_and_another_granted(town: Town, visit: Visit) -> None:
    number, desk = carry(town, visit, "accept"), visit("disp")
    path = f"/tickets/{number}/moves"
    assert 'data-action="refuse_extension"' not in desk.get(f"/tickets/{number}").text
    assert desk.post(f"{path}/ask_extension", data={"opinion": "水未退"}).status_code == 303
    assert 'data-action="refuse_extension"' in desk.get(f"/tickets/{number}").text
    assert desk.post(f"{path}/refuse_extension", data={"opinion": "加派人手"}).status_code == 303
    before = town.ticket()["done_by"]
    assert desk.post(f"{path}/extend").status_code == 303
    assert town.ticket()["done_by"] > before
    assert town.ticket()["extensions"] == 1


def test_a_supervision_is_owed_an_answer_until_it_comes(town: Town, visit: Visit) -> None:
    number, desk = carry(town, visit, "accept"), visit("disp")
    until = {"opinion": "今日办结", "until": entered(2 * HOUR)}
    assert desk.post(f"/tickets/{number}/moves/supervise", data=until).status_code == 303
    page = desk.get(f"/tickets/{number}").text
    assert "等待回复" in page
    assert 'data-action="reply"' in page
    assert desk.post(f"/tickets/{number}/moves/reply", data={"opinion": "正在抽水"}).status_code == 303
    page = desk.get(f"/tickets/{number}").text
    assert 'data-action="reply"' not in page
    assert "正在抽水" in page


def test_a_refusal_keeps_what_was_entered(town: Town, visit: Visit) -> None:
    number, desk = carry(town, visit, "accept"), visit("disp")
    wrong = desk.post(f"/tickets/{number}/moves/suspend", data={"opinion": "等待<配件>", "until": entered(-HOUR)})
    assert wrong.status_code == 409
    assert "截止时间须在" in wrong.text
    opened = re.search(r"<details open>.*?</details>", wrong.text, re.DOTALL)
    assert opened
    assert 'value="等待&lt;配件&gt;"' in opened[0]
    assert desk.post(f"/tickets/{number}/moves/suspend", data={"opinion": "x", "until": "nonsense"}).status_code == 409


def test_a_ticket_goes_on_in_another(town: Town, visit: Visit) -> None:
    number, desk = carry(town, visit), visit("disp")
    town.alert("GAS-0001", "gas.leak", Severity.ALARM, 30.0, 20.0)
    other = town.ticket(2)["number"]
    assert f'<option value="{number}"' in desk.get(f"/tickets/{other}").text
    assert "请选择要并入的工单" in desk.post(f"/tickets/{other}/moves/merge").text
    wrong = desk.post(f"/tickets/{other}/moves/merge", data={"into_number": "20000101-0001"})
    assert "没有这个工单" in wrong.text
    merged = desk.post(f"/tickets/{other}/moves/merge", data={"into": number})
    assert merged.headers["location"] == f"/tickets/{number}?done=merge"
    assert town.ticket(2)["merged_into"] == 1
    for one, another in ((number, other), (other, number)):
        assert f'href="/tickets/{another}"' in desk.get(f"/tickets/{one}").text
