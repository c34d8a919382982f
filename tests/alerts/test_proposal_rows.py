"""Proposals on both databases: made once, asked to be tried, superseded by edits, decided by one person."""

import threading
from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, select

from alerts.proposal_evidence import Thought, consider, footprint
from alerts.proposal_rows import (
    DecisionRefused,
    close_proposal,
    fields_of,
    list_proposals,
    propose,
    read_proposal,
    supersede,
)
from alerts.proposals import Scope
from alerts.words import Row
from core.clock import DAY, HOUR, MINUTE
from core.database import reading, writing
from detectors.backtest_requests import requested
from detectors.rule import Override, Rule
from detectors.tables import backtest, rule_proposal
from detectors.words import Severity
from tests.alerts.proposal_scene import NOW, WARNING, History, noise


@pytest.fixture
def history(engine: Engine) -> History:
    """Five false alarms of N1 up to 67 dB, and a real one of 80."""
    with writing(engine) as connection:
        made = History(connection)
        for worst in (61.0, 63.0, 64.0, 62.0, 67.0):
            made.put(connection, "false", worst)
        made.put(connection, "real", 80.0)
    return made


def think(engine: Engine, history: History, now: int = NOW) -> Thought:
    with reading(engine) as connection:
        return consider(connection, now, readings=history.readings)


def look(engine: Engine, history: History, now: int = NOW) -> tuple[list[int], list[int]]:
    thought = think(engine, history, now)
    with writing(engine) as connection:
        return propose(connection, thought, now)


def close(engine: Engine, state: str = "dismissed", opinion: str = "seen", now: int = NOW + 1) -> list[Override]:
    adopted: list[Override] = []
    with writing(engine) as connection:
        close_proposal(connection, 1, state, "disp", opinion, now, lambda row, wanted: adopted.extend(wanted))
    return adopted


def the_one(engine: Engine) -> Row:
    with reading(engine) as connection:
        (row,) = list_proposals(connection)
    return row


def test_a_proposal_has_its_evidence_and_asks_to_be_tried(engine: Engine, history: History) -> None:
    assert look(engine, history) == ([1], [])
    row = the_one(engine)
    assert (row["rule"], row["scope_kind"], row["scope"], row["state"]) == ("noise.day", "device", "N1", "proposed")
    assert row["change"] == {"limits": {"2": 68.0}}
    why = row["why"]
    assert (why["reason"], why["removed"], why["false"], why["real"]) == ("limit_separates", 5, 5, 1)
    assert why["before"]["limits"] == {"warning": 60.0, "alarm": 90.0}
    assert [each["worst"] for each in why["labels"]] == [61, 63, 64, 62, 67, 80]
    assert {each["lasted"] for each in why["labels"]} == {10 * MINUTE}
    with reading(engine) as connection:
        tried = requested(connection, row["backtest"])
    assert tried is not None
    assert (tried.state, tried.sites, tried.until - tried.since) == ("waiting", ["S1"], 30 * DAY)
    assert tried.text == "overrides:\n- rule: noise.day\n  device: N1\n  limits:\n    warning: 68.0\n"


def test_nothing_is_proposed_twice(engine: Engine, history: History) -> None:
    assert look(engine, history) == ([1], [])
    assert look(engine, history, NOW + HOUR) == ([], [])


def test_two_that_look_at_once_make_one(engine: Engine, history: History) -> None:
    thoughts = [think(engine, history) for _ in range(2)]
    made: list[int] = []

    def write(thought: Thought) -> None:
        with writing(engine) as connection:
            made.extend(propose(connection, thought, NOW)[0])

    in_parallel([lambda thought=each: write(thought) for each in thoughts])  # type: ignore[misc]
    assert len(made) == 1
    with reading(engine) as connection:
        assert len(connection.execute(select(backtest.c.id)).all()) == 1


def test_what_was_dismissed_needs_new_false_alarms(engine: Engine, history: History) -> None:
    look(engine, history)
    close(engine)
    assert look(engine, history, NOW + HOUR) == ([], [])
    with writing(engine) as connection:
        for worst in (61.0, 62.0, 63.0, 64.0, 65.0):
            history.put(connection, "false", worst, at=NOW + DAY)
    assert look(engine, history, NOW + 2 * DAY) == ([2], [])


def test_an_edit_supersedes_and_what_it_mended_counts_no_more(engine: Engine, history: History) -> None:
    look(engine, history)
    with writing(engine) as connection:
        history.record(connection, noise(overrides=(Override(device="N2", dwell=0), Override(site="S2", dwell=0))))
    assert look(engine, history) == ([], []), "an edit elsewhere is none of its business"
    with writing(engine) as connection:
        history.record(connection, noise(limits={WARNING: 65.0, Severity.ALARM: 90.0}))
    assert look(engine, history, NOW + 5) == ([], [1])
    row = the_one(engine)
    assert (row["state"], row["decided_at"], row["decided_by"]) == ("superseded", NOW + 5, "platform")


