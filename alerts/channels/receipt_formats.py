"""What providers push about messages and calls that they took, and what they want to be answered."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec

from alerts.channels.transport import decoded, told
from core.clock import SHANGHAI, moment_of

_Shape = TypeVar("_Shape")
_ANSWERED = "200000"
_LARGEST_ID = 2**63 - 1


class Told(NamedTuple):
    """One receipt: by the provider's number or, where it carries it, by the notice's id; `at` µs UTC, 0 unknown."""

    provider_id: str
    ok: bool
    said: str
    notice: int | None = None
    at: int = 0


class _SmsReport(msgspec.Struct):
    success: bool
    err_code: str = ""
    err_msg: str = ""
    biz_id: str = ""
    out_id: str = ""
    report_time: str = ""


class _VoiceReport(msgspec.Struct):
    status_code: str
    call_id: str = ""
    out_id: str = ""
    start_time: str | None = ""
    duration: int | str = 0


class _TencentReport(msgspec.Struct):
    report_status: str
    sid: str
    errmsg: str = ""
    description: str = ""
    user_receive_time: str = ""


class _Prompt(msgspec.Struct):
    callid: str
    result: str


class _Failure(msgspec.Struct):
    callid: str
    failure_code: int = 0
    failure_reason: str = ""


class _TencentCall(msgspec.Struct):
    voiceprompt_callback: _Prompt | None = None
    voice_failure_callback: _Failure | None = None


def aliyun_sms(body: bytes) -> list[Told] | None:
    """SmsReport: an array, whatever was sent. None when it is none."""
    reports = decoded(body, list[_SmsReport])
    if reports is None:
        return None
    return [
        Told(
            each.biz_id, each.success, told(f"{each.err_code} {each.err_msg}"), _own(each.out_id), _at(each.report_time)
        )
        for each in reports
    ]


def aliyun_voice(body: bytes) -> list[Told] | None:
    """VoiceReport: an array; a call that somebody took has a start."""
    reports = decoded(body, list[_VoiceReport])
    if reports is None:
        return None
    return [
        Told(
            each.call_id,
            bool(each.start_time) or each.status_code == _ANSWERED,
            each.status_code[:40],
            _own(each.out_id),
        )
        for each in reports
    ]


def tencent_sms(body: bytes) -> list[Told] | None:
    """An array by the number that each message was given."""
    reports = decoded(body, list[_TencentReport])
    if reports is None:
        return None
    return [
        Told(
            each.sid,
            each.report_status == "SUCCESS",
            told(f"{each.errmsg} {each.description}"),
            at=_at(each.user_receive_time),
        )
        for each in reports
    ]


def tencent_voice(body: bytes) -> list[Told] | None:
    """One call's end, or why it failed; other callbacks, such as of a key that was pressed, tell nothing here."""
    said = decoded(body, _TencentCall)
    if said is None:
        return None
    if prompt := said.voiceprompt_callback:
        return [Told(prompt.callid, prompt.result == "0", f"result {prompt.result[:20]}")]
    if failure := said.voice_failure_callback:
        return [Told(failure.callid, False, told(f"{failure.failure_code} {failure.failure_reason}"))]
    return []


class ReceiptFormat(NamedTuple):
    """How a provider's receipts are read, and the answers that end the matter or ask for them again."""

    read: Callable[[bytes], list[Told] | None]
    taken: Mapping[str, str | int]
    again: Mapping[str, str | int]


_ALIYUN_TAKEN: dict[str, str | int] = {"code": 0, "msg": "接收成功"}
_ALIYUN_AGAIN: dict[str, str | int] = {"code": 1, "msg": "try again"}
_TENCENT_TAKEN: dict[str, str | int] = {"result": 0, "errmsg": "OK"}
_TENCENT_AGAIN: dict[str, str | int] = {"result": 1, "errmsg": "try again"}
FORMATS: dict[str, ReceiptFormat] = {
    "aliyun_sms": ReceiptFormat(aliyun_sms, _ALIYUN_TAKEN, _ALIYUN_AGAIN),
    "aliyun_voice": ReceiptFormat(aliyun_voice, _ALIYUN_TAKEN, _ALIYUN_AGAIN),
    "tencent_sms": ReceiptFormat(tencent_sms, _TENCENT_TAKEN, _TENCENT_AGAIN),
    "tencent_voice": ReceiptFormat(tencent_voice, _TENCENT_TAKEN, _TENCENT_AGAIN),
}
"""By the kind of channel."""


def _own(out_id: str) -> int | None:
    """The notice's id that went out with the message; None for one of somebody else."""
    return int(out_id) if out_id.isascii() and out_id.isdigit() and int(out_id[:20]) <= _LARGEST_ID else None


def _at(text: str) -> int:
    """A provider's local time in µs UTC; 0 for none."""
    try:
        return moment_of(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI))
    except ValueError:
        return 0
