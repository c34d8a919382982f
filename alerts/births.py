"""New alerts: each is written and finds its ticket by itself; those that a storm takes are written in one go."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from alerts.alert_rows import insert_alert, insert_alerts, measured
from alerts.chattering import ChatterDecision
from alerts.desk_work import DeskWork
from alerts.dispatching import read_ahead
from alerts.episodes import Key, key_of
from alerts.openings import judge_opening, note_chattering
from alerts.placing import place_or_hold
from alerts.storms import born_in, storm_at_birth
from alerts.words import Row
from detectors.words import Detection, Found, Severity


class Birth(NamedTuple):
    """An alert to be written, the storm that it is part of from the first, and what its opening is beside others."""

    values: dict[str, Any]
    storm: Row | None
    chatter: ChatterDecision


class Births:
    """What opens in one transaction; `known` are the subjects and rules that had alerts before.

    Joining a storm changes nothing that the next alert of the same storm is judged by, so these wait for each other:
    `write` them before anything else is read or written.
    """

    def __init__(self, work: DeskWork, known: set[Key]) -> None:
        self._work, self._known = work, known
        self._waiting: list[Birth] = []

    def expect(self, detections: Iterable[Detection]) -> None:
        """Read ahead for what will most likely get a ticket of its own: new danger to life."""
        grave = [each for each in detections if each.page and not self.heard(each) and is_life_safety(self._work, each)]
        if len(grave) > 1:
            read_ahead(self._work, (self._work.town.place(each.subject) for each in grave))

    def heard(self, detection: Detection) -> bool:
        """Whether its subject and rule have an alert, open or closed, of this transaction too."""
        return key_of(detection) in self._known

    def add(self, found: Found, decided: str, earlier: Sequence[Row] = ()) -> None:
        """Open an episode, or keep it until others are written; `earlier` are those before it, the newest first."""
        self._known.add(key_of(found.detection))
        birth = _birth(self._work, found, decided, earlier)
        if birth.storm and not self._work.holding.may_hold_others(birth.values):
            self._waiting.append(birth)
            return
        self.write()
        _settle(self._work, birth, insert_alert(self._work.connection, **birth.values))

    def write(self) -> None:
        """Write what waits, in the order in which it came."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        written = insert_alerts(self._work.connection, [birth.values for birth in waiting])
        for birth, alert in zip(waiting, written, strict=True):
            _settle(self._work, birth, alert)


def decided_measured(detection: Detection, decided: str) -> dict[str, Any]:
    """What a detection says of its severity, and why the desk did what it did."""
    return measured(detection) | {"evidence": {**detection.evidence, "decided": decided}}


def is_life_safety(work: DeskWork, detection: Detection) -> bool:
    """By the rule; under a rule that is not known any more only 紧急 counts as one."""
    rule = work.rules.get(detection.rule)
    return rule.is_life_safety(detection.severity) if rule else detection.severity >= Severity.CRITICAL


def _birth(work: DeskWork, found: Found, decided: str, earlier: Sequence[Row]) -> Birth:
    detection = found.detection
    rule = work.rules.get(detection.rule)
    place = work.town.place(detection.subject)
    life_safety = is_life_safety(work, detection)
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
        **decided_measured(detection, decided),
    )
    storm = None if work.holding.decide({"id": 0, **values}) else storm_at_birth(work, values)
    return Birth({**values, "ticket": storm["ticket"] if storm else None}, storm, chatter)


def _settle(work: DeskWork, birth: Birth, alert: Row) -> None:
    """Let a written alert find its ticket, and tell pages."""
    storm, chatter = birth.storm, birth.chatter
    placed = place_or_hold(work, born_in(work, alert, storm), quietly=chatter.told == "quietly")
    if storm and placed["ticket"] != storm["ticket"]:
        raise RuntimeError(f"alert {alert['id']} was to be part of storm {storm['id']}")
    note_chattering(work, placed, chatter)
    work.alert_changed(placed, "opened")
    work.done["opened"] += 1
