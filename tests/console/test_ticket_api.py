"""Tickets over the JSON API: made, moved, given photos, refused in both languages."""

from typing import Any

from alerts.categories import ensure_categories
from core.clock import DAY
from core.database import writing
from detectors.words import Severity
from tests.console.console_scene import LAT, LNG, Town, Visit
from tests.console.test_photos_over_http import picture

SAID: dict[str, Any] = {
    "source": "patrol",
    "title": "占道经营",
    "category": "城市管理",
    "lng": LNG + 0.005,
    "lat": LAT + 0.005,
}


def test_a_ticket_is_made_and_moved(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        ensure_categories(connection)
    desk = visit("disp")
    made = desk.post("/api/v1/tickets", json=SAID)
    assert (made.status_code, made.json()["grid"]) == (201, "G01")
    path = f"/api/v1/tickets/{made.json()['number']}"
    assert desk.get(path).json()["moves"][:1] == ["verify"]
    for action, status in (("verify", "verified"), ("register", "registered"), ("dispatch", "dispatched")):
        assert desk.post(f"{path}/moves/{action}", json={}).json()["status"] == status
    until = town.clock.now() + DAY
    suspended = desk.post(f"{path}/moves/suspend", json={"opinion": "等待商户", "until": until})
    assert suspended.json()["status"] == "suspended"
    about = desk.get(path).json()
    assert about["resume_at"] == until
    assert {each["state"] for each in about["timers"] if each["ended_at"] is None} == {"paused"}
    assert about["escalation"]["why"] == "suspended"
    assert desk.get("/api/v1/tickets?tab=suspended&source=patrol").json()["counts"]["suspended"] == 1


def test_a_refusal_names_its_reason_in_both_languages(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), town.ticket()["number"]
    refused = desk.post(f"/api/v1/tickets/{number}/moves/false_alarm", json={})
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "needs_cause"
    assert set(refused.json()["error"]) == {"code", "zh", "en"}
    early = desk.post(f"/api/v1/tickets/{number}/moves/close", json={}).json()["error"]
    assert (early["zh"], early["en"]) == (
        "工单现在是“已派遣”，不能结案",
        "The ticket is “Dispatched” now: “Close” is not possible",
    )
    assert desk.post(f"/api/v1/tickets/{number}/moves/send_back", json={}).status_code == 404
    assert desk.post(f"/api/v1/tickets/{number}/moves/void", json={"why": "x"}).status_code == 422
    assert desk.post("/api/v1/tickets", json=SAID | {"category": "无"}).json()["error"]["code"] == "unknown_category"
    assert visit("g01").post(f"/api/v1/tickets/{number}/moves/void", json={}).status_code == 403
    assert visit().post("/api/v1/tickets", json=SAID).status_code == 401


def test_a_ticket_is_merged_by_number(town: Town, visit: Visit) -> None:
    town.alert("WTR-0001", "flood.road", Severity.WARNING, 8.0, 5.0)
    town.alert("GAS-0002", "gas.leak", Severity.ALARM, 30.0, 20.0)
    desk, one, other = visit("disp"), town.ticket()["number"], town.ticket(2)["number"]
    path = f"/api/v1/tickets/{one}/moves/merge"
    assert desk.post(path, json={"into": "20000101-0001"}).json()["error"]["code"] == "unknown_ticket"
    assert desk.post(path, json={"into": other}).json()["status"] == "merged"
    assert [each["as_what"] for each in desk.get(f"/api/v1/tickets/{other}").json()["related"]] == ["merged_in"]


def test_a_photo_is_kept_once(town: Town, visit: Visit) -> None:
    town.alert()
    desk, path = visit("disp"), f"/api/v1/tickets/{town.ticket()['number']}/photos"
    first = desk.post(path, files={"photo": ("a.png", picture(), "image/png")}, data={"note": "现场"})
    again = desk.post(path, files={"photo": ("b.png", picture(), "image/png")})
    assert (first.status_code, first.json()["note"]) == (201, "现场")
    assert again.json()["id"] == first.json()["id"]
    assert desk.post(path, files={"photo": ("a.png", b"none", "image/png")}).json()["error"]["code"] == "no_picture"


def test_addresses_of_people_stay_out(town: Town, visit: Visit) -> None:
    town.alert()
    town.send_notices("http://127.0.0.1:1")
    found = visit("disp").get(f"/api/v1/tickets/{town.ticket()['number']}").json()
    assert found["notices"][0]["proof"] == "no_receipts"
    assert found["assignment"]["told"][0].keys() == {"kind", "code", "channel", "step"}
    assert "recipients" not in found["assignment"]
    for notice in found["notices"]:
        assert not {"address", "body"} & notice.keys()
        assert all("address" not in each for each in notice["tries"])
