"""At 22:00 the rule of the day hands over to the rule of the night: one ends, the other begins once, nothing flaps."""

from datetime import datetime

from core.clock import SECOND, SHANGHAI, moment_of
from tests.detectors.stage import START, Device, Stage, short

TEN_P_M = (moment_of(datetime(2026, 9, 22, 22, tzinfo=SHANGHAI)) - START) // SECOND
SIX_A_M = TEN_P_M + 8 * 3_600


def heard(stage: Stage, since: int, until: int, level: float) -> None:
    for at in range(since, until, 5):
        stage.read(at, level + at % 2, "NOI-1", "laeq")
        stage.tick(at)


def steps(stage: Stage) -> list[tuple[str, str, int, str]]:
    return [(short(d)[0], d.rule, short(d)[4], d.reason) for d in stage.found]


def test_noise_over_both_limits_is_one_alert_by_day_and_one_by_night() -> None:
    day = Device("NOI-1", "noise")
    stage = Stage.of(day)
    begin = TEN_P_M - 1_200
    heard(stage, begin, TEN_P_M + 1_800, 78.0)
    assert steps(stage) == [
        ("OPENED", "noise.level", begin, "threshold"),
        ("CLEARED", "noise.level", begin, "schedule_ended"),
        ("OPENED", "noise.level_night", TEN_P_M, "threshold"),
    ]
    assert stage.found[2].received_at == START + (TEN_P_M + 600) * SECOND


def test_noise_that_is_allowed_by_day_is_not_by_night() -> None:
    stage = Stage.of(Device("NOI-1", "noise"))
    heard(stage, TEN_P_M - 1_200, TEN_P_M + 1_800, 64.0)
    heard(stage, SIX_A_M - 60, SIX_A_M + 1_800, 64.0)
    assert [each[:2] for each in steps(stage) if each[1].startswith("noise")] == [
        ("OPENED", "noise.level_night"),
        ("CLEARED", "noise.level_night"),
    ]


def test_quiet_before_the_nights_dwell_is_over_says_nothing_at_night() -> None:
    stage = Stage.of(Device("NOI-1", "noise"))
    heard(stage, TEN_P_M - 1_200, TEN_P_M + 300, 78.0)
    heard(stage, TEN_P_M + 300, TEN_P_M + 1_800, 45.0)
    assert [each[:2] for each in steps(stage)] == [("OPENED", "noise.level"), ("CLEARED", "noise.level")]
