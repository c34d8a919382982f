"""A dispatcher and a patroller in a real browser: an alert appears by itself and is carried to its closing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core.clock import SystemClock
from core.database import open_engine
from tests.console.console_scene import PASSWORD, Town, console_on

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; its absence skips on a laptop and fails in CI."""
    if not CHROMIUM.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium")
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def town(sqlite_template: Path, tmp_path: Path) -> Iterator[Town]:
    path = tmp_path / "town.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    yield Town(engine, SystemClock())
    engine.dispose()


class Watched:
    """A page of its own context that notes every request that leaves the machine and every script error."""

    def __init__(self, browser: Browser, url: str, width: int, height: int) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("request", lambda asked: self._watch(asked.url, url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    def _watch(self, asked: str, own: str) -> None:
        if not asked.startswith((own, "data:")):
            self.complaints.append(f"asked for {asked}")


def sign_in(page: Page, url: str, username: str) -> None:
    page.goto(url)
    page.get_by_label("用户名").fill(username)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()


def tap(page: Page, action: str) -> None:
    page.locator(f'[data-action="{action}"]').first.click()


def test_an_alert_is_carried_from_the_hall_to_its_closing(chromium: Browser, town: Town) -> None:
    with console_on(town) as url:
        hall = Watched(chromium, url, 1920, 1080)
        sign_in(hall.page, url, "disp")
        expect(hall.page.locator("[data-link]")).to_have_text("实时")
        expect(hall.page.locator(".ticket")).to_have_count(0)
        hall.page.evaluate("window.sameDocument = true")

        town.alert()
        town.send_notices(url)
        expect(hall.page.locator(".ticket")).to_have_count(1)
        expect(hall.page.locator("[data-announce]")).to_contain_text("可燃气体")
        expect(hall.page.locator('[data-figure="open_alerts"] dd')).to_have_text("1")
        assert hall.page.evaluate("window.sameDocument") is True
        hall.page.locator(".ticket a").click()
        expect(hall.page.get_by_role("heading", level=1)).to_contain_text("可燃气体泄漏")

        phone = Watched(chromium, url, 390, 844)
        phone.page.goto(f"{url}/phone?person=G01-01")
        phone.page.get_by_role("link", name="打开工单").first.click()
        for action, said in (("accept", "已接单"), ("arrive", "已登记到场"), ("handle", "已登记处置完成")):
            tap(phone.page, action)
            expect(phone.page.get_by_role("status")).to_contain_text(said)
        wider = phone.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0

        for action, said in (("check", "已核查"), ("close", "已结案")):
            tap(hall.page, action)
            expect(hall.page.get_by_role("status")).to_contain_text(said)
        expect(hall.page.locator(".steps .now")).to_contain_text("已结案")
        assert hall.complaints + phone.complaints == []
        hall.context.close()
        phone.context.close()


def test_a_patroller_acts_without_scripts(chromium: Browser, town: Town) -> None:
    town.alert()
    with console_on(town) as url:
        context = chromium.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False)
        page = context.new_page()
        sign_in(page, url, "g01")
        for action, said in (("accept", "已接单"), ("arrive", "已登记到场"), ("handle", "已登记处置完成")):
            tap(page, action)
            expect(page.get_by_role("status")).to_contain_text(said)
        context.close()


def test_the_hall_goes_on_after_the_connection_was_cut(chromium: Browser, town: Town) -> None:
    with console_on(town) as url:
        hall = Watched(chromium, url, 1366, 768)
        sign_in(hall.page, url, "disp")
        expect(hall.page.locator("[data-link]")).to_have_text("实时")
        hall.context.set_offline(True)
        expect(hall.page.locator("[data-link]")).to_have_text("连接中断，正在重连")
        town.alert()
        hall.context.set_offline(False)
        expect(hall.page.locator(".ticket")).to_have_count(1)
        expect(hall.page.locator("[data-link]")).to_have_text("实时")
        hall.context.close()
