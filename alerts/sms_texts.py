"""What fits into a text message's template or a call: short variables, counted in characters."""

from alerts.channels import OutgoingNotice
from alerts.measurements import Language
from alerts.notice_words import DRILL, REPEATED
from alerts.texts import advice, hazard_name, measurement, severity_name

VARIABLE_CHARACTERS = 35
"""The longest variable of a template unless a provider says otherwise: Aliyun's 1 to 35 characters, each sign is one.

Source: Aliyun, 申请短信模板 (help.aliyun.com/document_detail/108088.html), 变量属性: 单个变量的长度限制为1~35个字符.
"""
_WHOLE = frozenset({"number", "code"})
"""A part of these would name another ticket, or open nothing."""


def shorten(text: str, characters: int) -> str:
    """`text` in at most so many characters, ended with … where it was cut.

    >>> shorten("可燃气体泄漏", 4)
    '可燃气…'
    """
    return text if len(text) <= characters else text[: max(0, characters - 1)] + "…"


def sms_variables(notice: OutgoingNotice, language: Language, longest: int = VARIABLE_CHARACTERS) -> dict[str, str]:
    """The variables that a template may name, each within `longest` characters, ended with … where it was cut.

    number, level, hazard, value, place, note, contact and code: the personal link's code, which the template puts
    behind its own fixed address, as providers refuse addresses in variables. One without a fact is "-", as they refuse
    empty ones too. A drill and a possible repeat are said in `level`, which comes first.
    """
    facts = notice.facts
    chinese = language == "zh"
    marks = [DRILL] * facts.drill + [REPEATED] * notice.repeated
    level = [*(mark.zh if chinese else mark.en for mark in marks), severity_name(facts, language)]
    area = facts.area_zh if chinese else facts.area_en
    told = {
        "number": facts.number,
        "level": "·".join(level),
        "hazard": hazard_name(facts, language),
        "value": measurement(facts, language),
        "place": (facts.place_zh if chinese else facts.place_en) or facts.address or area,
        "note": advice(facts, language),
        "contact": facts.phone or facts.contact,
        "code": notice.link,
    }
    lines = {name: " ".join(text.split()) for name, text in told.items()}
    return {name: (text if name in _WHOLE else shorten(text, longest)) or "-" for name, text in lines.items()}


def spoken(notice: OutgoingNotice, language: Language) -> str:
    """What a voice says: level, hazard, place and number, in one sentence without signs that are not spoken."""
    said = sms_variables(notice, language)
    parts = [said[name] for name in ("level", "hazard", "place", "note") if said[name] != "-"]
    number = " ".join(said["number"].replace("-", "")[-4:])
    if language == "zh":
        return "，".join([*parts, f"工单尾号 {number}"]).replace("·", "，")
    return ", ".join([*parts, f"ticket ending {number}"]).replace("·", ", ")
