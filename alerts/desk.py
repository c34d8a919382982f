"""The desk: what detections cause, all of it in the caller's one transaction with the offset that was applied."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from alerts.alert_decisions import AlertAction, decide_alert
from alerts.alert_rows import insert_alert, measured, newest_episodes, open_alert, same_episode, update_alert
from alerts.desk_work import DeskWork
from alerts.episodes import Key, key_of, known_keys
from alerts.one_writer import hold_desk, insert_or
from alerts.openings import judge_opening, note_chattering
from alerts.placing import place_or_hold, raise_or_hold
from alerts.recovery import close_alert
from alerts.releasing import release_lapsed
from alerts.settings import DEFAULTS, DeskSettings
from alerts.storms import born_in, storm_at_birth
from alerts.town_view import TownView
from alerts.words import Row
from core.journal import START, Offset
from detectors.rules import RuleSet
from detectors.words import Detection, Found, Severity
from ingest.tables import applied


class Applied(NamedTuple):
    """What a batch of detections did: alerts by action, held and released, tickets made and joined, notices queued.

    `replayed` detections stood at or below the offset that was applied already and did nothing.
    """

    opened: int = 0
    reopened: int = 0
    raised: int = 0
    paged: int = 0
    noted: int = 0
    cleared: int = 0
    ignored: int = 0
    replayed: int = 0
    tickets: int = 0
    joined: int = 0
    sent_back: int = 0
    self_recovered: int = 0
    held: int = 0
    released: int = 0
    notices: int = 0


def apply_detections(
    connection: Connection,
    town: TownView,
    rules: RuleSet,
    consumer: str,
    found: Sequence[Found],
    upto: Offset,
    now: int,
    settings: DeskSettings = DEFAULTS,
) -> Applied:
    """Apply what a consumer found up to the journal offset `upto`; commit or roll back as a whole.

    Alerts, tickets, their log, notices, change rows and the consumer's applied offset are written together; a replay at
    or below that offset changes nothing.
    """
    hold_desk(connection)
    reached = applied_offset(connection, consumer)
    work = DeskWork(connection, town, now, settings, rules.rules)
    known = known_keys(connection, (each.detection for each in found if each.offset > reached))
    for each in found:
        if each.offset <= reached:
            work.done["replayed"] += 1
        else:
            _apply(work, each, known)
    release_lapsed(work)
    if upto > reached:
        _reach(connection, consumer, upto)
    work.finish()
    return Applied(**work.done)


def applied_offset(connection: Connection, consumer: str) -> Offset:
    """How far a consumer's detections are applied; START before the first."""
    row = connection.execute(select(applied.c.partition, applied.c.n).where(applied.c.consumer == consumer)).first()
    return Offset(row.partition, row.n) if row else START


def _reach(connection: Connection, consumer: str, upto: Offset) -> None:
    place = upto._asdict()
    row = insert_or(connection, applied).values(consumer=consumer, **place)
    connection.execute(row.on_conflict_do_update(index_elements=["consumer"], set_=place))


def _apply(work: DeskWork, found: Found, keys: set[Key]) -> None:
    """`keys` are those that have alerts; the first one of another is added."""
    detection = found.detection
    heard = key_of(detection) in keys
    existing = open_alert(work.connection, detection) if heard else None
    most = work.settings.chattering.openings
    newest = newest_episodes(work.connection, detection, most) if heard and not existing else []
    known = existing or same_episode(work.connection, detection, newest)
    decision = decide_alert(existing, known, detection)
    if decision.action == "create":
        _create(work, found, newest, decision.reason)
        keys.add(key_of(detection))
    elif decision.action == "ignore" or known is None:
        work.done["ignored"] += 1
    else:
        _EFFECTS[decision.action](work, known, detection, decision.reason)