def test_a_thought_under_older_rules_is_dropped(engine: Engine, history: History) -> None:
    thought = think(engine, history)
    with writing(engine) as connection:
        history.record(connection, noise(dwell=0))
        assert propose(connection, thought, NOW) == ([], [])


def test_a_rule_that_is_gone_supersedes(engine: Engine, history: History) -> None:
    look(engine, history)
    with writing(engine) as connection:
        history.record(connection, noise(id="other"))
        assert supersede(connection, NOW) == [1]


def test_accepting_hands_over_the_overrides_once(engine: Engine, history: History) -> None:
    look(engine, history)
    (adopted,) = close(engine, "accepted")
    assert (adopted.scope, fields_of(adopted)) == (("device", "N1"), {"limits": {"warning": 68.0}})
    row = the_one(engine)
    assert (row["state"], row["decided_by"], row["opinion"]) == ("accepted", "disp", "seen")
    with pytest.raises(DecisionRefused, match="decided"):
        close(engine, "accepted")


def test_a_decision_needs_an_opinion_and_a_proposal(engine: Engine, history: History) -> None:
    with pytest.raises(DecisionRefused, match="unknown"):
        close(engine)
    look(engine, history)
    with pytest.raises(DecisionRefused, match="no_opinion"):
        close(engine, opinion="  ")
    assert the_one(engine)["state"] == "proposed"


def edited(rule: Rule) -> Rule:
    return replace(rule, overrides=(Override(device="N1", dwell=5 * MINUTE),))


def test_accepting_after_an_edit_is_refused_and_dismissing_is_not(engine: Engine, history: History) -> None:
    look(engine, history)
    with writing(engine) as connection:
        history.record(connection, edited(noise()))
    with pytest.raises(DecisionRefused, match="changed"):
        close(engine, "accepted")
    assert close(engine) == []
    assert the_one(engine)["state"] == "dismissed"


def test_a_change_that_came_to_loosen_life_safety_is_refused(engine: Engine, history: History) -> None:
    """Even one that somebody wrote into the row."""
    look(engine, history)
    strict = noise(life_safety_from=WARNING)
    with writing(engine) as connection:
        history.record(connection, strict)
        row = read_proposal(connection, 1)
        assert row is not None
        why = {**row["why"], "footprint": footprint(strict, Scope("device", "N1"), "S1")}
        connection.execute(rule_proposal.update().values(why=why))
    with pytest.raises(DecisionRefused, match="life_safety"):
        close(engine, "accepted")


def test_two_dispatchers_decide_at_once_and_one_is_told(engine: Engine, history: History) -> None:
    look(engine, history)
    adopted: list[str] = []
    refused: list[str] = []

    def decide(who: str, state: str) -> None:
        def adopt(row: Row, wanted: Sequence[Override]) -> None:
            adopted.append(who)

        try:
            with writing(engine) as connection:
                close_proposal(connection, 1, state, who, "mine", NOW, adopt)
        except DecisionRefused as error:
            refused.append(error.reason)

    in_parallel([lambda: decide("a", "accepted"), lambda: decide("b", "accepted"), lambda: decide("c", "dismissed")])
    assert refused == ["decided", "decided"]
    assert adopted == ([the_one(engine)["decided_by"]] if the_one(engine)["state"] == "accepted" else [])


def in_parallel(works: Sequence[object]) -> None:
    threads = [threading.Thread(target=work) for work in works]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_a_life_safety_rule_gets_a_note_without_a_backtest(engine: Engine) -> None:
    with writing(engine) as connection:
        history = History(connection, noise(life_safety_from=WARNING))
        for worst in (61.0, 63.0, 64.0, 62.0, 67.0):
            history.put(connection, "false", worst)
    look(engine, history)
    row = the_one(engine)
    assert (row["change"], row["backtest"], row["why"]["reason"]) == ({}, None, "life_safety")
    assert close(engine, "accepted") == []


COMPOUND = noise(
    id="site.both",
    kind="compound",
    device_types=(),
    metric="",
    limits={Severity.CRITICAL: 1.0},
    members=("noise.day", "noise.night"),
    within=MINUTE,
    life_safety_from=WARNING,
)


def test_what_a_life_safety_compound_counts_on_is_loosened_by_none(engine: Engine, history: History) -> None:
    look(engine, history)
    with writing(engine) as connection:
        history.record(connection, noise(), COMPOUND)
    with pytest.raises(DecisionRefused, match="life_safety"):
        close(engine, "accepted")
    close(engine)
    with writing(engine) as connection:
        for worst in (61.0, 63.0, 64.0, 62.0, 67.0):
            history.put(connection, "false", worst, at=NOW + HOUR)
    look(engine, history, NOW + 3 * HOUR)
    with reading(engine) as connection:
        row = list_proposals(connection)[0]
    assert (row["state"], row["change"], row["why"]["reason"]) == ("proposed", {}, "life_safety")


def test_without_readings_no_limit_is_guessed(engine: Engine, history: History) -> None:
    with reading(engine) as connection:
        assert consider(connection, NOW).proposals == []
