"""How a case file says what it holds: headings and labels in Chinese and English, masked phones, times, flags."""

import re
from collections.abc import Mapping
from typing import Any

from alerts.lifecycle import ACTION_WORDS, STATUS_WORDS, Status
from alerts.measurements import Language
from alerts.words import Words
from console.language import named
from core.clock import local
from ingest.words import Quality

LABELS: Mapping[str, Words] = {
    "title": Words("案件卷宗", "Case file"),
    "number": Words("工单编号", "Number"),
    "drill": Words("演练：并未发生真实事件", "DRILL: nothing has happened"),
    "status": Words("状态", "Status"),
    "source": Words("来源", "Source"),
    "outside": Words("外部编号", "Outside number"),
    "category": Words("类别", "Category"),
    "class_code": Words("分类编码", "Class code"),
    "component_code": Words("部件编码", "Component code"),
    "hazard": Words("险情", "Hazard"),
    "severity": Words("等级", "Severity"),
    "life_safety": Words("涉及生命安全", "Life-safety"),
    "yes": Words("是", "yes"),
    "no": Words("否", "no"),
    "place": Words("地点", "Place"),
    "address": Words("地址", "Address"),
    "position": Words("坐标（WGS84）", "Position (WGS84)"),
    "area": Words("村（社区）／网格", "Village / grid"),
    "contact": Words("点位联系人", "Contact at the site"),
    "reporter": Words("上报人", "Reported by"),
    "description": Words("情况描述", "Description"),
    "result": Words("结果", "Result"),
    "related": Words("关联工单", "Related tickets"),
    "linked_to": Words("接续", "follows"),
    "merged_into": Words("并入", "merged into"),
    "merged_here": Words("并入本单", "merged into this one"),
    "facts": Words("一、基本信息", "1 Facts"),
    "times": Words("二、办理时间", "2 Times"),
    "deadlines": Words("三、时限与计时", "3 Deadlines and clocks"),
    "alerts": Words("四、报警与判据", "4 Alerts and what they were judged by"),
    "curves": Words("五、读数曲线", "5 Curves"),
    "dispatch": Words("六、派单依据", "6 Why who was sent"),
    "notices": Words("七、通知与回执", "7 Notices and receipts"),
    "photos": Words("八、现场照片", "8 Photos"),
    "log": Words("九、处置记录", "9 Log"),
    "none": Words("无", "none"),
    "reported_at": Words("上报", "reported"),
    "verified_at": Words("受理", "verified"),
    "registered_at": Words("立案", "registered"),
    "dispatched_at": Words("派遣", "dispatched"),
    "accepted_at": Words("接单", "accepted"),
    "on_scene_at": Words("到场", "on scene"),
    "handled_at": Words("处置", "handled"),
    "checked_at": Words("核查", "checked"),
    "closed_at": Words("结案", "closed"),
    "recovered_at": Words("报警恢复", "alerts recovered"),
    "paused": Words("挂账暂停", "paused"),
    "extensions": Words("延期次数", "extensions"),
    "reworks": Words("返工次数", "reworks"),
    "accept_by": Words("接单时限", "accept by"),
    "arrive_by": Words("到场时限", "arrive by"),
    "done_by": Words("处置时限", "done by"),
    "deadline_rule": Words("时限依据", "Rule of the deadlines"),
    "stage": Words("环节", "Stage"),
    "clock": Words("计时", "Clock"),
    "began": Words("开始", "Began"),
    "due": Words("应于", "Due"),
    "ended": Words("结束", "Ended"),
    "rule": Words("规则", "Rule"),
    "subject": Words("对象", "Subject"),
    "value": Words("数值", "Value"),
    "limit": Words("限值", "Limit"),
    "state": Words("状态", "State"),
    "standard": Words("依据", "Standard"),
    "version": Words("规则版本", "rules version"),
    "candidate": Words("候选", "Candidate"),
    "chosen": Words("选定", "Chosen"),
    "step": Words("级", "Step"),
    "distance": Words("距离", "Distance"),
    "reason": Words("理由", "Reason"),
    "way": Words("距离来源", "How measured"),
    "shortfalls": Words("不足", "Shortfalls"),
    "to": Words("接收人", "To"),
    "channel": Words("通道", "Channel"),
    "cause": Words("事由", "Cause"),
    "requested": Words("请求", "Requested"),
    "accepted": Words("通道接收", "Accepted"),
    "delivered": Words("送达", "Delivered"),
    "acknowledged": Words("确认", "Acknowledged"),
    "receipt": Words("回执", "Receipt"),
    "taken": Words("拍摄", "taken"),
    "received": Words("收到", "received"),
    "by": Words("由", "by"),
    "when": Words("时间", "When"),
    "who": Words("人员", "Who"),
    "action": Words("动作", "Action"),
    "to_status": Words("到", "To"),
    "opinion": Words("意见", "Opinion"),
    "made": Words("生成时间", "Made at"),
    "page": Words("第 {page} 页", "page {page}"),
    "more": Words("另有 {count} 条，见 timeline.csv", "{count} more are in timeline.csv"),
    "cut": Words("……（全文见 timeline.csv）", "… (whole in timeline.csv)"),
    "no_readings": Words("读数未附：{why}", "Readings are not included: {why}"),
    "store_away": Words("读数库当时不可用", "the readings store could not be used"),
    "left_out": Words("按要求不附", "left out as asked"),
    "no_curve": Words("本单报警不看数值曲线", "No alert of this ticket looks at a series"),
    "phones": Words("个人电话已打码", "personal phone numbers are masked"),
    "running": Words("紧急工作时", "running hours"),
    "hours": Words("工作时", "working hours"),
    "days": Words("工作日", "working days"),
    "natural": Words("自然日", "calendar days"),
    "verify": Words("受理", "verify"),
    "register": Words("立案", "register"),
    "assign": Words("派遣", "assign"),
    "accept": Words("接单", "accept"),
    "arrive": Words("到场", "arrive"),
    "handle": Words("处置", "handle"),
    "check": Words("核查", "check"),
    "reply": Words("督办回复", "reply"),
    "request.granted": Words("已批准", "granted"),
    "request.refused": Words("不予批准", "refused"),
    "request.moot": Words("已失效", "moot"),
    "timer.running": Words("计时中", "running"),
    "timer.paused": Words("暂停", "paused"),
    "timer.done": Words("按时", "in time"),
    "timer.overdue": Words("超时", "overdue"),
    "timer.void": Words("作废", "void"),
    "route": Words("路网", "route"),
    "straight": Words("直线", "straight line"),
    "position_of": Words("实时位置", "live position"),
    "team": Words("网格队", "team"),
    "station": Words("执法站", "station"),
    "person": Words("人员", "person"),
    "patrol": Words("巡查上报", "Patrol"),
    "video": Words("视频巡查", "Video patrol"),
    "storm": Words("多点并发", "Storm"),
    "outside_source": Words("外部平台", "Another platform"),
}

