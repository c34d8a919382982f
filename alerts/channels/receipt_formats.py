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
_LONGEST_ID = 19  # digits


class Told(NamedTuple):
    """One receipt: by the provider's number or, where it carries it, by the notice's id; `at` µs UTC, 0 unknown."""

    provider_id: str
    ok: bool
    said: str
    notice: int | None = None
    at: int = 0


class Pushed(NamedTuple):
    """What one request brought: the receipts that can be read, and why the others can't, without what they hold."""

    told: list[Told]
    unreadable: list[str]


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


def aliyun_sms(body: bytes) -> Pushed | None:
    """SmsReport: an array, whatever was sent. None when nothing of it can be read."""

    def tell(each: _SmsReport) -> Told:
        said = told(f"{each.err_code} {each.err_msg}")
        return Told(each.biz_id, each.success, said, _own(each.out_id), _at(each.report_time))

    return _read_each(body, _SmsReport, tell)


def aliyun_voice(body: bytes) -> Pushed | None:
    """VoiceReport: an array; a call that somebody took has a start. None when nothing of it can be read."""

    def tell(each: _VoiceReport) -> Told:
        taken = bool(each.start_time) or each.status_code == _ANSWERED
        return Told(each.call_id, taken, each.status_code[:40], _own(each.out_id))

    return _read_each(body, _VoiceReport, tell)


def tencent_sms(body: bytes) -> Pushed | None:
    """An array by the number that each message was given. None when nothing of it can be read."""

    def tell(each: _TencentReport) -> Told:
        said = told(f"{each.errmsg} {each.description}")
        return Told(each.sid, each.report_status == "SUCCESS", said, at=_at(each.user_receive_time))

    return _read_each(body, _TencentReport, tell)


def tencent_voice(body: bytes) -> Pushed | None:
    """One call's end, or why it failed; other callbacks, such as of a key that was pressed, tell nothing here."""
    said = decoded(body, _TencentCall)
    if said is None:
        return None
    if prompt := said.voiceprompt_callback:
        return Pushed([Told(prompt.callid, prompt.result == "0", f"result {prompt.result[:20]}")], [])
    if failure := said.voice_failure_callback:
        return Pushed([Told(failure.callid, False, told(f"{failure.failure_code} {failure.failure_reason}"))], [])
    return Pushed([], [])


class ReceiptFormat(NamedTuple):
    """How a provider's receipts are read, and the answers that end the matter or ask for them again."""

    read: Callable[[bytes], Pushed | None]
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


def _read_each(body: bytes, shape: type[_Shape], tell: Callable[[_Shape], Told]) -> Pushed | None:
    """Each for itself: one that a provider changed must not cost the others their receipts."""
    reports = decoded(body, list[msgspec.Raw])
    if reports is None:
        return None
    found = Pushed([], [])
    for each in reports:
        try:
            found.told.append(tell(msgspec.json.decode(each, type=shape)))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            found.unreadable.append(told(str(error)))
    return None if reports and not found.told else found


def _own(out_id: str) -> int | None:
    """The notice's id that went out with the message; None for one of somebody else."""
    plain = out_id.isascii() and out_id.isdigit() and len(out_id) <= _LONGEST_ID
    return int(out_id) if plain and int(out_id) <= _LARGEST_ID else None


def _at(text: str) -> int:
    """A provider's local time in µs UTC; 0 for none."""
    try:
        return moment_of(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI))
    except ValueError:
        return 0
