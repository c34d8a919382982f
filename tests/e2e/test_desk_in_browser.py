"""The desk in a real browser: a ticket's place by a click on the map; a full ticket fits a phone; no script errors."""

import pytest
from playwright.sync_api import Browser, expect

from alerts.categories import ensure_categories
from core.clock import DAY
from core.database import writing
from tests.console.console_scene import LAT, LNG, SIDE, Town, console_on
from tests.e2e.test_browser import Watched, chromium, sign_in, tap, town

__all__ = ["chromium", "town"]


def test_a_click_on_the_map_places_a_ticket_by_hand(chromium: Browser, town: Town) -> None:
    with writing(town.engine) as connection:
        ensure_categories(connection)
    with console_on(town) as url:
        desk = Watched(chromium, url, 1400, 900)
        sign_in(desk.page, url, "disp")
        desk.page.get_by_role("link", name="登记工单").click()
        desk.page.get_by_label("标题").fill("路灯不亮")
        desk.page.locator("#map .leaflet-tooltip", has_text="G05").wait_for()
        middle = desk.page.locator("#map").bounding_box()
        assert middle is not None
        desk.page.mouse.click(middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2 - 12)
        expect(desk.page.get_by_label("经度")).not_to_have_value("")
        desk.page.get_by_role("button", name="登记", exact=True).click()
        expect(desk.page.get_by_role("status")).to_contain_text("已登记，请受理")
        assert desk.complaints == []
        desk.context.close()
    made = town.ticket()
    assert (made["grid"], made["status"]) == ("G05", "reported")
    assert LNG + SIDE < made["lng"] < LNG + 2 * SIDE
    assert LAT + SIDE < made["lat"] < LAT + 2 * SIDE


@pytest.mark.parametrize("width", [390, 1400])
def test_a_ticket_with_everything_around_it_fits_the_screen(chromium: Browser, town: Town, width: int) -> None:
    town.alert()
    town.send_notices("http://127.0.0.1:1")
    with console_on(town) as url:
        desk = Watched(chromium, url, width, 844)
        sign_in(desk.page, url, "disp")
        desk.page.goto(f"{url}/tickets/{town.ticket()['number']}")
        desk.page.locator("summary", has_text="督办").click()
        desk.page.get_by_label("督办要求").fill("立即到场核实并回复")
        tap(desk.page, "supervise")
        expect(desk.page.get_by_role("status")).to_contain_text("等待回复")
        for panel in ("升级", "各环节计时", "现场照片", "派单依据"):
            expect(desk.page.get_by_role("heading", name=panel)).to_be_visible()
        assert desk.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert desk.complaints == []
        desk.context.close()
    assert town.ticket()["reply_by"] - town.ticket()["supervised_at"] <= 5 * DAY
