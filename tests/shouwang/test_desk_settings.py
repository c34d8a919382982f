"""The desk's policies as settings: spans as people say them, over the defaults, and every fault with its place."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from alerts.deadlines import Span
from alerts.escalation import Step
from alerts.inhibition import Inhibitor
from alerts.matching import matcher
from alerts.settings import DEFAULTS
from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE, SECOND
from detectors.words import Severity
from shouwang.desk_settings import DeskSection, micros_of, span_of
from shouwang.settings import Settings, SettingsError, load_settings, masked

WRITTEN = """
[desk]
quiet_hours = "22:00-06:30"

[desk.joining]
radius = 80
window = "1 h"

[desk.dispatch]
first_told = 5
rest = "40 min"
shifts = { day = [7, 19] }

[desk.deadlines]
name = "wangting-2"
critical = { accept = "3 min", done = "90 min" }
warning = { done = "2 working days" }

[desk.calendar]
opens = 9
overrides = { 2027-02-10 = false }

[[desk.escalation.critical.accept]]
after = "1 min"
tell = ["next_recipients"]
widen = 3

[[desk.escalation.critical.accept]]
after = "0 s"
since = "deadline"
tell = ["leader", "dispatchers"]
repeat = "5 min"

[[desk.inhibitors]]
name = "pump_station_dry"
source = [{ label = "rule", value = "canal.pump_off" }]
target = [{ label = "hazard", op = "in", value = ["canal", "flood"] }]
equal = ["site"]
"""


def written(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "shouwang.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def test_nothing_written_is_the_platforms_own() -> None:
    assert DeskSection().policies() == DEFAULTS


def test_what_is_written_goes_over_the_defaults(tmp_path: Path) -> None:
    desk = written(tmp_path, WRITTEN).desk.policies()
    assert (desk.joining.radius, desk.joining.window, desk.joining.road_radius) == (80, HOUR, 300)
    assert (desk.dispatch.first_told, desk.dispatch.rest, desk.dispatch.shifts.day) == (5, 40 * MINUTE, (7, 19))
    assert desk.dispatch.shifts.night == DEFAULTS.dispatch.shifts.night
    assert desk.deadlines.name == "wangting-2"
    critical = desk.deadlines.limits[Severity.CRITICAL]
    assert (critical.accept, critical.done) == (Span("running", 3 * MINUTE), Span("running", 90 * MINUTE))
    assert critical.arrive == DEFAULTS.deadlines.limits[Severity.CRITICAL].arrive
    assert desk.deadlines.limits[Severity.WARNING].done == Span("days", 2)
    assert desk.calendar.opens == 9
    assert desk.quiet_hours == "22:00-06:30"
    source, target = (matcher("rule", "=", "canal.pump_off"),), (matcher("hazard", "in", "canal", "flood"),)
    assert desk.inhibitors == (Inhibitor("pump_station_dry", source, target, ("site",)),)
    assert not desk.calendar.day(date(2027, 2, 10)).worked
    steps = desk.escalation.steps[Severity.CRITICAL]
    assert steps["accept"] == (
        Step(Span("running", MINUTE), ("next_recipients",), widen=3),
        Step(Span("running", 0), ("leader", "dispatchers"), "deadline", repeat=Span("running", 5 * MINUTE)),
    )
    assert steps["arrive"] == DEFAULTS.escalation.steps[Severity.CRITICAL]["arrive"]
    assert desk.escalation.name == "town"


def test_limits_without_a_name_are_not_called_the_platforms_own(tmp_path: Path) -> None:
    assert written(tmp_path, '[desk.deadlines.alarm]\ndone = "1 h"\n').desk.policies().deadlines.name == "town"


def test_they_are_shown_as_they_are_written(tmp_path: Path) -> None:
    shown = masked(written(tmp_path, WRITTEN))["desk"]
    assert shown["deadlines"]["critical"]["accept"] == "3 min"
    assert shown["deadlines"]["warning"]["done"] == "2 working days"
    assert shown["joining"]["window"] == "1 h"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0 s", Span("running", 0)),
        ("90 s", Span("running", 90 * SECOND)),
        ("1.5 h", Span("running", 90 * MINUTE)),
        ("30min", Span("running", 30 * MINUTE)),
        ("4 working hours", Span("hours", 4 * HOUR)),
        ("1 working day", Span("days", 1)),
        ("7 days", Span("natural", 7)),
    ],
)
def test_a_span_as_people_say_it(text: str, span: Span) -> None:
    assert span_of(text) == span


@pytest.mark.parametrize(
    "text", ["", "5", 5, "five min", "-1 min", "1.5 days", "3 working s", "1 week", "1001 days", None]
)
def test_what_is_no_span_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        span_of(text)


def test_an_ordinary_span_knows_no_working_time() -> None:
    assert micros_of("2 days") == 2 * DAY
    with pytest.raises(ValueError, match="ordinary clock"):
        micros_of("2 working days")


@pytest.mark.parametrize("longest", ["1000 working days", "24000 working hours", "1000 days", "24000 h"])
def test_the_longest_span_ends_on_a_day_that_calendars_have(longest: str) -> None:
    assert span_of(longest).after(1_790_000_000 * SECOND, WorkCalendar(overrides={})) < 2**53
    with pytest.raises(ValueError, match="at most 1000 days"):
        span_of(longest.replace("0 ", "9 ", 1))


@pytest.mark.parametrize("hours", [[8, 30], [-1, 8], [25, 6]])
def test_a_shift_has_hours_of_a_day(hours: list[int]) -> None:
    with pytest.raises(ValueError, match="equal to"):
        DeskSection(dispatch={"shifts": {"day": hours}})  # type: ignore[arg-type]


STEP: dict[str, Any] = {"after": "5 min", "tell": ["leader"]}


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{**STEP, "repeat": "5 min"}, {**STEP, "after": "9 min"}], "only the last step"),
        ([{**STEP, "repeat": "5 s"}], "more often than once a minute"),
        ([STEP, STEP], "must come later"),
        ([{**STEP, "tell": ["mayor"]}], "next_recipients"),
        ([{**STEP, "tell": []}], "at least 1"),
    ],
)
def test_a_policy_that_can_t_be_meant_is_refused(steps: list[Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        DeskSection(escalation={"alarm": {"accept": steps}})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spoilt", "problem"),
    [
        ({"equal": ["colour"]}, "no label colour"),
        ({"source": [{"label": "colour", "value": "red"}]}, "可选 rule"),
        ({"target": [{"label": "site", "value": ["A", "B"]}]}, 'need "in"'),
        ({"target": []}, "at least 1"),
    ],
)
def test_an_inhibitor_that_can_t_be_meant_is_refused(spoilt: dict[str, Any], problem: str) -> None:
    sound = {"name": "x", "source": [{"label": "rule", "value": "a"}], "target": [{"label": "rule", "value": "b"}]}
    with pytest.raises(ValueError, match=problem):
        DeskSection(inhibitors=[{**sound, "equal": ["site"], **spoilt}])  # type: ignore[list-item]


def test_each_fault_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_DESK__STORM__SITES", "1")
    monkeypatch.setenv("SHOUWANG_DESK__QUIET_HOURS", "22-6")
    with pytest.raises(SettingsError) as told:
        written(
            tmp_path,
            '[desk.joining]\nwindow = "soon"\n[desk.calendar]\nopens = 20\ncloses = 9\n[heartbeat]\nurl = "x"\n',
        )
    text = "\n".join(told.value.problems)
    for place in ("desk.joining.window", "desk.calendar", "heartbeat.url", "DESK__STORM__SITES", "DESK__QUIET_HOURS"):
        assert place in text


def test_the_heartbeats_address_is_a_secret(tmp_path: Path) -> None:
    settings = written(tmp_path, '[heartbeat]\nurl = "https://beats.example/ping/s3cret"\n')
    assert "s3cret" not in repr(settings)
    assert masked(settings)["heartbeat"] == {"url": "********", "every_s": 60}
