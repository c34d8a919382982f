"""A device that chatters gets a proposal: a delay-off that would have made one alert of it."""

from collections.abc import Sequence

from alerts.chatter_proposals import consider_chattering, decide_delay_off
from alerts.proposal_evidence import Thought
from alerts.proposal_rows import decided_overrides, list_proposals, propose
from alerts.words import Row
from core.clock import HOUR, MINUTE, SECOND
from core.database import reading, writing
from detectors.rules import newest_version, record_version
from detectors.words import Severity
from tests.alerts.quieting.quiet_scene import RULES, QuietScene
from tests.alerts.quieting.test_chattering_alerts import comes_and_goes

NOISE = RULES.rules["noise"]
TERMS = NOISE.terms("gas", "PLANT", "PLANT-1")


def episodes(*gaps: int) -> Sequence[Row]:
    """Episodes of 10 s with these gaps between them."""
    made, onset = [], 0
    for number, gap in enumerate((*gaps, 0)):
        about = {"id": number, "number": f"n{number}", "site": "PLANT", "opened_at": onset}
        made.append({**about, "onset": onset, "closed_at": onset + 10 * SECOND})
        onset += 10 * SECOND + gap
    return made


def test_the_delay_off_bridges_most_gaps() -> None:
    verdict = decide_delay_off("PLANT-1", episodes(*[8 * SECOND] * 9, 25 * MINUTE), TERMS)
    assert verdict is not None
    assert verdict.change is not None
    assert (verdict.reason, verdict.change.dwell_off, verdict.removed) == ("chattering", 10 * SECOND, 9)
    assert len(verdict.false) == 11


def test_few_or_far_between_speak_for_nothing() -> None:
    assert decide_delay_off("PLANT-1", episodes(*[8 * SECOND] * 3), TERMS) is None
    assert decide_delay_off("PLANT-1", episodes(*[2 * HOUR] * 9), TERMS) is None


def test_it_is_proposed_once_and_may_be_adopted_even_where_lives_depend_on_it(quiets: QuietScene) -> None:
    with writing(quiets.engine) as connection:
        record_version(connection, RULES, "test", "", quiets.clock.now())
    comes_and_goes(quiets, 8, rule="gas.lel", severity=Severity.ALARM)
    with reading(quiets.engine) as connection:
        (proposed,) = consider_chattering(connection, quiets.clock.now())
        version = newest_version(connection) or 0
    assert (proposed.scope, proposed.before["dwell_off"]) == (("device", "PLANT-1"), 0)
    with writing(quiets.engine) as connection:
        made, _ = propose(connection, Thought(version, [proposed]), quiets.clock.now())
        (row,) = list_proposals(connection)
        assert [row["id"]] == made
        (override,) = decided_overrides(RULES.rules, row)
    assert (override.device, override.dwell_off) == ("PLANT-1", 10 * SECOND)
    with reading(quiets.engine) as connection:
        assert consider_chattering(connection, quiets.clock.now()) == [], "it is open already"
