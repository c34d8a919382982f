"""A storm of detections in any order and at any hour: every danger has its ticket and somebody who hears of it."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from alerts import tables
from alerts.lifecycle import LIVE
from alerts.moves import MoveRefused
from alerts.town_view import load_town_view
from core.clock import HOUR, MINUTE
from core.database import open_engine, reading, writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import MONDAY_TEN, RULES, Scene

DEVICES = ["PLANT-1", "PLANT-2", "NEXT-1", "FAR-1", "ROAD-1", "OUTSIDE-1", "GHOST-1"]
SHIFTS = st.sampled_from(["day", "evening", "night", "all"])


class Step(NamedTuple):
    """A detection, then perhaps somebody's move on the newest ticket."""

    device: str
    rule: str
    change: Change
    severity: Severity
    onset: int
    page: bool
    wait: int
    move: str
    who: str


STEPS = st.builds(
    Step,
    st.sampled_from(DEVICES),
    st.sampled_from(["gas.lel", "gas.co", "flood", "noise"]),
    st.sampled_from(Change),
    st.sampled_from(list(Severity)[1:]),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([0, MINUTE, 31 * MINUTE, 9 * HOUR, 25 * HOUR]),
    st.sampled_from(["", "accept", "arrive", "handle", "check", "close", "false_alarm", "return", "reassign"]),
    st.sampled_from(["DISP-1", "G17-01", "ST1-01"]),
)


@pytest.fixture
def scenes(tmp_path: Path, sqlite_template: Path) -> Iterator[Callable[[], Scene]]:
    """Makes a fresh scene each time, on a SQLite of its own."""
    engines: list[Engine] = []

    def fresh() -> Scene:
        path = tmp_path / f"{len(engines)}.db"
        shutil.copy(sqlite_template, path)
        engines.append(open_engine(f"sqlite:///{path}"))
        return Scene(engines[-1])

    yield fresh
    for engine in engines:
        engine.dispose()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25), hour=st.integers(0, 167), shifts=st.lists(SHIFTS, min_size=9, max_size=9))
def test_every_danger_has_a_ticket_and_somebody_who_hears(
    scenes: Callable[[], Scene], steps: list[Step], hour: int, shifts: list[str]
) -> None:
    scene = scenes()
    rerostered(scene, shifts)
    scene.clock.advance(hour * HOUR)
    for step in steps:
        applied = scene.detect(
            step.device,
            step.change,
            rule=step.rule,
            severity=step.severity,
            onset=MONDAY_TEN + step.onset,
            page=step.page,
        )
        check(scene)
        grave = RULES.rules[step.rule].is_life_safety(step.severity)
        if step.page and (applied.opened or applied.reopened or applied.paged or applied.raised):
            assert applied.notices > 0 or not grave, "each news of a danger is told"
        if not step.page or step.change == Change.CLEARED:
            assert applied.notices == 0
        moved(scene, step)
        scene.clock.advance(step.wait)


def rerostered(scene: Scene, shifts: list[str]) -> None:
    with writing(scene.engine) as connection:
        for code, shift in zip(scene.town.people, shifts, strict=True):
            connection.execute(update(tables.person).where(tables.person.c.code == code).values(shift=shift))
    with reading(scene.engine) as connection:
        scene.town = load_town_view(connection)


def moved(scene: Scene, step: Step) -> None:
    if step.move and scene.tickets:
        try:
            scene.move(step.move, step.who, scene.tickets[-1]["id"], opinion="because", cause="works")
        except MoveRefused:
            return


def check(scene: Scene) -> None:
    alerts = scene.alerts
    tickets = {ticket["id"]: ticket for ticket in scene.tickets}
    told = Counter(notice["alert"] for notice in scene.notices if notice["recipient_kind"] == "person")
    standing = [(alert["subject_id"], alert["rule"]) for alert in alerts if alert["state"] == "open"]
    assert len(set(standing)) == len(standing)
    episodes = [(alert["subject_id"], alert["rule"], alert["onset"]) for alert in alerts]
    assert len(set(episodes)) == len(episodes)
    for alert in alerts:
        assert not alert["paged"] or alert["ticket"] in tickets
        if alert["paged"] and alert["life_safety"]:
            assert told[alert["id"]] > 0
            assert tickets[alert["ticket"]]["life_safety"]
    assert all(ticket["status"] in LIVE or ticket["closed_at"] for ticket in tickets.values())
