"""What a run of a drill showed: who was called, how they were reached and when they answered, and who was not."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from alerts.escalation_tables import drill, drill_call, drill_run
from alerts.measurements import Language
from alerts.rows import one_row, rows
from alerts.tables import notice, person
from alerts.words import Row, Words
from core.clock import local

OUTCOMES: Mapping[str, Words] = {
    "answered": Words("已应答", "answered"),
    "reached": Words("已送达，未应答", "reached, no answer"),
    "unproven": Words("通道已接收，未证实送达，未应答", "accepted by the provider, not proven, no answer"),
    "quiet_hours": Words("免打扰时段，未发出", "quiet hours: not sent"),
    "not_reached": Words("未送达", "not reached"),
    "no_contact": Words("没有联系方式", "no contact"),
}
"""What became of a call."""
_COLUMNS = (
    ("kind", Words("类型", "kind")),
    ("code", Words("编号", "code")),
    ("name", Words("姓名", "name")),
    ("role", Words("角色", "role")),
    ("team", Words("网格队", "team")),
    ("station", Words("执法站", "station")),
    ("channel", Words("通道", "channel")),
    ("outcome", Words("结果", "outcome")),
    ("sent_at", Words("发出", "sent")),
    ("reached_at", Words("送达", "reached")),
    ("replied_at", Words("应答", "answered")),
    ("tried", Words("尝试", "tried")),
    ("error", Words("错误", "error")),
)
_TIMES = ("sent_at", "reached_at", "replied_at")
_GOOD = ("acknowledged", "delivered", "accepted")
_BOM = "\ufeff"


def write_report(connection: Connection, run: Row, now: int) -> Row:
    """End a run with its report; the run afterwards."""
    calls = rows(connection, select(drill_call).where(drill_call.c.run == run["id"]).order_by(drill_call.c.person))
    sent = rows(connection, select(notice).where(notice.c.ticket == run["ticket"]).order_by(notice.c.id))
    known = {row["code"]: row for row in rows(connection, select(person))}
    held = one_row(connection, select(drill).where(drill.c.id == run["drill"]))
    report = make_report(run, held["name"], calls, sent, known, now)
    ended = update(drill_run).where(drill_run.c.id == run["id"]).values(ended_at=now, report=report)
    return one_row(connection, ended.returning(*drill_run.c))


def make_report(
    run: Row, name: str, calls: Sequence[Row], sent: Sequence[Row], known: Mapping[str, Row], now: int
) -> dict[str, Any]:
    """Plain JSON values: the counts by outcome, a row for each person and each group that was told."""
    by: dict[tuple[str, str], list[Row]] = {}
    for each in sent:
        by.setdefault((each["recipient_kind"], each["recipient"]), []).append(each)
    people = [_person(each, by.get(("person", each["person"]), ()), known, now) for each in calls]
    groups = [
        {"kind": kind, "code": code, **_told(notices, None, now, ("delivered_at",))}
        for (kind, code), notices in sorted(by.items())
        if kind != "person"
    ]
    counts = {outcome: sum(row["outcome"] == outcome for row in people) for outcome in OUTCOMES}
    times = {"began_at": run["began_at"], "ended_at": now, "ends_at": run["ends_at"]}
    return {"name": name, **times, "called": len(people), "counts": counts, "people": people, "groups": groups}


def report_csv(report: Mapping[str, Any], language: Language) -> str:
    """The report as a sheet, people first; times are local."""
    written = io.StringIO()
    sheet = csv.writer(written, lineterminator="\r\n")
    sheet.writerow([getattr(words, language) for _, words in _COLUMNS])
    for row in (*report["people"], *report["groups"]):
        sheet.writerow([_cell(row, column, language) for column, _ in _COLUMNS])
    return _BOM + written.getvalue()


def _cell(row: Mapping[str, Any], column: str, language: Language) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if column in _TIMES:
        return local(value).isoformat(sep=" ", timespec="seconds")
    if column == "outcome":
        return str(getattr(OUTCOMES[value], language))
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _person(call: Row, notices: Sequence[Row], known: Mapping[str, Row], now: int) -> dict[str, Any]:
    who = known.get(call["person"], {})
    facts = {name: who.get(name) for name in ("name", "role", "team", "station")}
    return {"kind": "person", "code": call["person"], **facts, **_told(notices, call["replied_at"], now)}


def _told(
    notices: Sequence[Row],
    replied_at: int | None,
    now: int,
    proofs: Sequence[str] = ("delivered_at", "acknowledged_at"),
) -> dict[str, Any]:
    """By which channel somebody was reached, best proven first, and what was tried.

    That a member answered, by a message of their own, is no proof that the group's arrived: a receipt is.
    """
    best = min(notices, key=lambda each: (_rank(each["state"]), each["id"]), default=None)
    proven = [moment for each in notices for moment in (each[name] for name in proofs) if moment]
    return {
        "outcome": _outcome(notices, replied_at, bool(proven), now),
        "channel": best["channel"] if best else None,
        "sent_at": _first(each["requested_at"] for each in notices),
        "reached_at": _first([*proven, replied_at]),
        "replied_at": replied_at,
        "tried": ", ".join(f"{each['channel']}: {each['state']}" for each in notices),
        "error": "; ".join(each["error"] for each in notices if each["error"]),
    }


def _outcome(notices: Sequence[Row], replied_at: int | None, proven: bool, now: int) -> str:
    if replied_at is not None:
        return "answered"
    if not notices:
        return "no_contact"
    if proven:
        return "reached"
    if any(
        each["state"] in ("accepted", "uncertain") or (each["state"] == "acknowledged" and each["requested_at"])
        for each in notices
    ):
        return "unproven"
    waits = any(each["state"] == "queued" and each["due_at"] > now for each in notices)
    return "quiet_hours" if waits else "not_reached"


def _rank(state: str) -> int:
    return _GOOD.index(state) if state in _GOOD else len(_GOOD)


def _first(moments: Iterable[int | None]) -> int | None:
    return min((each for each in moments if each is not None), default=None)
