"""What of a batch had alerts before, on both databases."""

from sqlalchemy import Engine, insert, update

from alerts.episodes import known_keys
from alerts.tables import alert
from core.database import writing
from detectors.words import Change, Detection, Severity, Subject


def _detection(subject: str, rule: str = "gas") -> Detection:
    return Detection(Change.OPENED, Subject("device", subject), rule, Severity.ALARM, 9, 9, 9)


def _row(subject: str) -> dict[str, object]:
    texts = {"rule": "gas", "hazard": "gas", "category": "安全生产", "state": "open"}
    times = dict.fromkeys(("onset", "at", "received_at", "journalled_at", "journal_n", "opened_at", "updated_at"), 1)
    flags = {"severity": 3, "level": 3, "life_safety": True, "paged": True, "rules_version": 1}
    return {"subject_kind": "device", "subject_id": subject, **texts, **times, **flags}


def test_open_and_closed_alerts_of_the_same_subject_and_rule_are_known(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(insert(alert), [_row("D-1"), _row("D-'2\"")])
        connection.execute(update(alert).where(alert.c.subject_id == "D-1").values(state="closed"))
        asked = [_detection(each) for each in ("D-3", "D-1", "D-'2\"", "D-1")] + [_detection("D-1", "noise")]
        assert known_keys(connection, asked) == {("device", "D-1", "gas"), ("device", "D-'2\"", "gas")}
        assert known_keys(connection, []) == set()
