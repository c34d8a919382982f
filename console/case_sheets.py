"""The tables of an evidence pack: everything that happened in order, and the readings with their quality in words."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from alerts.case_file import CaseFile, SeriesSpan
from alerts.channels.explanations import explained
from alerts.measurements import Language
from alerts.words import PLATFORM, Row
from console.case_words import action_name, masked, quality_words, status_name
from console.deadline_words import rule_text
from console.language import named
from core.clock import SECOND, local
from ingest.words import Block

BOM = "\ufeff"
"""Without it a spreadsheet takes the file for the machine's old code page."""
TIMELINE: Mapping[Language, Sequence[str]] = {
    "en": ("utc", "local", "what", "who", "from", "to", "reason", "said", "details"),
    "zh": ("协调世界时", "当地时间", "事项", "人员", "原状态", "新状态", "原因", "说明", "细节（供程序读取）"),
}
READINGS: Mapping[Language, Sequence[str]] = {
    "en": ("series", "device", "metric", "unit", "utc", "local", "value", "quality", "received_utc"),
    "zh": ("序列", "设备", "指标", "单位", "协调世界时", "当地时间", "数值", "质量", "收到（协调世界时）"),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NOTICE_TIMES = (
    ("created_at", "notice_queued"),
    ("requested_at", "notice_requested"),
    ("accepted_at", "notice_accepted"),
    ("delivered_at", "notice_delivered"),
    ("acknowledged_at", "notice_acknowledged"),
)


class Event(NamedTuple):
    """Something that happened at `at`; of one moment the lower `rank` comes first."""

    at: int
    rank: int
    what: str
    who: str = ""
    before: str = ""
    after: str = ""
    reason: str = ""
    said: str = ""
    details: Mapping[str, Any] = MappingProxyType({})


def events(case: CaseFile) -> list[Event]:
    """What happened to a ticket, its alerts, notices, clocks and photos, in order."""
    found = [*_of_alerts(case), *_of_log(case), *_of_notices(case), *_of_timers(case), *_of_photos(case)]
    return sorted(found, key=lambda each: (each.at, each.rank))


def timeline_lines(case: CaseFile, language: Language, phones: bool) -> Iterator[str]:
    """The timeline as lines of CSV."""
    yield BOM + _line(TIMELINE[language])
    for each in events(case):
        shown = each if phones else Event(*each[:6], *(masked(value) for value in each[6:]))
        what = action_name(language, shown.what)
        before, after = status_name(language, shown.before), status_name(language, shown.after)
        reason = named(language, _reasons_of(shown.what), shown.reason) if shown.reason else ""
        detail = explained(shown.said, language) if shown.what == "attempt" else shown.said
        details = (
            msgspec.json.encode(_worded(shown.details, language), order="sorted").decode() if shown.details else ""
        )
        platform = shown.who == PLATFORM
        people = named(language, "who", shown.who) if platform else case.name("person", shown.who)
        yield _line([utc(each.at), clock(each.at), what, people, before, after, reason, detail, details])


def _reasons_of(what: str) -> str:
    """The family of words that the reason of an event belongs to."""
    if what.startswith("notice_"):
        return "cause"
    return "closed_how" if what == "alert_closed" else "because"


def _worded(details: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """The details with the rule of a deadline in words; the rest is for programs."""
    kept = dict(details)
    if isinstance(kept.get("clock"), str) and isinstance(kept.get("rule"), str):
        kept["rule"] = rule_text(language, kept["rule"])
    return kept


def readings_head(language: Language) -> str:
    """The first line of the readings."""
    return BOM + _line(READINGS[language])


def readings_lines(span: SeriesSpan, unit: str, blocks: Iterable[Block], language: Language) -> Iterator[str]:
    """A series' readings within its span as lines of CSV, in the order in which they were known."""
    for block in blocks:
        columns = (block.at.tolist(), block.value.tolist(), block.quality.tolist(), block.received_at.tolist())
        for at, value, quality, received in zip(*columns, strict=True):
            if span.since <= at < span.until:
                times = utc(at), clock(at), repr(value), quality_words(language, quality), utc(received)
                yield _line([span.number, span.device, span.metric, unit, *times])


def utc(at: int) -> str:
    """A moment in UTC with microseconds.

    >>> utc(1_790_000_000 * SECOND + 42)
    '2026-09-21T14:13:20.000042Z'
    """
    whole = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % SECOND:06d}Z"


def clock(at: int) -> str:
    """A moment in local time with microseconds and its offset."""
    return local(at).isoformat(timespec="microseconds")


def _line(cells: Sequence[object]) -> str:
    """One line; no text is taken for a formula."""
    written = io.StringIO()
    safe = (
        f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) and not _is_number(cell) else cell
        for cell in cells
    )
    csv.writer(written, lineterminator="\r\n").writerow(list(safe))
    return written.getvalue()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _of_alerts(case: CaseFile) -> Iterator[Event]:
    for each in case.alerts:
        kept = ("rule", "subject_kind", "subject_id", "severity", "value", "limit", "rules_version")
        details = {"alert": each["id"], **{name: each[name] for name in kept}}
        yield Event(each["onset"], 0, "alert_began", details=details)
        yield Event(each["opened_at"], 1, "alert_opened", reason=each["reason"], details=details)
        if each["closed_at"] is not None:
            yield Event(each["closed_at"], 1, "alert_closed", reason=each["closed_how"] or "", details=details)


def _of_log(case: CaseFile) -> Iterator[Event]:
    for each in case.log:
        before = each["from_status"] or ""
        what = (each["action"], each["who"], before, each["to_status"], each["reason"], each["opinion"])
        yield Event(each["at"], 2, *what, each["details"])


def _of_notices(case: CaseFile) -> Iterator[Event]:
    for each in case.notices:
        to = {"notice": each["id"], "kind": each["recipient_kind"], "to": each["recipient"], "channel": each["channel"]}
        for column, what in _NOTICE_TIMES:
            if each[column] is not None:
                yield Event(each[column], 3, what, reason=each["cause"], details=to | {"step": each["step"]})
        for attempt in case.tries.get(each["id"], ()):
            yield Event(attempt["started_at"], 4, "attempt", said=attempt["detail"], details=to | _attempt(attempt))


def _attempt(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("outcome", "code", "finished_at")}


def _of_timers(case: CaseFile) -> Iterator[Event]:
    for each in case.timers:
        kept = {name: each[name] for name in ("stage", "clock", "due_at", "paused", "state", "rule")}
        yield Event(each["started_at"], 5, "timer_started", details=kept)
        if each["ended_at"] is not None:
            yield Event(each["ended_at"], 5, "timer_ended", details=kept)


def _of_photos(case: CaseFile) -> Iterator[Event]:
    for each in case.photos:
        kept = {name: each[name] for name in ("id", "sha256", "lng", "lat", "taken_at")}
        yield Event(each["received_at"], 6, "photo", each["who"], said=each["note"], details=kept)
