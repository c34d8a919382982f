"""Who may quiet what, for how long: the checks of a shelf, silence or window before it is written. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from alerts.lifecycle import DESK_ROLES, Role
from alerts.matching import LABELS, OPERATORS, PLACES, Matcher, stored_matchers
from alerts.quiet_decisions import QuietKind, weekly_of
from alerts.words import Words
from core.clock import DAY, HOUR

QUIET_ROLES: frozenset[Role] = DESK_ROLES | {"leader"}
"""Who may quiet alerts."""
LIFE_SAFETY_ROLES: frozenset[Role] = frozenset({"leader", "admin"})
"""Who may quiet alerts on which lives depend."""
_MOST_PLACES = 10
_MOST_VALUES = 500
_LONGEST_VALUE = 200

QUIET_REFUSALS: dict[str, Words] = {
    "not_allowed": Words("您的角色不能屏蔽报警", "Your role may not quiet alerts"),
    "leader_only": Words(
        "涉及生命安全，只有值班领导或管理员可以屏蔽",
        "Lives depend on it: only a leader or an administrator may quiet it",
    ),
    "life_safety_named": Words(
        "该报警涉及生命安全，须明确选择“含生命安全”",
        "Lives depend on this alert: say so expressly to quiet it",
    ),
    "name_a_place": Words(
        "涉及生命安全的屏蔽须指明设备或点位（最多 10 个）",
        "What quiets matters of life and safety must name its devices or sites, 10 at most",
    ),
    "confirm_wide": Words(
        "范围覆盖 {devices} 台设备，超过全镇 {all} 台的一半：请缩小范围，或勾选确认（接口：confirm 为 true）",
        "It covers {devices} devices, over half of the town's {all}: narrow it, or confirm it (API: confirm, true)",
    ),
    "confirm_life_safety": Words(
        "将屏蔽涉及生命安全的报警（范围内 {devices} 台设备，全镇 {all} 台）：请勾选确认（接口：confirm 为 true）",
        "It quiets what lives depend on ({devices} devices of the town's {all}): confirm it (API: confirm, true)",
    ),
    "needs_reason": Words("请写明原因", "Please say why"),
    "needs_matchers": Words("请至少给出一个条件", "Please give at least one condition"),
    "unknown_label": Words("没有“{label}”这个标签", "There is no label “{label}”"),
    "bad_matcher": Words("条件不完整或不能识别", "A condition is incomplete or can't be read"),
    "bad_schedule": Words(
        "请给出星期和起止时间，如 22:00 至 06:00（可跨零点）",
        "Please give days of the week and hours, such as 22:00 to 06:00 (midnight may lie between)",
    ),
    "ends_before_it_starts": Words("结束时间须晚于开始时间和现在", "It must end after it starts, and after now"),
    "bad_moment": Words(
        "请填写确实存在的日期和时间，如 2026-12-31 18:00",
        "Please give a date and time that exist, such as 2026-12-31 18:00",
    ),
    "too_long": Words("最长 {zh}", "At most {en}"),
    "unknown_alert": Words("没有这个报警", "There is no such alert"),
    "not_open": Words("该报警已结束", "This alert is over"),
    "unknown_quiet": Words("没有这个屏蔽", "There is no such shelf, silence or window"),
    "over": Words("该屏蔽已结束", "It is over already"),
}


class QuietRefused(ValueError):
    """A quiet that is not made or ended: `reason` is a key of QUIET_REFUSALS, `text` and `text_en` say it."""

    def __init__(self, reason: str, **facts: str) -> None:
        words = QUIET_REFUSALS[reason]
        self.reason = reason
        self.text, self.text_en = words.zh.format(**facts), words.en.format(**facts)
        super().__init__(f"{reason}: {self.text_en}")


class QuietLimits(NamedTuple):
    """How long a quiet may be, µs from its start to its end; `life_…` of what holds life-safety alerts too."""

    shelf: int = 8 * HOUR
    silence: int = 7 * DAY
    window: int = 366 * DAY
    life_shelf: int = HOUR
    life_other: int = 4 * HOUR

    def of(self, kind: QuietKind, life_safety: bool) -> int:
        """The maximum of a kind."""
        if life_safety:
            return self.life_shelf if kind == "shelf" else self.life_other
        return {"shelf": self.shelf, "silence": self.silence, "window": self.window}[kind]


LIMITS = QuietLimits()


class Asked(NamedTuple):
    """A quiet that somebody asks for; times µs UTC, `schedule` the weekly hours of a window."""

    kind: QuietKind
    matchers: tuple[Matcher, ...]
    starts_at: int
    ends_at: int
    reason: str
    life_safety: bool = False
    one_shot: bool = False
    schedule: Mapping[str, Any] = {}


def check_quiet(asked: Asked, role: Role, now: int, limits: QuietLimits = LIMITS) -> None:
    """Judge what is asked for. Raises QuietRefused."""
    if role not in QUIET_ROLES:
        raise QuietRefused("not_allowed")
    if asked.life_safety and role not in LIFE_SAFETY_ROLES:
        raise QuietRefused("leader_only")
    if not asked.reason.strip():
        raise QuietRefused("needs_reason")
    check_matchers(asked)
    _check_times(asked, now, limits)


def read_matchers(given: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    """Matchers as somebody wrote them. Raises QuietRefused."""
    try:
        found = stored_matchers(given)
    except (KeyError, TypeError) as error:
        raise QuietRefused("bad_matcher") from error
    return found


def check_matchers(asked: Asked) -> None:
    """Judge the conditions alone. Raises QuietRefused."""
    if not asked.matchers:
        raise QuietRefused("needs_matchers")
    for each in asked.matchers:
        if each.label not in LABELS:
            raise QuietRefused("unknown_label", label=str(each.label))
        named = all(_names_something(value) for value in each.values)
        if each.op not in OPERATORS or not 0 < len(each.values) <= _MOST_VALUES or not named:
            raise QuietRefused("bad_matcher")
        if each.op != "in" and len(each.values) > 1:
            raise QuietRefused("bad_matcher")
    if asked.life_safety and not any(_names_a_place(each) for each in asked.matchers):
        raise QuietRefused("name_a_place")


def _names_something(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_VALUE and value.isprintable()


def _names_a_place(one: Matcher) -> bool:
    return one.label in PLACES and one.op != "!=" and len(one.values) <= _MOST_PLACES


def _in_words(span: int) -> dict[str, str]:
    if span % DAY:
        return {"zh": f"{span // HOUR} 小时", "en": f"{span // HOUR} h"}
    return {"zh": f"{span // DAY} 天", "en": f"{span // DAY} days"}


def _check_times(asked: Asked, now: int, limits: QuietLimits) -> None:
    if asked.ends_at <= max(asked.starts_at, now):
        raise QuietRefused("ends_before_it_starts")
    longest = limits.of(asked.kind, asked.life_safety)
    if asked.ends_at - asked.starts_at > longest:
        raise QuietRefused("too_long", **_in_words(longest))
    try:
        weekly = weekly_of(asked.schedule)
    except (KeyError, TypeError, ValueError) as error:
        raise QuietRefused("bad_schedule") from error
    if (weekly is not None) != (asked.kind == "window"):
        raise QuietRefused("bad_schedule")
