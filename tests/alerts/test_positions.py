"""Live positions: the newest of each person, plausible ones only, for a day at most, gone when the consent is."""

import pytest

from alerts.positions import forget_position, positions_of, report_position
from alerts.responders import LivePosition
from core.clock import DAY, HOUR, MINUTE, SECOND
from core.database import reading, writing
from tests.alerts.desk_scene import LAT, LNG, MONDAY_TEN, Scene


def report(scene: Scene, who: str, at: int, lng: float = LNG, now: int = MONDAY_TEN) -> str:
    with writing(scene.engine) as connection:
        return report_position(connection, who, LivePosition(lng, LAT, at, 12.0), now)


def known(scene: Scene) -> dict[str, LivePosition]:
    with reading(scene.engine) as connection:
        return positions_of(connection, ["G17-01", "G17-02", "GHOST"])


def test_only_the_newest_is_kept_however_late_the_others_come(scene: Scene) -> None:
    assert report(scene, "G17-01", MONDAY_TEN - MINUTE) == "kept"
    assert report(scene, "G17-01", MONDAY_TEN, LNG + 0.001) == "kept"
    assert report(scene, "G17-01", MONDAY_TEN - 30 * SECOND) == "older_than_known"
    assert known(scene) == {"G17-01": LivePosition(LNG + 0.001, LAT, MONDAY_TEN, 12.0)}


@pytest.mark.parametrize(
    ("at", "lng", "why"),
    [
        (MONDAY_TEN + 10 * MINUTE, LNG, "ahead_of_time"),
        (MONDAY_TEN - DAY - 1, LNG, "too_old"),
        (MONDAY_TEN, 181.0, "implausible"),
        (MONDAY_TEN, float("nan"), "implausible"),
    ],
)
def test_what_cannot_be_is_not_kept(scene: Scene, at: int, lng: float, why: str) -> None:
    assert report(scene, "G17-01", at, lng) == why
    assert known(scene) == {}


def test_a_clock_a_little_ahead_is_set_right(scene: Scene) -> None:
    assert report(scene, "G17-01", MONDAY_TEN + 2 * MINUTE) == "kept"
    assert known(scene)["G17-01"].at == MONDAY_TEN


def test_nobodys_position_is_kept_for_longer_than_a_day(scene: Scene) -> None:
    report(scene, "G17-01", MONDAY_TEN)
    report(scene, "G17-02", MONDAY_TEN + DAY + HOUR, now=MONDAY_TEN + DAY + HOUR)
    assert set(known(scene)) == {"G17-02"}


def test_it_is_gone_when_the_person_says_so(scene: Scene) -> None:
    report(scene, "G17-01", MONDAY_TEN)
    with writing(scene.engine) as connection:
        forget_position(connection, "G17-01")
    assert known(scene) == {}
