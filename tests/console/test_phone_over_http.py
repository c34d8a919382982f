"""What phones send besides moves: photos, positions, requests, answers to drills, reports of their own."""

from typing import Any

import pytest
from sqlalchemy import select

from alerts import drills
from alerts.case_tables import photo, ticket_request
from alerts.categories import ensure_categories
from alerts.escalation_tables import drill_call, position
from alerts.moves import move
from alerts.pictures_sent import MOST_BYTES
from alerts.tables import delivery, notice, ticket, ticket_log
from core.clock import DAY, SECOND, local
from core.database import reading, writing
from tests.alerts.notices.notice_rows import make_link
from tests.console.console_scene import LAT, LNG, SIDE, Town, Visit
from tests.console.pictures import jpeg

HERE = {"lng": str(LNG + SIDE / 2), "lat": str(LAT + SIDE / 2 + 0.001), "accuracy": "12"}
JSON = {"Accept": "application/json"}


def code_for(town: Town, person: str = "G01-01", ticket_id: int = 1) -> str:
    with writing(town.engine) as connection:
        return make_link(connection, person, ticket_id, town.clock.now())


def found(town: Town, table: Any) -> list[dict[str, Any]]:
    with reading(town.engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def number_of(town: Town) -> str:
    return str(town.ticket()["number"])


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("photo", ("photo.jpg", content, "image/jpeg")) for content in contents]


def accepted(town: Town, who: str = "G01-01") -> None:
    town.alert()
    with writing(town.engine) as connection:
        move(connection, town.view, 1, "accept", who, town.clock.now())


# Photos


def test_a_plain_form_keeps_photos_of_ones_ticket(town: Town, visit: Visit) -> None:
    accepted(town)
    answer = visit("g01").post(f"/m/tickets/{number_of(town)}/photos", files=files(jpeg(), jpeg(shade=9)))
    assert answer.headers["location"] == "/m?done=photo"
    rows = found(town, photo)
    assert [(row["who"], row["stage"], row["media_type"]) for row in rows] == [("G01-01", "accepted", "image/jpeg")] * 2


def test_a_script_is_answered_in_json_and_may_repeat_itself(town: Town, visit: Visit) -> None:
    accepted(town)
    sent = {"taken": "1790000000000", **HERE}
    for _ in range(2):  # the answer of the first was lost on the way
        answer = visit().post(f"/t/{code_for(town)}/photos", files=files(jpeg()), data=sent, headers=JSON)
        assert answer.json() == {"kept": [1]}
    (row,) = found(town, photo)
    assert row["taken_at"] == 1_790_000_000 * SECOND
    assert row["lng"] == pytest.approx(LNG + SIDE / 2)