def _create(work: DeskWork, found: Found, earlier: Sequence[Row], decided: str) -> None:
    detection = found.detection
    rule = work.rules.get(detection.rule)
    place = work.town.place(detection.subject)
    life_safety = _life_safety(work, detection)
    chatter = judge_opening(work, earlier, life_safety)
    values: dict[str, Any] = dict(
        subject_kind=detection.subject.kind,
        subject_id=detection.subject.id,
        rule=detection.rule,
        onset=detection.onset,
        state="open",
        severity=int(detection.severity),
        hazard=rule.hazard if rule else "unknown",
        category=rule.category if rule else "公共服务",
        life_safety=life_safety,
        paged=detection.page,
        chattering=chatter.since,
        series=detection.series,
        site=place.site,
        grid=place.grid,
        lng=place.lng,
        lat=place.lat,
        at=detection.at,
        received_at=detection.received_at,
        journalled_at=found.journalled_at,
        journal_n=found.offset.n,
        opened_at=work.now,
        updated_at=work.now,
        **_measured(detection, decided),
    )
    storm = None if work.holding.decide({"id": 0, **values}) else storm_at_birth(work, values)
    alert = insert_alert(work.connection, **values, **({"ticket": storm["ticket"]} if storm else {}))
    placed = place_or_hold(work, born_in(work, alert, storm), quietly=chatter.told == "quietly")
    if storm and placed["ticket"] != storm["ticket"]:
        raise RuntimeError(f"alert {alert['id']} was to be part of storm {storm['id']}")
    note_chattering(work, placed, chatter)
    work.alert_changed(placed, "opened")
    work.done["opened"] += 1


def _reopen(work: DeskWork, alert: Row, detection: Detection, decided: str) -> None:
    again = _update(
        work,
        alert,
        detection,
        decided,
        state="open",
        closed_at=None,
        closed_how=None,
        reopened=alert["reopened"] + 1,
        paged=detection.page,
    )
    work.alert_changed(place_or_hold(work, again), "reopened")
    work.done["reopened"] += 1


def _raise(work: DeskWork, alert: Row, detection: Detection, decided: str) -> None:
    work.alert_changed(raise_or_hold(work, _update(work, alert, detection, decided)), "raised")
    work.done["raised"] += 1


def _page(work: DeskWork, alert: Row, detection: Detection, decided: str) -> None:
    work.alert_changed(place_or_hold(work, _update(work, alert, detection, decided, paged=True)), "paged")
    work.done["paged"] += 1


def _note(work: DeskWork, alert: Row, detection: Detection, decided: str) -> None:
    """Only the level moves, unless an alert that is not paged yet rises.

    Of a paged one what was not told yet is then still a rise when it may be told.
    """
    if alert["paged"] or detection.severity <= alert["severity"]:
        noted = update_alert(work.connection, alert["id"], updated_at=work.now, level=int(detection.severity))
    else:
        noted = _update(work, alert, detection, decided)
    work.alert_changed(noted, "noted")
    work.done["noted"] += 1


def _close(work: DeskWork, alert: Row, _detection: Detection, decided: str) -> None:
    close_alert(work, alert, decided)
    work.done["cleared"] += 1


_EFFECTS: dict[AlertAction, Callable[[DeskWork, Row, Detection, str], None]] = {
    "reopen": _reopen,
    "raise": _raise,
    "page": _page,
    "note": _note,
    "close": _close,
}


def _update(work: DeskWork, alert: Row, detection: Detection, decided: str, **values: Any) -> Row:
    """What it says; severity and life-safety only ever rise, and what was measured belongs to the highest."""
    said: dict[str, Any] = {"level": int(detection.severity)}
    if detection.severity >= alert["severity"]:
        said = _measured(detection, decided)
        said["evidence"] |= _trail(alert)
    risen = {
        "severity": max(alert["severity"], int(detection.severity)),
        "life_safety": alert["life_safety"] or _life_safety(work, detection),
        "updated_at": work.now,
    }
    return update_alert(work.connection, alert["id"], **risen, **said, **values)


def _measured(detection: Detection, decided: str) -> dict[str, Any]:
    evidence = {**detection.evidence, "decided": decided}
    return measured(detection) | {"evidence": evidence}


def _trail(alert: Row) -> dict[str, Any]:
    """What was said of its hold stays said."""
    return {name: value for name, value in (alert["evidence"] or {}).items() if name == "held"}


def _life_safety(work: DeskWork, detection: Detection) -> bool:
    """By the rule; under a rule that is not known any more only 紧急 counts as one."""
    rule = work.rules.get(detection.rule)
    return rule.is_life_safety(detection.severity) if rule else detection.severity >= Severity.CRITICAL
