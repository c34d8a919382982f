"""What a case file says, section by section, as names with values and as tables of texts."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from alerts.case_file import CaseFile
from alerts.measurements import Language, measurement_of
from alerts.words import Row
from console.case_words import (
    action_name,
    masked_phone,
    moment,
    said,
    second,
    source_name,
    status_name,
    told,
    without_mobiles,
)
from console.deadline_words import rule_text
from console.language import named, number, span
from console.settled import settled

_MOST_ROWS = 200


class Pairs(NamedTuple):
    """Names with their values."""

    rows: list[tuple[str, str]]


class Grid(NamedTuple):
    """A table: its head, its rows, and the share of the width that each column has."""

    head: list[str]
    rows: list[list[str]]
    shares: list[int]


class Section(NamedTuple):
    """A part of the case file; `heading` is a label."""

    heading: str
    blocks: Sequence[Pairs | Grid | str]


class _Case(NamedTuple):
    case: CaseFile
    language: Language
    phones: bool

    @property
    def ticket(self) -> Row:
        return self.case.ticket

    def say(self, key: str, **values: object) -> str:
        return said(self.language, key, **values)

    def phone(self, value: str | None) -> str:
        return (value or "") if self.phones else masked_phone(value or "")

    def named(self, row: Row | None) -> str:
        if row is None:
            return ""
        name = row["name_en"] if self.language == "en" and row.get("name_en") else row["name"]
        return f"{name}（{row['code']}）"


def sections(case: CaseFile, language: Language, phones: bool) -> list[Section]:
    """The case file without its pictures."""
    about = _Case(case, language, phones)
    made: tuple[tuple[str, Callable[[_Case], Sequence[Pairs | Grid | str]]], ...] = (
        ("facts", _facts),
        ("times", _times),
        ("deadlines", _deadlines),
        ("alerts", _alerts),
        ("dispatch", _dispatch),
        ("notices", _notices),
        ("log", _log),
    )
    found = [Section(heading, blocks(about)) for heading, blocks in made]
    return found if phones else [Section(each.heading, [_masked(block) for block in each.blocks]) for each in found]


def _masked(block: Pairs | Grid | str) -> Pairs | Grid | str:
    """Whatever text a mobile number was written into."""
    if isinstance(block, str):
        return without_mobiles(block)
    if isinstance(block, Pairs):
        return Pairs([(name, without_mobiles(value)) for name, value in block.rows])
    return block._replace(rows=[[without_mobiles(cell) for cell in row] for row in block.rows])


def _facts(about: _Case) -> list[Pairs | Grid | str]:
    row, say = about.ticket, about.say
    grave = say("yes" if row["life_safety"] else "no")
    position = "" if row["lng"] is None else f"{row['lng']:.6f}, {row['lat']:.6f}"
    place = about.named(about.case.site)
    contact = (
        "" if about.case.site is None else _joined(about.case.site["contact"], about.phone(about.case.site["phone"]))
    )
    related = "；".join(f"{told(about.language, kind)} {which}" for kind, which in about.case.related.items())
    values = {
        "number": row["number"],
        "status": status_name(about.language, row["status"]),
        "source": source_name(about.language, row["source"]),
        "outside": _joined(row["source_system"], row["outside_number"]),
        "category": named(about.language, "category", row["category"]),
        "class_code": row["class_code"],
        "component_code": row["component_code"],
        "hazard": named(about.language, "hazard", row["hazard"]),
        "severity": named(about.language, "severity", row["severity"]),
        "life_safety": grave,
        "place": place,
        "area": " / ".join(filter(None, (about.named(about.case.village), about.named(about.case.grid)))),
        "address": row["address"],
        "position": position,
        "contact": contact,
        "reporter": _joined(row["reporter"], about.phone(row["reporter_phone"])),
        "result": _joined(
            named(about.language, "result", row["result"] or ""), named(about.language, "cause_of", row["result_cause"])
        ),
        "related": related,
        "description": row["description"],
    }
    listed = Pairs([(say(name), value) for name, value in values.items() if value])
    return [listed] if about.phones else [listed, say("phones")]


def _joined(*parts: str | None) -> str:
    return "　".join(part for part in parts if part)


_STAGE_TIMES = (
    *("reported_at", "verified_at", "registered_at", "dispatched_at", "accepted_at", "on_scene_at", "handled_at"),
    *("checked_at", "closed_at", "recovered_at"),
)


def _times(about: _Case) -> list[Pairs | Grid | str]:
    row, who = about.ticket, {"accepted_at": "accepted_by", "handled_at": "handled_by"}
    listed = [
        (about.say(name), _joined(moment(row[name]), about.case.name("person", row[who[name]]) if name in who else ""))
        for name in _STAGE_TIMES
        if row[name] is not None
    ]
    return [Pairs(listed)]


def _deadlines(about: _Case) -> list[Pairs | Grid | str]:
    row, say = about.ticket, about.say
    listed = [(say(name), moment(row[name])) for name in ("accept_by", "arrive_by", "done_by") if row[name] is not None]
    listed += [(say("paused"), span(about.language, row["paused"]))] if row["paused"] else []
    listed += [(say(name), str(row[name])) for name in ("extensions", "reworks") if row[name]]
    rule = rule_text(about.language, row["deadline_rule"])
    listed += [(say("deadline_rule"), rule)] if rule else []
    blocks: list[Pairs | Grid | str] = [Pairs(listed)] if listed else []
    if about.case.timers:
        head = [say(name) for name in ("stage", "clock", "began", "due", "ended", "paused", "state", "deadline_rule")]
        timers = [_timer(about, each) for each in about.case.timers]
        blocks.append(Grid(head, timers, [7, 9, 15, 15, 15, 7, 7, 18]))
    return blocks


def _timer(about: _Case, row: Row) -> list[str]:
    return [
        told(about.language, row["stage"]),
        told(about.language, row["clock"]),
        second(row["started_at"]),
        second(row["due_at"]),
        second(row["ended_at"]),
        span(about.language, row["paused"]) if row["paused"] else "",
        told(about.language, f"timer.{row['state']}"),
        rule_text(about.language, row["rule"]),
    ]


def _alerts(about: _Case) -> list[Pairs | Grid | str]:
    head = [about.say(name) for name in ("subject", "rule", "severity", "value", "limit", "began", "ended")]
    listed = [_alert(about, each) for each in about.case.alerts[:_MOST_ROWS]]
    return _cut(about, Grid(head, listed, [16, 30, 8, 12, 10, 13, 13]), about.case.alert_count)


def _alert(about: _Case, row: Row) -> list[str]:
    rule = about.case.rules.get(row["id"])
    unit = rule.unit if rule else ""
    measured = measurement_of(row, unit)
    limit = measured.limit_text
    version = f"{row['rule']}　{about.say('version')} {row['rules_version']}"
    basis = f"{about.say('standard')}：{_joined(rule.standard, rule.edition)}" if rule and rule.standard else ""
    return [
        about.case.name(row["subject_kind"], row["subject_id"]),
        _joined(rule.title(about.language) if rule else "", version, basis),
        named(about.language, "severity", row["severity"]),
        measured.text(about.language) or number(row["value"], 2),
        f"{limit} {measured.unit}".strip() if limit else "—",
        second(row["onset"]),
        second(row["closed_at"]),
    ]


def _dispatch(about: _Case) -> list[Pairs | Grid | str]:
    choice = about.ticket["assignment"] or {}
    if not choice:
        return []
    language, say = about.language, about.say
    distance = choice.get("station_distance")
    listed = [
        (say("reason"), named(language, "assigned", choice.get("reason", ""))),
        (say("team"), about.case.name("team", about.ticket["team"])),
        (say("station"), about.case.name("station", about.ticket["station"])),
        (say("distance"), "" if distance is None else f"{number(distance, 0)} m"),
        (say("way"), _way(language, choice.get("way", ""))),
        (say("shortfalls"), "、".join(named(language, "assigned", each) for each in choice.get("shortfalls", ()))),
    ]
    head = [say(name) for name in ("candidate", "chosen", "step", "distance", "way", "reason")]
    candidates = [_candidate(about, each) for each in choice.get("candidates", ())]
    more = {named(language, "assigned", reason): count for reason, count in choice.get("more", {}).items()}
    blocks: list[Pairs | Grid | str] = [Pairs([pair for pair in listed if pair[1]])]
    blocks += _cut(about, Grid(head, candidates, [32, 7, 6, 12, 12, 31]), len(candidates))
    return [*blocks, "；".join(f"{reason} × {count}" for reason, count in more.items())] if more else blocks


def _candidate(about: _Case, row: Row) -> list[str]:
    language = about.language
    said_of = [named(language, "assigned", each) for each in (row["reason"], row.get("duty", "")) if each]
    return [
        f"{told(language, row['kind'])} {about.case.name(row['kind'], row['code'])}",
        about.say("yes" if row["chosen"] else "no"),
        "" if row.get("step") is None else str(row["step"]),
        "" if row.get("distance") is None else f"{number(row['distance'], 0)} m",
        _way(language, row.get("way", "")),
        "，".join(said_of),
    ]


def _way(language: Language, way: str) -> str:
    return told(language, "position_of" if way == "position" else way)


def _notices(about: _Case) -> list[Pairs | Grid | str]:
    names = ("to", "channel", "cause", "state", "requested", "accepted", "delivered", "acknowledged", "receipt")
    listed = [_notice(about, each) for each in about.case.notices[:_MOST_ROWS]]
    head = [about.say(name) for name in names]
    return _cut(about, Grid(head, listed, [17, 10, 10, 9, 12, 12, 12, 12, 10]), len(about.case.notices))


def _notice(about: _Case, row: Row) -> list[str]:
    language = about.language
    to = f"{told(language, row['recipient_kind'])} {about.case.name(row['recipient_kind'], row['recipient'])}"
    number_shown = about.phone(row["address"]) if _is_phone(row["address"]) else ""
    tries = about.case.tries.get(row["id"], ())
    last = tries[-1] if tries else None
    failed = f"{last['code']} {last['detail']}" if last and last["outcome"] == "failed" else ""
    trouble = settled(language, row["error"] or failed)
    return [
        _joined(to, number_shown),
        named(language, "channel", row["channel"]),
        named(language, "cause", row["cause"]),
        named(language, "delivery", row["state"]),
        *(second(row[name]) for name in ("requested_at", "accepted_at", "delivered_at", "acknowledged_at")),
        _joined(row["receipt"], trouble),
    ]


def _is_phone(address: str) -> bool:
    """Other addresses stay out: those of robots are secrets."""
    digits = address.removeprefix("+").replace("-", "").replace(" ", "")
    return digits.isdecimal() and 7 <= len(digits) <= 15


def _log(about: _Case) -> list[Pairs | Grid | str]:
    head = [about.say(name) for name in ("when", "who", "action", "to_status", "reason", "opinion")]
    listed = [_entry(about, each) for each in about.case.log[:_MOST_ROWS]]
    asked = [_request(about, each) for each in about.case.requests]
    return [*_cut(about, Grid(head, listed, [21, 15, 12, 10, 18, 24]), len(about.case.log)), *asked]


def _entry(about: _Case, row: Row) -> list[str]:
    language = about.language
    who = named(language, "who", row["who"]) if row["who"] == "platform" else about.case.name("person", row["who"])
    return [
        moment(row["at"]),
        who,
        action_name(language, row["action"]),
        status_name(language, row["to_status"]),
        named(language, "because", row["reason"]),
        row["opinion"],
    ]


def _request(about: _Case, row: Row) -> str:
    kind = action_name(about.language, "ask_extension" if row["kind"] == "extension" else "ask_suspension")
    asked = f"{moment(row['asked_at'])} {about.case.name('person', row['asked_by'])} {kind}：{row['reason']}"
    if row["decided_at"] is None:
        return asked
    state = told(about.language, f"request.{row['state']}")
    answer = f"{moment(row['decided_at'])} {about.case.name('person', row['decided_by'])} {state}"
    return f"{asked} → {answer} {row['opinion']}"


def _cut(about: _Case, grid: Grid, whole: int) -> list[Pairs | Grid | str]:
    if not grid.rows:
        return []
    more = whole - len(grid.rows)
    return [grid, about.say("more", count=more)] if more > 0 else [grid]
