"""What is wrong with a setting, Chinese first: the common faults that pydantic finds, in words of an operator."""

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "extra_forbidden": ("没有这个设置", "there is no such setting"),
    "missing": ("缺少这一项", "is missing"),
    "int_parsing": ("要写整数", "must be a whole number"),
    "int_type": ("要写整数", "must be a whole number"),
    "int_from_float": ("要写整数", "must be a whole number"),
    "float_parsing": ("要写数字", "must be a number"),
    "float_type": ("要写数字", "must be a number"),
    "bool_parsing": ("要写 true 或 false", "must be true or false"),
    "bool_type": ("要写 true 或 false", "must be true or false"),
    "string_type": ("要写文字（加引号）", "must be a text, in quotes"),
    "string_pattern_mismatch": ("写法不对，要符合 {pattern}", "must match {pattern}"),
    "list_type": ("要写列表 […]", "must be a list […]"),
    "dict_type": ("要写成一节 [{key}]", "must be a table [{key}]"),
    "model_type": ("要写成一节 [{key}]", "must be a table [{key}]"),
    "model_attributes_type": ("要写成一节 [{key}]", "must be a table [{key}]"),
    "greater_than": ("要大于 {gt}", "must be greater than {gt}"),
    "greater_than_equal": ("不能小于 {ge}", "must not be less than {ge}"),
    "less_than": ("要小于 {lt}", "must be less than {lt}"),
    "less_than_equal": ("不能大于 {le}", "must not be greater than {le}"),
    "literal_error": ("可选 {expected}", "must be {expected}"),
    "string_too_short": ("至少 {min_length} 个字符", "must have at least {min_length} characters"),
    "string_too_long": ("最多 {max_length} 个字符", "must have at most {max_length} characters"),
}
"""By pydantic's name of the fault."""


def words_of(fault: Mapping[str, Any]) -> str:
    """A fault as `ValidationError.errors` lists it, in both languages; others, and our own, as they came.

    >>> words_of({"type": "greater_than", "loc": ("keep_days",), "msg": "…", "ctx": {"gt": 0}})
    '要大于 0 · must be greater than 0'
    """
    if fault["type"] not in _WORDS:
        return str(fault["msg"]).removeprefix("Value error, ")
    known = {**fault.get("ctx", {}), "key": ".".join(str(part) for part in fault["loc"])}
    zh, en = _WORDS[fault["type"]]
    return f"{zh} · {en}".format_map(known)


def begins_with(*known: str) -> str:
    """That a value must begin with one of these.

    >>> begins_with("http://", "https://")
    '要以 http:// 或 https:// 开头 · must begin with http:// or https://'
    """
    return f"要以 {' 或 '.join(known)} 开头 · must begin with {' or '.join(known)}"