_EVENTS: Mapping[str, Words] = {
    "alert_began": Words("报警开始", "Alert began"),
    "alert_opened": Words("平台判定报警", "Alert opened"),
    "alert_closed": Words("报警关闭", "Alert closed"),
    "notice_queued": Words("通知入队", "Notice queued"),
    "notice_requested": Words("通知请求发出", "Notice requested"),
    "notice_accepted": Words("通道接收通知", "Notice accepted by the provider"),
    "notice_delivered": Words("通知送达", "Notice delivered"),
    "notice_acknowledged": Words("通知被确认", "Notice acknowledged"),
    "attempt": Words("发送尝试", "Attempt to send"),
    "timer_started": Words("计时开始", "Clock started"),
    "timer_ended": Words("计时结束", "Clock ended"),
    "photo": Words("照片", "Photo"),
}

_QUALITY: Mapping[Quality, Words] = {
    Quality.OUT_OF_RANGE: Words("超出量程", "out of range"),
    Quality.DISORDERED: Words("乱序", "out of order"),
    Quality.AGED: Words("迟到", "came late"),
    Quality.TIME_REPLACED: Words("时钟失实，时间已替换", "implausible clock, time replaced"),
    Quality.NO_TIME: Words("未带时间", "came without a time"),
    Quality.CLOCK_OFF: Words("网关时钟偏差", "gateway's clock is off"),
}
_GOOD = Words("正常", "good")
_MOBILE = re.compile(r"(?<![0-9A-Za-z])((?:\+?86[- ]?)?1[3-9]\d)[- ]?\d{4}[- ]?(\d{4})(?![0-9A-Za-z])")
_NUMBER = re.compile(r"\+?[\d -]{7,}")


