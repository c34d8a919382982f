"""A WeCom application's own ways: tokens, members, doubles, buttons, pictures."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels import Outcome
from alerts.channels.transport import open_client
from alerts.channels.wecom_app import MARKDOWN_BYTES, WecomApp, judge
from core.clock import HOUR, MINUTE, SECOND
from tests.alerts.notices.notice_rows import NOW, outgoing
from tests.providers.provider import LATE_S, TIMEOUT_S, Answer, Provider, says
from tests.providers.wecom_app import MEMBER, SECRET, channel
from tests.providers.wecom_app import WecomApp as Server

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class Seconds:
    """The provider's clock, moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def provider(seconds: Seconds) -> Iterator[Server]:
    with Server(members=[MEMBER, "li.na"], unlicensed=["zhao"], seconds=seconds) as server:
        yield server


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with open_client(TIMEOUT_S) as opened:
        yield opened


@pytest.fixture
def app(client: httpx.Client, provider: Server) -> WecomApp:
    return channel(client, provider.url)


def paths(provider: Provider) -> list[str]:
    return [request.path.removeprefix("/cgi-bin/") for request in provider.requests]


def test_a_token_serves_until_shortly_before_its_end(app: WecomApp, provider: Server, seconds: Seconds) -> None:
    for minutes in (0, 30, 114):
        seconds.now = minutes * 60
        assert app.send(outgoing(MEMBER, 100 + minutes, at=NOW + minutes * MINUTE)).state == "accepted"
    assert paths(provider) == ["gettoken", *["message/send"] * 3]
    seconds.now = 116 * 60
    assert app.send(outgoing(MEMBER, 99, at=NOW + 116 * MINUTE)).state == "accepted"
    assert paths(provider)[-2:] == ["gettoken", "message/send"]


@pytest.mark.parametrize("refusal", [40014, 41001, 42001])
def test_a_refused_token_is_renewed_and_nothing_goes_twice(app: WecomApp, provider: Server, refusal: int) -> None:
    app.send(outgoing(MEMBER, 1))
    provider.script.append(says({"errcode": refusal, "errmsg": "access_token"}))
    assert app.send(outgoing(MEMBER, 2)).state == "accepted"
    assert len(provider.messages) == 2


def test_a_token_that_is_refused_again_is_left_for_later(app: WecomApp, provider: Server) -> None:
    provider.script.extend([says({"errcode": 42001, "errmsg": "expired"})] * 2)
    outcome = app.send(outgoing(MEMBER))
    assert (outcome.state, outcome.code) == ("retry", "42001")
    assert len(provider.requests) == 4


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (says({"errcode": 40001, "errmsg": "invalid credential"}), "failed"),
        (says({"errcode": 40013, "errmsg": "invalid corpid"}), "failed"),
        (says({"errcode": 60020, "errmsg": "not allow to access from your ip"}), "failed"),
        (says({"errcode": -1, "errmsg": "busy"}), "retry"),
        (says({"errcode": 45009, "errmsg": "freq"}), "retry"),
        (says({"errcode": 0, "errmsg": "ok"}), "retry"),
        (Answer(b"<html>", 200), "retry"),
        (Answer(b"", 502), "retry"),
        (Answer(drop=True), "retry"),
        (Answer(delay_s=LATE_S), "retry"),
    ],
)
def test_without_a_token_nothing_was_sent(app: WecomApp, provider: Server, answer: Answer, state: str) -> None:
    provider.scripted_path = "/gettoken"
    provider.script.append(answer)
    outcome = app.send(outgoing(MEMBER))
    assert outcome.state == state
    assert outcome.detail
    assert SECRET not in f"{outcome}"
    assert provider.messages == []


def test_threads_share_one_token(app: WecomApp, provider: Server) -> None:
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda each: app.send(outgoing(MEMBER, each)), range(8)))
    assert {outcome.state for outcome in outcomes} == {"accepted"}, outcomes
    assert paths(provider).count("gettoken") == 1
    assert len(provider.messages) == 8


@pytest.mark.parametrize(("member", "code"), [("nobody", "invaliduser"), ("zhao", "unlicenseduser")])
def test_a_member_left_out_of_a_success_was_not_told(app: WecomApp, member: str, code: str) -> None:
    outcome = app.send(outgoing(member))
    assert (outcome.state, outcome.code) == ("failed", code)
    assert "member" in outcome.detail


def test_beyond_its_limit_the_provider_is_mute(app: WecomApp, provider: Server) -> None:
    """Why the limit must be kept here: nothing in the answer tells."""
    states = {app.send(outgoing(MEMBER, each)).state for each in range(35)}
    assert states == {"accepted"}
    assert len(provider.messages) == 30
    assert app.send(outgoing("li.na", 99)).state == "accepted"
    assert len(provider.messages) == 31


def test_a_double_is_one_for_four_hours(app: WecomApp, provider: Server, seconds: Seconds) -> None:
    for hour in (0.0, 1.0, 3.9):
        seconds.now = hour * 3600
        assert app.send(outgoing(MEMBER, at=NOW + int(hour * HOUR))).state == "accepted"
    assert len(provider.messages) == 1
    assert provider.messages[0]["duplicate_check_interval"] == 14_400


