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
_GAS = {"zh": "可燃气体", "en": "Combustible gas"}
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


def sign_in(browser: Browser, address: str, password: str, language: str) -> Page:
    """A page of the dispatcher's, in this language."""
    page = browser.new_context(**_HALL).new_page()
    page.goto(address)
    if language == "en":
        page.get_by_role("button", name="English").click()
    page.fill("input[name=username]", "dispatcher")
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(address + "/")
    return page


def take(browser: Browser, address: str, password: str, language: str) -> None:
    """The hall, the gas leak's ticket, the gateways, the dead letters, and a patroller's phone."""
    ending = "" if language == "zh" else f".{language}"
    page = sign_in(browser, address, password, language)
    page.wait_for_timeout(3000)
    page.screenshot(path=FOLDER / f"dispatcher{ending}.png")
    page.locator("a[href^='/tickets/']", has_text=_GAS[language]).first.click()
    page.wait_for_timeout(2000)
    page.screenshot(path=FOLDER / f"ticket{ending}.png", full_page=True)
    for name in ("gateways", "rejects"):
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
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log, sync_playwright() as playwright:
        command = [sys.executable, "-m", "shouwang", "demo"]
        demo = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "COLUMNS": "120"})
        try:
            address, password = wait_for_welcome(Path(log.name))
            time.sleep(_SHOWN_AFTER)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
            for language in ("zh", "en"):
                take(browser, address, password, language)
            browser.close()
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(30)


if __name__ == "__main__":
    main()
