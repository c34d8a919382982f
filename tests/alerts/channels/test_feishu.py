import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.feishu import FeishuRobot, judge, signed
from alerts.channels.transport import open_client
from core.clock import HOUR, MINUTE, SECOND
from tests.alerts.notices.notice_rows import NOW, outgoing
from tests.providers.feishu import SECRET, TOKEN, Feishu

CONSOLE = "https://town.example"


def test_the_sign_is_what_another_implementation_makes() -> None:
    """openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '1790000000\\ndemo' | xxd -p) -binary, of nothing."""
    assert signed("demo", NOW)["sign"] == "sxUIclmxWjRwnCscRoKYSQ7RG03TBQnd+dkRTyvauiw="


@pytest.mark.parametrize(
    ("address", "secret", "state"),
    [
        (f"{TOKEN}#{SECRET}", "", "accepted"),
        (TOKEN, SECRET, "accepted"),
        (f"https://open.feishu.cn/open-apis/bot/v2/hook/{TOKEN}", SECRET, "accepted"),
        (f"{TOKEN}#another", SECRET, "failed"),
        (TOKEN, "", "failed"),
        ("another", SECRET, "failed"),
        ("../../../elsewhere", SECRET, "failed"),
        ("", SECRET, "failed"),
    ],
)
def test_each_robot_signs_with_its_own_secret(address: str, secret: str, state: str) -> None:
    with Feishu() as provider, open_client(5) as client:
        outcome = FeishuRobot("feishu", client, CONSOLE, secret, provider.url).send(outgoing(address))
        assert outcome.state == state
        assert all(request.path.startswith("/open-apis/bot/v2/hook/") for request in provider.requests)


def test_a_robot_that_does_not_sign_needs_no_secret() -> None:
    with Feishu({TOKEN: ""}) as provider, open_client(5) as client:
        assert FeishuRobot("feishu", client, CONSOLE, "", provider.url).send(outgoing(TOKEN)).state == "accepted"
        assert "sign" not in provider.requests[0].json()


def test_a_clock_that_is_off_is_named() -> None:
    with Feishu() as provider, open_client(5) as client:
        robot = FeishuRobot("feishu", client, CONSOLE, SECRET, provider.url)
        outcome = robot.send(outgoing(TOKEN, at=NOW - HOUR - MINUTE))
        assert (outcome.state, outcome.code) == ("failed", "19021")
        assert "clock" in outcome.detail


@pytest.mark.parametrize(("severity", "colour", "called"), [(4, "red", True), (3, "orange", False), (1, "blue", False)])
def test_a_card_shows_how_grave_it_is(severity: int, colour: str, called: bool) -> None:
    with Feishu() as provider, open_client(5) as client:
        FeishuRobot("feishu", client, CONSOLE, SECRET, provider.url).send(outgoing(TOKEN, severity=severity))
        (card,) = provider.cards
        assert card["header"]["template"] == colour
        assert ("<at id=all></at>" in provider.held[0]) == called
        assert [each["text"]["content"] for each in card["elements"][1]["actions"]] == ["打开工单（需登录）", "导航"]


def test_nobody_is_called_by_a_name_that_looks_like_a_call() -> None:
    with Feishu() as provider, open_client(5) as client:
        robot = FeishuRobot("feishu", client, CONSOLE, SECRET, provider.url)
        robot.send(outgoing(TOKEN, severity=1, place_zh="<at id=all></at>", contact="[a](https://evil.example)"))
        assert "<at" not in provider.held[0]
        assert "](https://evil" not in provider.held[0]


def test_five_a_second_and_a_hundred_a_minute() -> None:
    seconds = [0.0]
    with Feishu(seconds=lambda: seconds[0]) as provider, open_client(5) as client:
        robot = FeishuRobot("feishu", client, CONSOLE, SECRET, provider.url)
        states = []
        for each in range(102):
            seconds[0] = each // 5 * 1.0
            states.append(robot.send(outgoing(TOKEN, each)).state)
        assert states == ["accepted"] * 100 + ["retry"] * 2
        seconds[0] = 60.0
        assert robot.send(outgoing(TOKEN)).state == "accepted"


@pytest.mark.parametrize(
    ("status", "said", "state"),
    [
        (200, {"code": 0, "msg": "success"}, "accepted"),
        (200, {"code": 9499, "msg": "Bad Request"}, "failed"),
        (200, {"code": 9499, "msg": "Too Many Requests"}, "retry"),
        (200, {"code": 11232, "msg": "frequency limited"}, "retry"),
        (200, {"code": 11233, "msg": "busy"}, "retry"),
        (200, {"code": 19022, "msg": "Ip Not Allowed"}, "failed"),
        (200, {"code": 19024, "msg": "Key Words Not Found"}, "failed"),
        (400, {"code": 19001, "msg": "param invalid"}, "failed"),
        (400, {"code": 0, "msg": "success"}, "failed"),
        (429, {"code": 99991400, "msg": "limit"}, "retry"),
        (500, {"code": 0, "msg": "success"}, "uncertain"),
        (200, {"StatusCode": 0, "StatusMessage": "success"}, "uncertain"),
    ],
)
def test_what_an_answer_means(status: int, said: dict[str, object], state: str) -> None:
    assert judge(httpx.Response(status, json=said)).state == state


@given(st.binary(max_size=200), st.integers(200, 599))
def test_nothing_but_code_0_in_a_200_is_accepted(body: bytes, status: int) -> None:
    assert judge(httpx.Response(status, content=body)).state != "accepted"


def test_over_the_rate_the_address_rests() -> None:
    outcome = judge(httpx.Response(200, json={"code": 11232, "msg": "frequency limited"}))
    assert (outcome.retry_after, outcome.holds_address) == (10 * SECOND, True)