def test_another_link_does_not_make_it_another_card(app: WecomApp, provider: Server) -> None:
    app.send(outgoing(MEMBER, link="first"))
    assert app.send(outgoing(MEMBER, link="second")).state == "failed"
    assert len(provider.messages) == 1


def test_a_card_has_buttons_for_whom_they_are(app: WecomApp, provider: Server) -> None:
    app.send(outgoing(MEMBER, link="abc345"))
    card = provider.messages[0]["template_card"]
    assert [button.get("key") for button in card["button_list"]] == ["accept", "arrive", None]
    assert card["button_list"][2]["url"] == card["card_action"]["url"] == "https://town.example/t/abc345"
    assert card["task_id"] == "sw-7-41"
    for number, cause in enumerate(("recovered", "unassigned")):
        app.send(outgoing(MEMBER, number, cause=cause))
        assert provider.messages[-1]["template_card"]["card_type"] == "text_notice"


def test_nobody_arrives_at_a_drill(app: WecomApp, provider: Server) -> None:
    app.send(outgoing(MEMBER, link="abc345", drill=True))
    card = provider.messages[0]["template_card"]
    assert [button.get("key") for button in card["button_list"]] == ["accept", None]


def test_without_a_callback_a_card_has_no_buttons(client: httpx.Client) -> None:
    with Server(calls_back=False) as provider:
        assert channel(client, provider.url).send(outgoing(MEMBER)).state == "failed"
        assert channel(client, provider.url, buttons=False).send(outgoing(MEMBER)).state == "accepted"


def test_a_card_is_changed_once(app: WecomApp, provider: Server, client: httpx.Client) -> None:
    app.send(outgoing(MEMBER))
    code = provider._code("sw-7-41")
    assert app.update_card(MEMBER, code, "已接单", NOW).state == "accepted"
    assert provider.labels == {"sw-7-41": "已接单"}
    assert app.update_card(MEMBER, code, "已到场", NOW).state == "failed"


def test_a_list_fits_into_the_applications_markdown(app: WecomApp, provider: Server) -> None:
    notices = [outgoing(MEMBER, each, link=f"code{each}", place_zh="示例化工厂" * 50) for each in range(10)]
    assert app.send_several(notices).state == "accepted"
    content = provider.messages[0]["markdown"]["content"]
    assert MARKDOWN_BYTES * 0.8 < len(content.encode()) <= MARKDOWN_BYTES
    assert "https://town.example/t/code9" in content
    assert "需登录" not in content


def test_a_picture_is_uploaded_and_then_sent(app: WecomApp, provider: Server) -> None:
    assert app.send_picture(outgoing(MEMBER), PNG).state == "accepted"
    number = provider.messages[0]["image"]["media_id"]
    assert provider.pictures == {number: PNG}
    assert paths(provider) == ["gettoken", "media/upload", "message/send"]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(drop=True), "retry"),
        (says({"errcode": 40009, "errmsg": "size"}), "failed"),
        (says({"errcode": 0}), "failed"),
    ],
)
def test_a_picture_that_was_not_uploaded_is_not_uncertain(
    app: WecomApp, provider: Server, answer: Answer, state: str
) -> None:
    provider.scripted_path = "/media/upload"
    provider.script.append(answer)
    assert app.send_picture(outgoing(MEMBER), PNG).state == state
    assert provider.messages == []


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"errcode": 0, "errmsg": "ok", "msgid": "m1"}, "accepted"),
        ({"errcode": 0, "errmsg": "ok", "invaliduser": ""}, "accepted"),
        ({"errcode": 81013, "errmsg": "all users invalid"}, "failed"),
        ({"errcode": 40056, "errmsg": "agentid"}, "failed"),
        ({"errcode": 60020, "errmsg": "ip"}, "failed"),
        ({"errcode": 45009, "errmsg": "freq"}, "retry"),
        ({"errcode": 45033, "errmsg": "concurrency"}, "retry"),
        ({"errcode": -1, "errmsg": "busy"}, "retry"),
        ({"errmsg": "ok"}, "uncertain"),
        ({"errcode": "0"}, "uncertain"),
        ([], "uncertain"),
    ],
)
def test_what_a_body_means(said: Any, state: str) -> None:
    assert judge(httpx.Response(200, json=said)).state == state


def test_a_message_has_a_number_of_its_own(app: WecomApp) -> None:
    one, other = app.send(outgoing(MEMBER, 1)), app.send(outgoing(MEMBER, 2))
    assert one.provider_id != other.provider_id != ""


@given(st.binary(max_size=200), st.integers(200, 599))
def test_nothing_but_errcode_0_in_a_200_is_accepted(body: bytes, status: int) -> None:
    assert judge(httpx.Response(status, content=body)).state != "accepted"


def test_over_the_rate_it_waits_a_minute(app: WecomApp, provider: Server) -> None:
    provider.script.append(says({"errcode": 45009, "errmsg": "api freq out of limit"}))
    expected = Outcome("retry", "45009", "over the application's rate: api freq out of limit", "", MINUTE, True)
    assert app.send(outgoing(MEMBER)) == expected
    assert MINUTE == 60 * SECOND