def said(language: Language, key: str, **values: object) -> str:
    """A label in the language."""
    text = getattr(LABELS[key], language)
    return str(text.format_map(values) if values else text)


def told(language: Language, key: str) -> str:
    """A label for a code that comes from rows; the code itself when there is none."""
    return said(language, key) if key in LABELS else key


def moment(at: int | None) -> str:
    """A moment in local time, to the millisecond; a dash for none."""
    return "—" if at is None else f"{local(at):%Y-%m-%d %H:%M:%S}.{at // 1000 % 1000:03d}"


def second(at: int | None) -> str:
    """A moment in local time, to the second, for narrow columns; a dash for none."""
    return "—" if at is None else f"{local(at):%Y-%m-%d %H:%M:%S}"


def status_name(language: Language, status: str | None) -> str:
    """A status in words."""
    return str(getattr(STATUS_WORDS[Status(status)], language)) if status in set(Status) else status or ""


def action_name(language: Language, action: str) -> str:
    """An action of the log in words."""
    if action in _EVENTS:
        return str(getattr(_EVENTS[action], language))
    if action in ACTION_WORDS:
        return str(getattr(ACTION_WORDS[action], language))
    return named(language, "action", action)


def source_name(language: Language, source: str) -> str:
    """Where a ticket came from."""
    if source == "drill":
        return "演练" if language == "zh" else "Drill"
    return (
        told(language, "outside_source" if source == "outside" else source)
        if source in _SOURCES
        else named(language, "source", source)
    )


_SOURCES = ("patrol", "video", "storm", "outside")


def quality_words(language: Language, flags: int) -> str:
    """A reading's quality flags in words.

    >>> quality_words("en", 5), quality_words("zh", 0)
    ('out of range; came late', '正常')
    """
    found = [str(getattr(words, language)) for flag, words in _QUALITY.items() if flags & flag]
    unknown = flags & ~sum(int(flag) for flag in _QUALITY)
    found += [f"0x{unknown:x}"] if unknown else []
    return ("；" if language == "zh" else "; ").join(found) or str(getattr(_GOOD, language))


def without_mobiles(text: str) -> str:
    """A text whose mobile numbers have lost their middle.

    >>> without_mobiles("王 13812345678，单号 20260921-0001")
    '王 138****5678，单号 20260921-0001'
    """
    return _MOBILE.sub(r"\1****\2", text)


def masked_phone(phone: str) -> str:
    """A whole phone number with little but its ends.

    >>> masked_phone("0512-65381234"), masked_phone("13812345678"), masked_phone("110")
    ('05********34', '138****5678', '110')
    """
    shorter = without_mobiles(phone)
    if shorter != phone or not _NUMBER.fullmatch(phone):
        return shorter
    return f"{phone[:2]}********{phone[-2:]}"


def masked(value: Any) -> Any:
    """A JSON value whose texts have no mobile numbers; what names a hash is left as it is."""
    if isinstance(value, str):
        return without_mobiles(value)
    if isinstance(value, Mapping):
        return {name: each if name == "sha256" else masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked(each) for each in value]
    return value
