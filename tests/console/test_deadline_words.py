"""The rule of a deadline in words: every one that the platform makes, and none that it does not know half."""

import pytest

from alerts.deadlines import DEFAULT_LIMITS, DeadlinePolicy, Limits, Span, deadlines
from alerts.working_time import WorkCalendar
from console.deadline_words import rule_text
from core.clock import MINUTE, SECOND
from detectors.words import Severity


@pytest.mark.parametrize("level", DEFAULT_LIMITS)
def test_every_rule_of_the_platform_has_its_words(level: Severity) -> None:
    rule = deadlines(level, 1_790_000_000 * SECOND, DeadlinePolicy("镇九"), WorkCalendar()).rule
    said = rule_text("zh", rule)
    assert said.startswith("镇九 ")
    assert not [each for each in said if each.isascii() and each.isalpha()]
    assert rule_text("en", rule) == rule


@pytest.mark.parametrize("stage", ["verify", "register", "assign", "check", "reply"])
@pytest.mark.parametrize(
    ("span", "words"),
    [
        (Span("running", 90 * MINUTE), "90 分钟"),
        (Span("hours", 60 * MINUTE), "1 小时（工作时间）"),
        (Span("hours", 90 * MINUTE), "90 分钟（工作时间）"),
        (Span("days", 2), "2 个工作日"),
        (Span("natural", 3), "3 个自然日"),
    ],
)
def test_a_stage_of_any_span_has_its_words(stage: str, span: Span, words: str) -> None:
    assert rule_text("zh", f"by hand alarm: {stage} {span}").endswith(words)
    assert rule_text("zh", f"by hand alarm: {stage} {span}").startswith("人工指定 ")


@pytest.mark.parametrize(
    "rule", ["", "x", "a critical: dance 5 min", "a critical: accept 5 weeks", str(Limits(Span("days", 1)))]
)
def test_what_is_not_known_stays_as_it_is(rule: str) -> None:
    assert rule_text("zh", rule) == rule
