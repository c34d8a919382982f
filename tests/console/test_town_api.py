"""Drills, categories and class codes by program: rights, what is refused and why."""

from alerts.categories import categories, class_codes, ensure_categories
from core.clock import MINUTE
from core.database import reading, writing
from tests.console.console_scene import Town, Visit


def test_a_drill_by_program_from_its_plan_to_its_report(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    plan = {"name": "季度演练", "teams": ["T-G01"], "days": [1], "window": 30 * MINUTE}
    made = disp.post("/api/v1/drills", json=plan).json()
    assert (made["name"], made["schedule"]["days"], made["next_at"] > town.clock.now()) == ("季度演练", [1], True)
    assert disp.post("/api/v1/drills", json=plan).json()["id"] == made["id"]
    begun = disp.post(f"/api/v1/drills/{made['id']}/start").json()
    shown = disp.get(f"/api/v1/drills/runs/{begun['id']}").json()
    assert {each["person"] for each in shown["calls"]} == {"G01-01", "G01-02"}
    assert shown["report"] is None
    assert disp.post(f"/api/v1/drills/runs/{begun['id']}/end").json()["report"]
    assert [each["id"] for each in disp.get("/api/v1/drills").json()["drills"][0]["runs"]] == [begun["id"]]
    assert disp.delete(f"/api/v1/drills/{made['id']}").json() == {"done": True}
    assert disp.get("/api/v1/drills").json() == {"drills": []}


def test_what_is_wrong_with_a_drill_is_said(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    for more, code in (
        ({"name": ""}, "needs_name"),
        ({"teams": ["T-99"]}, "no_such_group"),
        ({"window": 1}, "bad_window"),
        ({"at": "25:00"}, "bad_schedule"),
    ):
        refused = disp.post("/api/v1/drills", json={"name": "x", **more})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, code)
    assert disp.post("/api/v1/drills", json={"name": "x", "colour": "red"}).status_code == 422
    assert disp.post("/api/v1/drills/99/start").json()["error"]["code"] == "no_such_drill"
    assert disp.get("/api/v1/drills/runs/99").status_code == 404
    assert visit("g01").get("/api/v1/drills").status_code == 403


def test_only_an_admin_edits_categories_and_codes(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        ensure_categories(connection)
    admin, wanted = visit("root"), {"name_en": "River patrol", "acceptance": "both", "place": 5}
    for who in ("disp", "g01"):
        assert visit(who).put("/api/v1/categories/河道巡查", json=wanted).status_code == 403
        assert visit(who).delete("/api/v1/classes/01").status_code == 403
    assert admin.put("/api/v1/categories/河道巡查", json=wanted).json() == {"done": True}
    code = {"name": "堤防", "name_en": "Dyke"}
    with reading(town.engine) as connection:
        (made,) = (each for each in categories(connection) if each.name == "河道巡查")
        known = {each.code for each in class_codes(connection)}
    assert (made.acceptance, made.place) == ("both", 5)
    one = sorted(known)[0]
    assert admin.put(f"/api/v1/classes/{one}", json=code).json() == {"done": True}
    assert admin.put("/api/v1/classes/!!", json=code).json()["error"]["code"] == "bad_class_code"
    assert admin.delete("/api/v1/categories/没有").json()["error"]["code"] == "unknown_category"
    assert admin.delete("/api/v1/categories/河道巡查").json() == {"done": True}
