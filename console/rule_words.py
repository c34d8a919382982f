"""The stored rule of a deadline, which the log keeps in English, as a person reads it."""

import re

_STAGES = {
    "verify": "受理",
    "register": "立案",
    "assign": "派遣",
    "accept": "接单",
    "on scene": "到场",
    "arrive": "到场",
    "handle": "处置",
    "done": "处置",
    "check": "核查",
    "reply": "回复",
}
_SEVERITIES = {"critical": "紧急", "alarm": "报警", "warning": "预警", "notice": "提示"}
_UNITS = {
    "working days": "个工作日",
    "days": "个自然日",
    "h working": "工作小时",
    "min working": "工作分钟",
    "h": "小时",
}
_PART = re.compile(r"(" + "|".join(_STAGES) + r") (\d+) (working days|days|h working|min working|h|min)")


def rule_words(language: str, rule: str) -> str:
    """A deadline's rule in the language; what it does not know stays as it is.

    >>> rule_words("zh", "default-1 alarm: accept 15 min, done 4 h working")
    'default-1 报警：接单 15 分钟、处置 4 工作小时'
    """
    name, colon, limits = rule.partition(": ")
    if language == "en" or not colon:
        return rule
    policy, _, severity = name.rpartition(" ")
    parts = [_PART.sub(_in_chinese, each) for each in limits.split(", ")]
    return f"{policy} {_SEVERITIES.get(severity, severity)}：{'、'.join(parts)}"


def _in_chinese(found: re.Match[str]) -> str:
    stage, amount, unit = found.groups()
    return f"{_STAGES[stage]} {amount} {_UNITS.get(unit, '分钟')}"
