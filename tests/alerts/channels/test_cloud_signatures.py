"""Aliyun's and Tencent Cloud's signatures against the examples that the providers publish, and what codes mean."""

from datetime import UTC, datetime

import httpx
import pytest

from alerts.channels import aliyun, tencent
from core.clock import DAY, HOUR, MINUTE, SECOND, moment_of

ALIYUN = aliyun.AccessKey("YourAccessKeyId", "YourAccessKeySecret")
TENCENT = tencent.SecretKey("AKID" + "*" * 32, "*" * 32)  # as the provider's example masks them


def test_aliyun_signs_as_its_published_example() -> None:
    parameters = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    call = aliyun.Call("RunInstances", "2014-05-26", parameters)
    now = moment_of(datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC))
    nonce = "3156853299f313e23d1673dc12e1703d"
    headers = aliyun.signed_headers(ALIYUN, "ecs.cn-shanghai.aliyuncs.com", call, now, nonce)
    assert headers["x-acs-date"] == "2023-10-26T10:22:32Z"
    assert headers["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_tencent_signs_as_its_published_example() -> None:
    body = b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}'
    service = tencent.Service("cvm", "DescribeInstances", "2017-03-12", "ap-guangzhou")
    headers = tencent.signed_headers(TENCENT, "cvm.tencentcloudapi.com", service, body, 1551113065 * SECOND)
    assert headers["Authorization"] == (
        f"TC3-HMAC-SHA256 Credential={TENCENT.id}/2019-02-25/cvm/tc3_request, "
        "SignedHeaders=content-type;host;x-tc-action, "
        "Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
    )


@pytest.mark.parametrize(
    ("code", "message", "state", "wait"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", "retry", MINUTE),
        ("isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5", "retry", HOUR),
        ("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:50", "retry", DAY),
        ("Throttling.User", "Request was denied", "retry", 5 * SECOND),
        ("isv.AMOUNT_NOT_ENOUGH", "账户余额不足", "failed", 0),
        ("isp.RAM_PERMISSION_DENY", "RAM权限不足", "failed", 0),
        ("isp.SYSTEM_ERROR", "系统错误", "uncertain", 0),
        ("isv.SOMETHING_NEW", "", "failed", 0),
    ],
)
def test_what_aliyun_says_decides(code: str, message: str, state: str, wait: int) -> None:
    outcome = aliyun.judge(httpx.Response(200, json={"Code": code, "Message": message}), ALIYUN)
    assert (outcome.state, outcome.code, outcome.retry_after) == (state, code, wait)


def test_aliyuns_words_count_under_any_status() -> None:
    refused = httpx.Response(404, json={"Code": "InvalidAccessKeyId.NotFound", "Message": "not found"})
    assert aliyun.judge(refused, ALIYUN).state == "failed"
    assert aliyun.judge(httpx.Response(503, text="upstream"), ALIYUN).state == "uncertain"
    assert aliyun.judge(httpx.Response(429, text="slow"), ALIYUN).state == "retry"


@pytest.mark.parametrize(
    ("code", "state", "wait"),
    [
        ("LimitExceeded.PhoneNumberThirtySecondLimit", "retry", 30 * SECOND),
        ("LimitExceeded.PhoneNumberDailyLimit", "retry", DAY),
        ("RequestLimitExceeded", "retry", 5 * SECOND),
        ("FailedOperation.PhoneNumberInBlacklist", "failed", 0),
        ("InternalError.Timeout", "uncertain", 0),
    ],
)
def test_each_numbers_own_code_decides_with_tencent(code: str, state: str, wait: int) -> None:
    said = {"Response": {"SendStatusSet": [{"Code": code, "Message": "said", "SerialNo": ""}], "RequestId": "r"}}
    outcome = tencent.judge(httpx.Response(200, json=said), TENCENT)
    assert (outcome.state, outcome.code, outcome.retry_after) == (state, code, wait)


def test_tencent_may_name_no_number() -> None:
    said = {"Response": {"SendStatusSet": [], "RequestId": "r"}}
    assert tencent.judge(httpx.Response(200, json=said), TENCENT).state == "uncertain"


def test_keys_are_not_shown() -> None:
    assert ALIYUN.secret not in f"{ALIYUN!r} {ALIYUN}"
    assert TENCENT.secret not in f"{TENCENT!r} {TENCENT}"


@pytest.mark.parametrize(
    "body", [b'{"Code": "\xff"}', b'{"Code": 7}', b"[]", b"", b'{"Response": {"Error": {"Code": "\xff"}}}']
)
def test_what_is_no_answer_leaves_it_uncertain(body: bytes) -> None:
    response = httpx.Response(200, content=body)
    assert {aliyun.judge(response, ALIYUN).state, tencent.judge(response, TENCENT).state} == {"uncertain"}
