"""Whoever holds a ticket that is passed on to others hears that they need not go."""

import pytest

from alerts.fallback import fall_back
from alerts.moves import MoveRefused
from alerts.notice_words import CAUSES
from core.clock import MINUTE
from core.database import writing
from tests.alerts.desk_scene import Scene


@pytest.fixture
def held(scene: Scene) -> Scene:
    """A gas ticket that somebody of G17 is on the way to."""
    scene.detect("PLANT-1")
    scene.move("accept", "G17-01")
    scene.clock.advance(MINUTE)
    return scene


def former(scene: Scene) -> list[tuple[str, str, bool]]:
    found = [each for each in scene.notices if each["cause"] == "passed_on"]
    return [(each["recipient"], each["channel"], each["life_safety"]) for each in found]


def test_the_holder_hears_at_once_that_others_go(held: Scene) -> None:
    held.move("reassign", "DISP-1", team="T-G18", station="ST2")
    assert former(held) == [("G17-01", "phone", True)]
    told = held.notices[-1]
    assert (told["state"], told["due_at"]) == ("queued", held.clock.now())
    assert "不用再去" in CAUSES["passed_on"].zh


def test_who_gave_it_back_hears_nothing(held: Scene) -> None:
    held.move("return", "G17-01", opinion="not ours")
    held.move("dispatch", "DISP-1", team="T-G18")
    assert former(held) == []


@pytest.mark.parametrize("team", ["T-G17", None], ids=["the same team", "the platform's choice"])
def test_who_keeps_it_hears_nothing_of_the_kind(held: Scene, team: str | None) -> None:
    held.move("reassign", "DISP-1", team=team)
    assert former(held) == []


def test_who_passed_it_on_hears_nothing(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.move("accept", "DISP-1")
    scene.move("reassign", "DISP-1", team="T-G18")
    assert former(scene) == []


def test_to_have_heard_so_gives_no_right_to_the_ticket(held: Scene) -> None:
    held.move("reassign", "DISP-1", team="T-G18", station="ST2")
    held.clock.advance(MINUTE)
    with pytest.raises(MoveRefused):
        held.move("accept", "G17-01")


def test_nobody_else_is_told_that_they_need_not_go(held: Scene) -> None:
    held.move("reassign", "DISP-1", team="T-G18", station="ST2")
    (row,) = (each for each in held.notices if each["cause"] == "passed_on")
    with writing(held.engine) as connection:
        assert fall_back(connection, row, held.clock.now()) == 0