def test_what_is_no_picture_is_refused_in_words_and_in_json(town: Town, visit: Visit) -> None:
    accepted(town)
    where = f"/t/{code_for(town)}/photos"
    page = visit().post(where, files=files(b"no picture"))
    assert page.status_code == 409
    assert "不是 JPEG" in page.text
    answer = visit().post(where, files=files(b"no picture"), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_picture")
    large = visit().post(where, files=files(b"\xff\xd8\xff" + bytes(MOST_BYTES)), headers=JSON)
    assert large.json()["error"]["code"] == "too_large"


def test_a_form_without_a_photo_keeps_nothing(town: Town, visit: Visit) -> None:
    accepted(town)
    empty = [("photo", ("", b"", "application/octet-stream"))]
    assert visit().post(f"/t/{code_for(town)}/photos", files=empty).status_code in (303, 422)
    assert found(town, photo) == []


def test_nobody_adds_photos_to_anothers_ticket_nor_sees_them(town: Town, visit: Visit) -> None:
    town.alert("GAS-0009")
    with writing(town.engine) as connection:
        connection.execute(ticket.update().values(team=None, assignment={}))  # by day the only patrol is sent there too
        connection.execute(delivery.delete())
        connection.execute(notice.delete())
    answer = visit("g01").post(f"/m/tickets/{number_of(town)}/photos", files=files(jpeg()))
    assert answer.status_code == 409
    assert found(town, photo) == []
    assert visit("g01").get(f"/m/tickets/{number_of(town)}/photos/1").status_code == 404


def test_a_link_shows_its_own_tickets_photos_only(town: Town, visit: Visit) -> None:
    accepted(town)
    town.alert("GAS-0009")
    visit().post(f"/t/{code_for(town)}/photos", files=files(jpeg()))
    shown = visit().get(f"/t/{code_for(town)}/photos/1")
    assert (shown.headers["content-type"], shown.content) == ("image/jpeg", jpeg())
    assert visit().get(f"/t/{code_for(town, 'G01-01', 2)}/photos/1").status_code == 404
    assert visit().get("/t/abcdefghijkmn/photos/1").status_code == 404


# Positions


def test_an_arrival_says_how_near_the_phone_was(town: Town, visit: Visit) -> None:
    accepted(town)
    visit().post(f"/t/{code_for(town)}/arrive", data=HERE)
    said = [row["opinion"] for row in found(town, ticket_log) if row["action"] == "arrive"]
    assert said == ["定位距现场 111 米（精度 ±12 米）"]
    assert [row["person"] for row in found(town, position)] == ["G01-01"]


def test_an_arrival_without_a_position_says_nothing_of_it(town: Town, visit: Visit) -> None:
    accepted(town)
    visit().post(f"/t/{code_for(town)}/arrive")
    assert [row["opinion"] for row in found(town, ticket_log) if row["action"] == "arrive"] == [""]
    assert found(town, position) == []


def test_a_shared_position_is_kept_until_its_owner_forgets_it(town: Town, visit: Visit) -> None:
    phone = visit("g01")
    assert phone.post("/m/position", data=HERE).json() == {"position": "kept"}
    assert "data-forget" in phone.get("/m").text
    assert phone.post("/m/position/forget").headers["location"] == "/m?done=forgotten"
    assert found(town, position) == []
    assert "data-forget" not in phone.get("/m").text


def test_a_link_shares_its_persons_position(town: Town, visit: Visit) -> None:
    town.alert()
    code = code_for(town, "G01-02")
    assert (
        visit().post(f"/t/{code}/position", data={**HERE, "lng": "0", "lat": "0"}).json()["position"] == "implausible"
    )
    assert visit().post(f"/t/{code}/position", data=HERE).json()["position"] == "kept"
    assert [row["person"] for row in found(town, position)] == ["G01-02"]
    visit().post(f"/t/{code}/position/forget")
    assert found(town, position) == []


def test_pages_may_ask_where_the_phone_is(visit: Visit) -> None:
    assert "geolocation=(self)" in visit().get("/signin").headers["permissions-policy"]


# Requests and answers


def test_an_extension_and_a_suspension_are_asked_for_from_the_phone(town: Town, visit: Visit) -> None:
    accepted(town)
    phone, where = visit("g01"), f"/m/tickets/{number_of(town)}"
    until = f"{local(town.clock.now() + DAY):%Y-%m-%dT%H:%M}"
    assert phone.post(f"{where}/ask_extension", data={"opinion": "配件未到"}).status_code == 303
    assert phone.post(f"{where}/ask_suspension", data={"opinion": "等待停电", "until": until}).status_code == 409
    rows = found(town, ticket_request)
    assert [(row["kind"], row["reason"], row["asked_by"]) for row in rows] == [("extension", "配件未到", "G01-01")]
    assert "等待审批" in phone.get("/m").text


def test_a_request_without_a_reason_is_refused(town: Town, visit: Visit) -> None:
    accepted(town)
    answer = visit().post(f"/t/{code_for(town)}/ask_extension", data={"opinion": " "})
    assert answer.status_code == 409
    assert "请写明原因" in answer.text


def test_a_supervision_is_answered_from_the_phone(town: Town, visit: Visit) -> None:
    accepted(town)
    with writing(town.engine) as connection:
        move(connection, town.view, 1, "supervise", "disp", town.clock.now(), opinion="尽快", role="dispatcher")
    phone = visit("g01")
    assert "督办" in phone.get("/m").text
    assert phone.post(f"/m/tickets/{number_of(town)}/reply", data={"opinion": "半小时到"}).status_code == 303
    assert town.ticket()["replied_at"] is not None


def test_a_false_alarm_has_a_cause_that_judges_of_rules_know(town: Town, visit: Visit) -> None:
    accepted(town)
    phone, where = visit("g01"), f"/m/tickets/{number_of(town)}"
    phone.post(f"{where}/arrive")
    assert phone.post(f"{where}/false_alarm", data={"cause": "nonsense"}).status_code == 409
    assert phone.post(f"{where}/false_alarm", data={"cause": "works"}).status_code == 303
    assert town.ticket()["result_cause"] == "works"


def test_a_drill_is_answered_by_the_links_button(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        held = drills.define(connection, town.view, "季度演练", "disp", town.clock.now(), ["T-G01"])
        run = drills.start(connection, town.view, held["id"], town.clock.now())
    code = code_for(town, "G01-01", run["ticket"])
    page = visit().get(f"/t/{code}").text
    assert "应答演练" in page
    assert "演练" in page.split("<h2")[0]
    assert visit().post(f"/t/{code}/accept").status_code == 303
    replied = {row["person"]: row["replied_at"] for row in found(town, drill_call)}
    assert replied["G01-01"] is not None
    assert replied["G01-02"] is None
    assert 'data-action="accept"' not in visit().get(f"/t/{code}").text
    assert "应答演练" in visit("g02").get("/m").text


def test_a_neighbour_sees_what_they_accepted(town: Town, visit: Visit) -> None:
    town.alert("GAS-0009")
    with writing(town.engine) as connection:
        connection.execute(ticket.update().values(status="accepted", accepted_by="G01-02", accepted_at=1, team=None))
    assert number_of(town) in visit("g02").get("/m").text
    assert number_of(town) not in visit("g01").get("/m").text


# Reports

REPORT = {"title": "井盖破损", "category": "城市管理", "class_code": "C01-02", "severity": "2", "description": "路中间"}


@pytest.fixture
def sorted_by_category(town: Town) -> None:
    with writing(town.engine) as connection:
        ensure_categories(connection)


def test_a_patroller_reports_what_they_saw(town: Town, visit: Visit, sorted_by_category: None) -> None:
    phone = visit("g01")
    assert "污水井盖" in phone.get("/m/report").text
    answer = phone.post("/m/report", data={**REPORT, **HERE})
    row = town.ticket()
    assert answer.headers["location"] == f"/m/reports/{row['number']}?done=reported"
    assert (row["source"], row["status"], row["grid"], row["class_code"]) == ("patrol", "reported", "G01", "C01-02")
    assert row["reporter"] == "网格员 G01-01"
    assert "井盖破损" in phone.get("/m").text
    assert "已上报" in phone.get(answer.headers["location"]).text


def test_a_report_without_a_category_keeps_what_was_entered(town: Town, visit: Visit, sorted_by_category: None) -> None:
    answer = visit("g01").post("/m/report", data={**REPORT, "category": ""})
    assert answer.status_code == 409
    assert 'value="井盖破损"' in answer.text
    assert found(town, ticket) == []


def test_the_reporter_adds_photos_and_nobody_else_sees_the_report(
    town: Town, visit: Visit, sorted_by_category: None
) -> None:
    visit("g01").post("/m/report", data=REPORT)
    where = f"/m/tickets/{number_of(town)}/photos"
    assert visit("g01").post(where, files=files(jpeg())).status_code == 303
    assert visit("g02").post(where, files=files(jpeg(shade=3))).status_code == 409
    assert visit("g02").get(f"/m/reports/{number_of(town)}").status_code == 404


def test_an_account_without_a_person_can_report_nothing(visit: Visit, sorted_by_category: None) -> None:
    assert visit("disp").get("/m/report").status_code == 404
    assert visit("disp").post("/m/report", data=REPORT).status_code == 404
