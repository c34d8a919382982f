"""The desk: what detections cause, all of it in the caller's one transaction with the offset that was applied."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from alerts.alert_decisions import AlertAction, decide_alert
from alerts.alert_rows import newest_episodes, open_alert, same_episode, update_alert
from alerts.births import Births, decided_measured, is_life_safety
from alerts.desk_work import DeskWork
from alerts.episodes import known_keys
from alerts.one_writer import hold_desk, insert_or
from alerts.placing import place_or_hold, raise_or_hold
from alerts.recovery import close_alert
from alerts.releasing import release_lapsed
from alerts.settings import DEFAULTS, DeskSettings
from alerts.town_view import TownView
from alerts.words import Row
from core.journal import START, Offset
from detectors.rules import RuleSet
from detectors.words import Detection, Found
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
    fresh = [each.detection for each in found if each.offset > reached]
    births = Births(work, known_keys(connection, fresh))
    births.expect(fresh)
    for each in found:
        if each.offset <= reached:
            work.done["replayed"] += 1
        else:
            _apply(work, each, births)
    births.write()
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


def _apply(work: DeskWork, found: Found, births: Births) -> None:
    detection = found.detection
    if not births.heard(detection):
        decision = decide_alert(None, None, detection)
        if decision.action == "create":
            births.add(found, decision.reason)
        else:
            work.done["ignored"] += 1
        return
    births.write()
    existing = open_alert(work.connection, detection)
    newest = [] if existing else newest_episodes(work.connection, detection, work.settings.chattering.openings)
    known = existing or same_episode(work.connection, detection, newest)
    decision = decide_alert(existing, known, detection)
    if decision.action == "create":
        births.add(found, decision.reason, newest)
    elif decision.action == "ignore" or known is None:
        work.done["ignored"] += 1
    else:
        _EFFECTS[decision.action](work, known, detection, decision.reason)


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
        said = decided_measured(detection, decided)
        said["evidence"] |= _trail(alert)
    risen = {
        "severity": max(alert["severity"], int(detection.severity)),
        "life_safety": alert["life_safety"] or is_life_safety(work, detection),
        "updated_at": work.now,
    }
    return update_alert(work.connection, alert["id"], **risen, **said, **values)


def _trail(alert: Row) -> dict[str, Any]:
    """What was said of its hold stays said."""
    return {name: value for name, value in (alert["evidence"] or {}).items() if name == "held"}
