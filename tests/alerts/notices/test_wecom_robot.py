from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels import Outcome
from alerts.channels.transport import open_client, outcome_of_failure
from alerts.channels.wecom_robot import PICTURE_BYTES, TEXT_BYTES, WecomRobot, judge
from core.clock import MINUTE
from tests.alerts.notices.notice_rows import outgoing
from tests.fakes.wecom_robot import Answer
from tests.fakes.wecom_robot import WecomRobot as FakeRobot

CONSOLE = "https://town.example"


@pytest.fixture
def provider() -> Iterator[FakeRobot]:
    with FakeRobot(keys=["key-a", "key-b"], limit=1000) as robot:
        yield robot


@pytest.fixture
def robot(provider: FakeRobot) -> Iterator[WecomRobot]:
    with open_client(timeout_s=0.5) as client:
        yield WecomRobot("robot", client, CONSOLE, provider.url)


def test_a_message_arrives_with_the_link_that_asks_for_sign_in(robot: WecomRobot, provider: FakeRobot) -> None:
    assert robot.send(outgoing(link="personal-code")) == Outcome("accepted", "0")
    (message,) = provider.messages
    assert message["msgtype"] == "template_card"
    assert f"{CONSOLE}/tickets/7" in message["content"]
    assert "personal-code" not in message["content"]
    links = [line for line in message["content"].splitlines() if line.startswith("http")]
    assert sorted({urlsplit(link).netloc for link in links}) == ["town.example", "uri.amap.com"]


def test_a_critical_notice_mentions_people(robot: WecomRobot, provider: FakeRobot) -> None:
    robot.send(outgoing(mobiles=["13800000001"]))
    robot.send(outgoing(mobiles=["13800000001"], severity=3))
    assert [(each["msgtype"], each["mentioned"]) for each in provider.messages] == [
        ("text", ["13800000001"]),
        ("template_card", []),
    ]


def test_a_mention_is_as_long_as_it_may_be(robot: WecomRobot, provider: FakeRobot) -> None:
    notice = outgoing(mobiles=["13800000001"], advice_zh="勿单独进入😀" * 900)
    assert robot.send(notice).state == "accepted"
    (message,) = provider.messages
    assert TEXT_BYTES - 4 < len(message["content"].encode()) <= TEXT_BYTES


def test_a_list_mentions_those_of_its_critical_notices(robot: WecomRobot, provider: FakeRobot) -> None:
    numbers = [["13800000001"], ["13800000001", "13800000002"], ["13800000003"]]
    severities = [4, 4, 2]
    pairs = zip(numbers, severities, strict=True)
    robot.send_several([outgoing(number=7 + n, mobiles=m, severity=s) for n, (m, s) in enumerate(pairs)])
    robot.send_several([outgoing(number=17 + n, mobiles=["13800000003"], severity=2) for n in range(2)])
    assert [(each["msgtype"], each["mentioned"]) for each in provider.messages] == [
        ("text", ["13800000001", "13800000002"]),
        ("markdown", []),
    ]


def test_a_whole_webhook_address_is_one_too(robot: WecomRobot, provider: FakeRobot) -> None:
    address = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=key-b"
    assert robot.send(outgoing(address)).state == "accepted"
    assert provider.messages[0]["key"] == "key-b"


def test_a_picture_is_sent_as_it_is(robot: WecomRobot, provider: FakeRobot) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(PICTURE_BYTES - 8)
    assert robot.send_picture(outgoing(), png).state == "accepted"
    assert robot.send_picture(outgoing(), png + b"1").state == "failed"
    assert [each["msgtype"] for each in provider.messages] == ["image"]


def test_a_wrong_key_fails_for_good(robot: WecomRobot, provider: FakeRobot) -> None:
    outcome = robot.send(outgoing("no-such-key"))
    assert (outcome.state, outcome.code) == ("failed", "93000")
    assert "key" in outcome.detail
    assert provider.messages == []


def test_over_the_rate_it_waits_a_minute(robot: WecomRobot, provider: FakeRobot) -> None:
    provider.limit = 1
    assert robot.send(outgoing()).state == "accepted"
    over = robot.send(outgoing())
    assert (over.state, over.code, over.retry_after, over.holds_address) == ("retry", "45009", MINUTE, True)
    assert robot.send(outgoing("key-b")).state == "accepted"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(b'{"errcode":0,"errmsg":"ok"}'), "accepted"),
        (Answer(b'{"errcode":40058,"errmsg":"bad parameter"}'), "failed"),
        (Answer(b'{"errcode":12345,"errmsg":"unheard of"}'), "failed"),
        (Answer(b'{"errcode":45033,"errmsg":"concurrency"}'), "retry"),
        (Answer(b'{"errcode":-1,"errmsg":"busy"}'), "retry"),
        (Answer(b"<html>ok</html>"), "uncertain"),
        (Answer(b'{"errmsg":"ok"}'), "uncertain"),
        (Answer(b'{"errcode":"0"}'), "uncertain"),
        (Answer(b""), "uncertain"),
        (Answer(b"\xff\xfe"), "uncertain"),
        (Answer(b"", status=502), "uncertain"),
        (Answer(b"", status=429), "retry"),
        (Answer(b"", status=404), "failed"),
        (Answer(b"", status=302), "failed"),
        (Answer(drop=True), "uncertain"),
        (Answer(delay_s=1.0), "uncertain"),
    ],
)
def test_the_body_decides_not_the_status(robot: WecomRobot, provider: FakeRobot, answer: Answer, expected: str) -> None:
    provider.script.append(answer)
    assert robot.send(outgoing()).state == expected


@given(st.binary(max_size=200), st.integers(200, 599))
def test_nothing_but_errcode_0_in_a_200_is_accepted(body: bytes, status: int) -> None:
    assert judge(httpx.Response(status, content=body)).state != "accepted"


@given(st.integers(-(10**6), 10**6).filter(bool), st.integers(200, 599))
def test_another_errcode_is_never_accepted(errcode: int, status: int) -> None:
    assert judge(httpx.Response(status, json={"errcode": errcode, "errmsg": "ok"})).state != "accepted"


def test_what_was_never_sent_may_be_tried_again() -> None:
    with FakeRobot() as gone:
        url = gone.url
    with open_client(timeout_s=0.5) as client:
        outcome = WecomRobot("robot", client, CONSOLE, url).send(outgoing())
    assert (outcome.state, outcome.holds_address) == ("retry", True)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (httpx.ConnectError("x"), "retry"),
        (httpx.ConnectTimeout("x"), "retry"),
        (httpx.ReadTimeout("x"), "uncertain"),
        (httpx.WriteError("x"), "uncertain"),
        (httpx.RemoteProtocolError("x"), "uncertain"),
        (httpx.LocalProtocolError("x"), "failed"),
    ],
)
def test_only_a_request_that_cannot_have_arrived_is_repeated(error: httpx.TransportError, state: str) -> None:
    assert outcome_of_failure(error).state == state
