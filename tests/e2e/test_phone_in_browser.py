"""A patroller's phone in a real browser: what a tap did is to be seen, and so is that it did not get through."""

from playwright.sync_api import Browser, Page, Route, expect

from tests.console.console_scene import Town, console_on
from tests.e2e.test_browser import Watched, chromium, tap, town

__all__ = ["chromium", "town"]


def phone_with_link(browser: Browser, town: Town, url: str) -> Watched:
    """A phone that has a ticket's personal link open."""
    town.alert()
    town.send_notices(url)
    phone = Watched(browser, url, 390, 700)
    phone.page.goto(f"{url}/phone?person=G01-01")
    phone.page.get_by_role("link", name="打开工单").first.click()
    return phone


def covered(page: Page, role: str) -> float:
    """How many pixels of what is said lie under the page's header."""
    said, header = page.get_by_role(role).first.bounding_box(), page.locator("header.top").bounding_box()  # type: ignore[arg-type]
    assert said is not None
    assert header is not None
    return max(0.0, header["y"] + header["height"] - said["y"])


def test_what_a_tap_did_is_not_hidden_by_the_header(chromium: Browser, town: Town) -> None:
    with console_on(town) as url:
        phone = phone_with_link(chromium, town, url)
        tap(phone.page, "accept")
        expect(phone.page.get_by_role("status")).to_contain_text("已接单")
        assert covered(phone.page, "status") == 0
        phone.context.close()


def test_a_tap_without_network_says_so_and_the_next_one_counts(chromium: Browser, town: Town) -> None:
    with console_on(town) as url:
        phone = phone_with_link(chromium, town, url)
        phone.context.set_offline(True)
        tap(phone.page, "accept")
        expect(phone.page.get_by_role("alert")).to_contain_text("没有收到回应")
        assert covered(phone.page, "alert") == 0
        phone.context.set_offline(False)
        tap(phone.page, "accept")
        expect(phone.page.get_by_role("status")).to_contain_text("已接单")
        expect(phone.page.get_by_role("alert")).to_have_count(0)
        phone.context.close()


def test_a_link_that_ran_out_meanwhile_is_told_beside_the_ticket(chromium: Browser, town: Town) -> None:
    with console_on(town) as url:
        phone = phone_with_link(chromium, town, url)

        def run_out(route: Route) -> None:
            route.continue_(url=f"{url}/t/aaaaaaaaaaaaa/accept")

        phone.page.route("**/accept", run_out)
        tap(phone.page, "accept")
        expect(phone.page.get_by_role("alert")).to_contain_text("链接无效或已过期")
        expect(phone.page.locator(".card")).to_have_count(1)
        phone.context.close()


def test_a_server_in_trouble_is_told(chromium: Browser, town: Town) -> None:
    with console_on(town) as url:
        phone = phone_with_link(chromium, town, url)
        phone.page.route("**/accept", lambda route: route.fulfill(status=500, body="Internal Server Error"))
        tap(phone.page, "accept")
        expect(phone.page.get_by_role("alert")).to_contain_text("没有收到回应")
        phone.context.close()
