"""What chattering alerts speak for: a longer delay-off for the device, so that one disturbance is one alert.

A longer delay-off lets nothing alarm later or less, so it may be proposed for matters of life and safety too.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from sqlalchemy import Connection, select

from alerts.labels import JUDGED
from alerts.proposal_evidence import Proposed, history, rules_of, terms_of_devices
from alerts.proposals import Judged, Scope, Verdict, before_of
from alerts.rows import rows
from alerts.tables import alert, ticket
from alerts.words import Row
from core.clock import DAY, HOUR, MINUTE, SECOND
from detectors.rule import MEASURED, Override, Terms
from detectors.rules import newest_version

LOOKED_BACK = 7 * DAY
_MOST = 2_000
_LONGEST = HOUR
_LEAST = 5
"""Openings that chattered, of one rule on one device."""
_SPANS = tuple(n * SECOND for n in (5, 10, 15, 20, 30, 45)) + tuple(
    n * MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30, 60)
)


def consider_chattering(connection: Connection, now: int) -> list[Proposed]:
    """The devices and rules that chattered lately, each with the delay-off that would have made it one alert."""
    columns = [alert.c[name] for name in ("id", "rule", "subject_id", "site", "onset", "opened_at", "closed_at")]
    wanted = (
        alert.c.onset >= now - LOOKED_BACK,
        alert.c.chattering.is_not(None),
        alert.c.closed_at.is_not(None),
        alert.c.subject_kind == "device",
    )
    query = select(*columns, ticket.c.number).select_from(JUDGED).where(*wanted).order_by(alert.c.id.desc())
    found = rows(connection, query.limit(_MOST))
    terms = terms_of_devices(connection, {row["subject_id"] for row in found})
    rules = rules_of(connection, newest_version(connection) or 0)
    made = []
    for (code, device), group in _grouped(reversed(found)).items():
        rule = rules.get(code)
        if rule is None or device not in terms or rule.kind not in MEASURED - {"drift"}:
            continue
        scope = Scope("device", device)
        settled, taken = history(connection, code)
        fresh = [row for row in group if row["opened_at"] > settled.get(scope, 0)]
        held = terms[device](rule)
        if scope not in taken and (verdict := decide_delay_off(device, fresh, held)):
            made.append(Proposed(rule, scope, verdict, before_of([held], rule)))
    return made


def has_chattered(connection: Connection, since: int) -> bool:
    """Whether an alert that chattered opened at or after `since`, µs UTC."""
    wanted = (alert.c.opened_at >= since, alert.c.chattering.is_not(None))
    return connection.execute(select(alert.c.id).where(*wanted).limit(1)).first() is not None


def decide_delay_off(device: str, chattered: Sequence[Row], terms: Terms) -> Verdict | None:
    """The delay-off that bridges most gaps between openings that chattered; None where few did, or none is enough."""
    if len(chattered) < _LEAST:
        return None
    gaps = sorted(
        max(0, after["onset"] - before["closed_at"]) + terms.dwell_off for before, after in pairwise(chattered)
    )
    close = [gap for gap in gaps if gap < _LONGEST]
    if 2 * len(close) <= len(gaps):
        return None
    reach = close[(9 * len(close) - 1) // 10]
    span = next((each for each in _SPANS if each > max(reach, terms.dwell_off)), None)
    if span is None:
        return None
    judged = tuple(_judged(row, device) for row in chattered)
    removed = sum(gap < span for gap in gaps)
    return Verdict("change", "chattering", Override(dwell_off=span), judged, (), removed)


def _grouped(found: Iterable[Row]) -> Mapping[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in found:
        groups.setdefault((row["rule"], row["subject_id"]), []).append(row)
    return groups


def _judged(row: Row, device: str) -> Judged:
    """An episode as evidence: nobody has judged it, it speaks by coming again."""
    lasted, number = row["closed_at"] - row["onset"], row["number"] or ""
    site, at = row["site"] or "", row["opened_at"]
    return Judged(row["id"], number, device, site, "unlabelled", "", row["onset"], at, lasted, None)
