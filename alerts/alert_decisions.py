"""What a detection does to the alerts of its subject and rule."""

from typing import Literal, NamedTuple

from alerts.words import Row
from detectors.words import Change, Detection

AlertAction = Literal["create", "reopen", "raise", "page", "note", "close", "ignore"]
CLOSED_HOW = frozenset({"recovered", "by_hand", "rule_withdrawn", "retired", "schedule_ended"})


class AlertDecision(NamedTuple):
    """`create` and `reopen` open an episode, `raise` and `page` notify again, `note` only records, `close` ends it."""

    action: AlertAction
    reason: str


def decide_alert(existing_open: Row | None, same_onset: Row | None, detection: Detection) -> AlertDecision:
    """Decide on one detection.

    `existing_open` is the open alert of its subject and rule, `same_onset` the alert, open or closed, with its onset.
    """
    if detection.change == Change.CLEARED:
        return _cleared(existing_open, detection)
    if existing_open is not None:
        return _still_open(existing_open, detection)
    if same_onset is not None:
        return _known_episode(same_onset, detection)
    return AlertDecision("create", "new_episode" if detection.change == Change.OPENED else "episode_under_way")


def _cleared(existing_open: Row | None, detection: Detection) -> AlertDecision:
    if existing_open is None:
        return AlertDecision("ignore", "not_open")
    return AlertDecision("close", detection.reason if detection.reason in CLOSED_HOW else "recovered")


def _still_open(existing_open: Row, detection: Detection) -> AlertDecision:
    if detection.page and not existing_open["paged"]:
        return AlertDecision("page", "now_paged")
    if detection.severity > existing_open["severity"]:
        return AlertDecision("raise", "severity_raised") if detection.page else AlertDecision("note", "recorded_only")
    if detection.severity < existing_open["level"]:
        return AlertDecision("note", "severity_fell")
    return AlertDecision("note", "already_open" if detection.change == Change.OPENED else "repeated")


def _known_episode(closed: Row, detection: Detection) -> AlertDecision:
    """An opening with a closed alert's onset is the same episode: cleared by hand, or a limit edited back."""
    if detection.change == Change.OPENED:
        return AlertDecision("reopen", "same_onset")
    if detection.severity > closed["severity"]:
        return AlertDecision("reopen", "raised_after_closing")
    return AlertDecision("ignore", "episode_closed")
