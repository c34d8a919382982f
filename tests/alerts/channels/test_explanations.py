"""Everything that the adapters say of a failure has its Chinese."""

import ast
import inspect
from types import ModuleType

import httpx
import pytest

from alerts.channels import (
    aliyun,
    apprise_url,
    dingtalk,
    email,
    feishu,
    tencent,
    transport,
    wecom_app,
    wecom_robot,
    wecom_token,
)
from alerts.channels.explanations import PHRASES, explained
from core.clock import MINUTE

MODULES = [dingtalk, feishu, wecom_app, wecom_robot, wecom_token]


@pytest.mark.parametrize("module", MODULES, ids=lambda each: each.__name__)
def test_every_code_is_explained(module: ModuleType) -> None:
    said = {**vars(module)["_REFUSED"], **(busy if isinstance(busy := vars(module)["_BUSY"], dict) else {})}
    missing = {text for text in said.values() if text.partition(": ")[0] not in PHRASES}
    assert missing == set()


@pytest.mark.parametrize("judge", [dingtalk.judge, feishu.judge, wecom_app.judge, wecom_robot.judge])
def test_every_answer_is_explained(judge: object) -> None:
    bodies: list[object] = [{}, *({"errcode": code, "errmsg": "x", "code": code, "msg": "x"} for code in (-1, 77))]
    bodies += [{"errcode": 45009}, {"errcode": 42001}, {"errcode": 130101}, {"code": 11232}]
    bodies += [{"errcode": 0, "invaliduser": "a"}, {"errcode": 0, "unlicenseduser": "a"}]
    answers = [httpx.Response(200, json=body) for body in bodies] + [
        httpx.Response(each) for each in (302, 404, 429, 500)
    ]
    for answer in answers:
        detail = judge(answer).detail  # type: ignore[operator]
        assert not detail or detail.partition(": ")[0] in PHRASES


@pytest.mark.parametrize("error", [httpx.InvalidURL("x"), httpx.ConnectError("x"), httpx.ReadTimeout("x")])
def test_every_broken_request_is_explained(error: httpx.TransportError) -> None:
    assert transport.outcome_of_failure(error).detail in PHRASES


def test_an_http_status_is_explained() -> None:
    said = {transport.outcome_of_status(status, rate_wait=MINUTE).detail for status in (301, 404, 429, 502)}
    assert said <= PHRASES.keys()


def test_english_and_what_nobody_knows_stay_as_they_are() -> None:
    assert explained("the robot was stopped: bot", "en") == "the robot was stopped: bot"
    assert explained("said: by: somebody", "zh") == "said: by: somebody"
    assert explained("", "zh") == ""
    assert explained("no access token: the provider is busy: x", "zh") == "未取得访问令牌：服务商繁忙：x"


def test_no_phrase_is_cut_by_its_own_colon() -> None:
    assert all(": " not in phrase for phrase in PHRASES)


@pytest.mark.parametrize("module", [aliyun, tencent], ids=lambda each: each.__name__)
def test_every_code_of_messages_and_calls_is_explained(module: ModuleType) -> None:
    assert set(vars(module)["_SAID"].values()) <= PHRASES.keys()


@pytest.mark.parametrize("module", [aliyun, apprise_url, email, tencent], ids=lambda each: each.__name__)
def test_every_phrase_of_an_outcome_is_explained(module: ModuleType) -> None:
    calls = [each for each in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(each, ast.Call)]
    details = [call.args[2] for call in calls if ast.unparse(call.func) == "Outcome" and len(call.args) > 2]
    details += [call.args[1] for call in calls if ast.unparse(call.func) == "self._broken"]
    starts = [each.values[0] if isinstance(each, ast.JoinedStr) else each for each in details]
    said = {str(each.value).removesuffix(": ") for each in starts if isinstance(each, ast.Constant)}
    assert len(said) > 2
    assert said <= PHRASES.keys()
