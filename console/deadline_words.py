"""The rule of a deadline, as tickets keep it, in the reader's language."""

import re

from alerts.measurements import Language
from console.language import named
from detectors.words import Severity

_RULE = re.compile(r"(?P<name>.+) (?P<level>notice|warning|alarm|critical): (?P<parts>[^:]+)")
_PART = re.compile(r"(?P<stage>[a-z ]+?) (?P<amount>\d+) (?P<unit>working days|days|h working|min working|h|min)")
_STAGES = {
    "verify": "受理",
    "register": "立案",
    "assign": "派遣",
    "accept": "接单",
    "arrive": "到场",
    "on scene": "到场",
    "handle": "处置",
    "done": "处置",
    "check": "核查",
    "reply": "督办回复",
}
_UNITS = {
    "working days": "个工作日",
    "days": "个自然日",
    "h working": "小时（工作时间）",
    "min working": "分钟（工作时间）",
    "h": "小时",
    "min": "分钟",
}


def rule_text(language: Language, rule: str) -> str:
    """The rule in words; one of another form, such as another version's, as it is.

    >>> rule_text("zh", "default-1 critical: accept 5 min, on scene 30 min, done 2 h")
    'default-1 紧急：接单 5 分钟，到场 30 分钟，处置 2 小时'
    """
    found = _RULE.fullmatch(rule)
    if language == "en" or not found:
        return rule
    told = [_part(each) for each in found["parts"].split(", ")]
    if not all(told):
        return rule
    name = "人工指定" if found["name"] == "by hand" else found["name"]
    level = named(language, "severity", int(Severity[found["level"].upper()]))
    return f"{name} {level}：{'，'.join(told)}"


def _part(text: str) -> str:
    found = _PART.fullmatch(text)
    if found is None or found["stage"] not in _STAGES:
        return ""
    return f"{_STAGES[found['stage']]} {found['amount']} {_UNITS[found['unit']]}"
