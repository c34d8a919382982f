"""Takes the documents' screenshots of a running demonstration: `python docs/screenshots.py` (Debian's Chromium)."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parent / "screenshots"
CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SHOWN_AFTER = 45.0  # s: by then every incident has its ticket
_STORED_AFTER = 150.0  # s: by then two whole minutes are stored
_GAS = {"zh": "可燃气体", "en": "Combustible gas"}
_TRIED = """\
overrides:
  - {rule: gas.leak, device_type: gas, limits: {alarm: 10}}
  - {rule: electrical.cable_temperature, device_type: electrical, limits: {alarm: 40, critical: 60}}
  - {rule: electrical.cable_rise, device_type: electrical, limits: {warning: 60}}
"""
_PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}
_HALL = {"viewport": {"width": 1920, "height": 1080}}


def wait_for_welcome(log: Path) -> tuple[str, str]:
    """The address and the password that the demonstration prints."""
    for _ in range(240):
        text = log.read_text(encoding="utf-8")
        address, password = re.search(r"(http://127\.0\.0\.1:\d+)", text), re.search(r"dispatcher / (\S+)", text)
        if address and password:
            return address[1], password[1]
        time.sleep(0.5)
    sys.exit(f"the demonstration did not start:\n{log.read_text(encoding='utf-8')}")


def sign_in(
    browser: Browser, address: str, password: str, language: str, who: str = "dispatcher", home: str = "/"
) -> Page:
    """A page of the dispatcher's or another's, in this language."""
    page = browser.new_context(**_HALL).new_page()
    page.goto(address)
    if language == "en":
        page.get_by_role("button", name="English").click()
    page.fill("input[name=username]", who)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(address + home)
    return page


def administrator(state: str) -> str:
    """An administrator's one-time password, made by the command as anybody would."""
    command = [sys.executable, "-m", "shouwang", "account", "add", "admin", "--role", "admin"]
    made = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment(state))
    return made.stdout.split("/")[1].split()[0]


def take_backtest(browser: Browser, address: str, once: str) -> None:
    """Try a rule pack on what the demonstration has stored so far; its result."""
    page = sign_in(browser, address, once, "zh", "admin", "/password")
    page.fill("input[name=old]", once)
    page.fill("input[name=new]", once[::-1])
    page.fill("input[name=again]", once[::-1])
    page.press("input[name=again]", "Enter")
    page.wait_for_url(address + "/")
    page.goto(address + "/backtests")
    page.fill("textarea[name=rules]", _TRIED)
    page.click("form[action='/backtests'] button")
    page.locator(".narrow").wait_for(timeout=120_000)
    page.screenshot(path=FOLDER / "backtest.png", full_page=True)
    page.get_by_role("button", name="English").click()
    page.locator(".narrow").wait_for()
    page.screenshot(path=FOLDER / "backtest.en.png", full_page=True)


def _environment(state: str) -> dict[str, str]:
    return {**os.environ, "COLUMNS": "120", "SHOUWANG_STATE": state}


def take(browser: Browser, address: str, password: str, language: str) -> None:
    """The hall, the gas leak's ticket, gateways, dead letters, rules, and a patroller's phone."""
    ending = "" if language == "zh" else f".{language}"
    page = sign_in(browser, address, password, language)
    page.wait_for_timeout(3000)
    page.screenshot(path=FOLDER / f"dispatcher{ending}.png")
    page.locator("a[href^='/tickets/']", has_text=_GAS[language]).first.click()
    page.wait_for_timeout(2000)
    page.screenshot(path=FOLDER / f"ticket{ending}.png", full_page=True)
    for name in ("gateways", "rejects", "rules"):
        page.goto(f"{address}/{name}")
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / f"{name}{ending}.png")
    page.goto(address + "/phone")
    link = page.locator("a[href*='/t/']").first.get_attribute("href")
    phone = browser.new_context(**_PHONE).new_page()
    phone.goto(f"{address}{link}" if link and link.startswith("/") else str(link))
    if language == "en":
        phone.get_by_role("button", name="English").click()
    phone.wait_for_timeout(500)
    phone.screenshot(path=FOLDER / f"patroller{ending}.png")


def main() -> None:
    """Run the demonstration, wait until every incident shows, and take the pictures in both languages."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        tempfile.NamedTemporaryFile("w", suffix=".log") as log,
        sync_playwright() as playwright,
    ):
        command = [sys.executable, "-m", "shouwang", "demo", "--state", state, "--port", "0"]
        demo = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=_environment(state))
        try:
            address, password = wait_for_welcome(Path(log.name))
            begun = time.monotonic()
            time.sleep(_SHOWN_AFTER)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
            for language in ("zh", "en"):
                take(browser, address, password, language)
            time.sleep(max(0.0, begun + _STORED_AFTER - time.monotonic()))
            take_backtest(browser, address, administrator(state))
            browser.close()
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(30)


if __name__ == "__main__":
    main()
