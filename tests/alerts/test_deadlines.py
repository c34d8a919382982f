"""Deadlines run on the right clocks: day and night, working hours, working days with shifted workdays."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.deadlines import DeadlinePolicy, Deadlines, deadlines
from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE, local
from detectors.words import Severity
from tests.alerts.desk_scene import at_local

CALENDAR = WorkCalendar()
POLICY = DeadlinePolicy()

moments = st.integers(at_local("2024-01-01 00:00"), at_local("2028-12-31 00:00"))
amounts = st.integers(1, 60 * HOUR)


def due(severity: Severity, start: str) -> Deadlines:
    return deadlines(severity, at_local(start), POLICY, CALENDAR)


def test_critical_runs_day_and_night() -> None:
    start = at_local("2026-10-03 23:30")  # in the National Day holiday
    found = deadlines(Severity.CRITICAL, start, POLICY, CALENDAR)
    assert found[:3] == (start + 5 * MINUTE, start + 30 * MINUTE, start + 2 * HOUR)


@pytest.mark.parametrize(
    ("severity", "start", "end"),
    [
        (Severity.ALARM, "2026-09-21 10:00", "2026-09-21 14:00"),
        (Severity.ALARM, "2026-09-21 16:00", "2026-09-22 10:00"),
        (Severity.ALARM, "2026-09-30 17:00", "2026-10-08 11:00"),  # over the National Day holiday
        (Severity.ALARM, "2026-10-10 09:00", "2026-10-10 13:00"),  # a Saturday that is worked
        (Severity.WARNING, "2026-09-21 10:00", "2026-09-22 10:00"),
        (Severity.WARNING, "2026-09-21 20:00", "2026-09-22 18:00"),
        (Severity.NOTICE, "2026-09-14 09:00", "2026-09-20 09:00"),  # that Sunday makes up for National Day
    ],
)
def test_working_clocks_skip_nights_and_holidays_and_use_shifted_workdays(
    severity: Severity, start: str, end: str
) -> None:
    assert due(severity, start).done_by == at_local(end)


def test_acceptance_of_an_alarm_runs_at_night_too() -> None:
    assert due(Severity.ALARM, "2026-09-21 23:00").accept_by == at_local("2026-09-21 23:15")
    assert due(Severity.WARNING, "2026-09-21 10:00").accept_by is None


def test_the_rule_used_is_named() -> None:
    assert due(Severity.ALARM, "2026-09-21 10:00").rule == "default-1 alarm: accept 15 min, done 4 h working"
    assert due(Severity.NOTICE, "2026-09-21 10:00").rule == "default-1 notice: done 5 working days"


def test_a_rise_never_gives_more_time() -> None:
    before = due(Severity.ALARM, "2026-09-21 10:00")
    late = due(Severity.CRITICAL, "2026-09-21 13:30").tightened(before)
    assert late.done_by == before.done_by
    assert late.accept_by == before.accept_by
    assert late.arrive_by == at_local("2026-09-21 14:00")
    assert late.rule.startswith("default-1 critical")


def test_years_without_a_published_calendar_have_plain_weekends_and_say_so() -> None:
    saturday = date(2090, 1, 7)
    assert CALENDAR.day(saturday) == (False, "weekends_only")
    assert WorkCalendar(overrides={saturday: True}).day(saturday) == (True, "override")


@pytest.mark.parametrize("hours", [(18, 8), (8, 8), (-1, 8), (8, 24)])
def test_impossible_hours_are_refused(hours: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="opens before"):
        WorkCalendar(*hours)


@given(moments, amounts)
def test_after_and_between_are_inverse(start: int, worked: int) -> None:
    assert CALENDAR.between(start, CALENDAR.after(start, worked)) == worked


@given(moments, amounts, st.integers(0, 20 * DAY), amounts)
def test_later_starts_and_longer_work_never_end_earlier(start: int, worked: int, later: int, more: int) -> None:
    end = CALENDAR.after(start, worked)
    assert CALENDAR.after(start + later, worked) >= end
    assert CALENDAR.after(start, worked + more) > end


@given(moments, amounts)
def test_a_working_clock_never_ends_outside_working_hours(start: int, worked: int) -> None:
    end = local(CALENDAR.after(start, worked))
    closing = end.replace(hour=CALENDAR.closes, minute=0, second=0, microsecond=0)
    assert CALENDAR.day(end.date()).worked
    assert end.replace(hour=CALENDAR.opens, minute=0, second=0, microsecond=0) < end <= closing


@given(moments, st.integers(1, CALENDAR.day_span), st.integers(1, 30))
def test_whole_working_days_end_at_the_same_local_time(start: int, into: int, days: int) -> None:
    """No clock change bends an hour: started in working hours, the local time of day stays."""
    spans = CALENDAR.spans(start)
    next(spans)  # it may be cut
    opened = next(spans)[0] + into
    end = CALENDAR.after(opened, days * CALENDAR.day_span)
    assert local(end).time() == local(opened).time()
    assert (end - opened) % DAY == 0


@given(moments, st.sampled_from([Severity.NOTICE, Severity.WARNING, Severity.ALARM, Severity.CRITICAL]))
def test_the_graver_the_sooner_within_a_working_day(start: int, severity: Severity) -> None:
    found = deadlines(severity, start, POLICY, CALENDAR)
    assert start < found.done_by <= start + timedelta(days=30) // timedelta(microseconds=1)
    if found.accept_by is not None:
        assert start < found.accept_by <= (found.arrive_by or found.done_by)
