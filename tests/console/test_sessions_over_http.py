"""Signing in and out over HTTP: cookies, roles, one-time passwords, other origins, throttling, headers."""

import httpx
import pytest

from console.app import create_app
from tests.console.console_scene import PASSWORD, Town, Visit, free_port, serving

PAGES = (
    "/",
    "/queue",
    "/alerts",
    "/gateways",
    "/rejects",
    "/tickets/20260101-0001",
    "/sites/S01",
    "/devices/GAS-0001",
    "/m",
)
API = ("/api/v1/state", "/api/v1/shapes", "/api/v1/tickets", "/api/v1/series/0?since=0&until=1", "/api/v1/changes")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_sends_a_stranger_to_the_sign_in(visit: Visit, path: str) -> None:
    answer = visit().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin")


@pytest.mark.parametrize("path", API)
def test_the_api_refuses_a_stranger_in_both_languages(visit: Visit, path: str) -> None:
    answer = visit().get(path)
    assert answer.status_code == 401
    assert answer.json()["error"] == {"code": "sign_in", "zh": "请先登录", "en": "Please sign in"}


def test_a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(visit: Visit) -> None:
    answer = visit().post("/signin", data={"username": "disp", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert answer.headers["location"] == "/"


def test_behind_https_the_cookie_is_secure(town: Town) -> None:
    port = free_port()
    with serving(create_app(town.services("https://town.example")), port):
        signin = f"http://127.0.0.1:{port}/signin"
        form = {"username": "disp", "password": PASSWORD}
        answer = httpx.post(signin, headers={"Origin": "https://town.example"}, data=form)
    assert "; secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("path", "status"), [("/", 303), ("/alerts", 403), ("/tickets/1", 403), ("/api/v1/state", 403), ("/m", 200)]
)
def test_a_patroller_sees_only_the_patrollers_page(visit: Visit, path: str, status: int) -> None:
    answer = visit("g01").get(path)
    assert answer.status_code == status
    if status == 303:
        assert answer.headers["location"] == "/m"


def test_a_one_time_password_must_be_changed_first(visit: Visit) -> None:
    client = visit("fresh")
    assert client.get("/").headers["location"] == "/password"
    assert client.get("/api/v1/state").status_code == 403
    differs = client.post("/password", data={"old": PASSWORD, "new": "another-password", "again": "different-one"})
    assert differs.status_code == 422
    done = client.post("/password", data={"old": PASSWORD, "new": "another-password", "again": "another-password"})
    assert done.status_code == 303
    assert client.get("/").status_code == 200


def test_signing_out_ends_the_session_itself(visit: Visit) -> None:
    client = visit("disp")
    token = client.cookies["shouwang_session"]
    client.post("/signout")
    again = visit()
    again.cookies.set("shouwang_session", token)
    assert again.get("/").status_code == 303


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "null"}, {"Origin": "https://elsewhere.example"}, {"Origin": "file://"}]
)
@pytest.mark.parametrize("path", ["/signin", "/signout", "/language", "/tickets/1/moves/close", "/t/abc/accept"])
def test_a_post_from_elsewhere_is_refused(url: str, path: str, headers: dict[str, str]) -> None:
    answer = httpx.post(url + path, headers=headers, data={"username": "disp", "password": PASSWORD})
    assert answer.status_code == 403
    assert "The request did not come from a page of this system" in answer.text


def test_a_large_body_is_refused_unread(visit: Visit) -> None:
    assert visit().post("/signin", data={"username": "x" * 100_000, "password": "y"}).status_code == 413


def test_guessing_is_slowed_down_even_for_the_right_password(visit: Visit) -> None:
    client = visit()
    wrong = [client.post("/signin", data={"username": "disp", "password": "wrong"}).status_code for _ in range(6)]
    assert wrong == [401] * 5 + [429]
    assert client.post("/signin", data={"username": "disp", "password": PASSWORD}).status_code == 429


@pytest.mark.parametrize("target", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example"])
def test_signing_in_goes_on_only_to_our_own_pages(visit: Visit, target: str) -> None:
    answer = visit().post("/signin", data={"username": "disp", "password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("path", ["/signin", "/", "/nope", "/api/v1/state", "/static/base.css", "/healthz"])
def test_every_answer_carries_the_security_headers(visit: Visit, path: str) -> None:
    headers = visit().get(path).headers
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_the_language_is_chinese_until_chosen_and_stays_with_the_account(visit: Visit) -> None:
    client = visit("disp")
    assert "指挥大厅" in client.get("/").text
    client.post("/language", data={"language": "en", "next": "/"})
    assert "Command hall" in client.get("/").text
    assert "Command hall" in visit("disp").get("/").text


def test_metrics_are_for_this_machine_and_health_for_everybody(visit: Visit) -> None:
    client = visit()
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/metrics").status_code == 200
