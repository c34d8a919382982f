import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.dingtalk import DingTalkRobot, judge, signed
from alerts.channels.transport import open_client
from core.clock import HOUR, MINUTE
from tests.alerts.notices.notice_rows import NOW, outgoing
from tests.providers.dingtalk import SECRET, TOKEN, DingTalk
from tests.providers.provider import says

CONSOLE = "https://town.example"


def test_the_sign_is_what_another_implementation_makes() -> None:
    """printf '1790000000000\\nSEC0' | openssl dgst -sha256 -hmac SEC0 -binary | base64"""
    assert signed("SEC0", NOW)["sign"] == "v7tqr1KMGGnw5n582Pi0pyeiPdpfBvueDco67/cORMM="


@pytest.mark.parametrize(
    ("address", "secret", "state"),
    [
        (f"{TOKEN}#{SECRET}", "", "accepted"),
        (TOKEN, SECRET, "accepted"),
        (f"https://oapi.dingtalk.com/robot/send?access_token={TOKEN}", SECRET, "accepted"),
        (f"https://oapi.dingtalk.com/robot/send?access_token={TOKEN}#{SECRET}", "another", "accepted"),
        (f"{TOKEN}#another", SECRET, "failed"),
        (TOKEN, "", "failed"),
        ("another", SECRET, "failed"),
        ("https://[", SECRET, "failed"),
        ("", SECRET, "failed"),
    ],
)
def test_each_robot_signs_with_its_own_secret(address: str, secret: str, state: str) -> None:
    with DingTalk() as provider, open_client(5) as client:
        robot = DingTalkRobot("ding", client, CONSOLE, secret, provider.url)
        assert robot.send(outgoing(address)).state == state


def test_a_robot_that_does_not_sign_needs_no_secret() -> None:
    with DingTalk({TOKEN: ""}) as provider, open_client(5) as client:
        assert DingTalkRobot("ding", client, CONSOLE, "", provider.url).send(outgoing(TOKEN)).state == "accepted"
        assert "sign" not in provider.requests[0].query


def test_a_clock_that_is_off_is_named() -> None:
    with DingTalk() as provider, open_client(5) as client:
        robot = DingTalkRobot("ding", client, CONSOLE, SECRET, provider.url)
        outcome = robot.send(outgoing(TOKEN, at=NOW + HOUR + MINUTE))
        assert (outcome.state, outcome.code) == ("failed", "310000")
        assert "clock" in outcome.detail


def test_a_critical_notice_mentions_people_in_the_text_too() -> None:
    with DingTalk() as provider, open_client(5) as client:
        robot = DingTalkRobot("ding", client, CONSOLE, SECRET, provider.url)
        robot.send(outgoing(TOKEN, mobiles=["13800000001", "13800000002"]))
        robot.send(outgoing(TOKEN, mobiles=["13800000001"], severity=3))
        assert provider.mentioned == [["13800000001", "13800000002"], []]
        assert "@13800000001 @13800000002" in provider.held[0]
        assert "uri.amap.com/navigation" in provider.held[0]


def test_after_one_too_many_it_is_silent_for_ten_minutes() -> None:
    seconds = [0.0]
    with DingTalk(seconds=lambda: seconds[0]) as provider, open_client(5) as client:
        robot = DingTalkRobot("ding", client, CONSOLE, SECRET, provider.url)
        outcomes = [robot.send(outgoing(TOKEN, each)) for each in range(21)]
        assert [each.state for each in outcomes] == ["accepted"] * 20 + ["retry"]
        assert (outcomes[-1].retry_after, outcomes[-1].holds_address) == (10 * MINUTE, True)
        seconds[0] = 599.0
        assert robot.send(outgoing(TOKEN)).state == "retry"
        seconds[0] = 600.0
        assert robot.send(outgoing(TOKEN)).state == "accepted"


def test_the_gateway_before_the_robots_speaks_otherwise() -> None:
    blocked = {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "9ff0"}
    for body in (blocked, {**blocked, "errcode": 130101, "errmsg": "send too fast"}, {**blocked, "wait": 1200}):
        outcome = judge(httpx.Response(200, content=says(body).body or b""))
        assert (outcome.state, outcome.holds_address) == ("retry", True)
        assert outcome.retry_after >= max(10, body["wait"] // 60) * MINUTE


@pytest.mark.parametrize(
    ("errcode", "state"), [(300001, "failed"), (310000, "failed"), (40035, "failed"), (77, "failed"), (-1, "retry")]
)
def test_what_an_errcode_means(errcode: int, state: str) -> None:
    assert judge(httpx.Response(200, json={"errcode": errcode, "errmsg": "said"})).state == state


@given(st.binary(max_size=200), st.integers(200, 599))
def test_nothing_but_errcode_0_in_a_200_is_accepted(body: bytes, status: int) -> None:
    assert judge(httpx.Response(status, content=body)).state != "accepted"
