"""What the measurement of the detectors tells, on a town too small to tell anything of its speed."""

import numpy as np
import pytest

from benchmarks.detectors import MIX, Quiet, detector_of, measured, rate_of, town_of
from detectors.compile import compile_rules
from detectors.rules import load_packs
from tests.detectors.stage import TYPES

COMPARED = {"benchmark", "rules_per_s", "cheap_per_s", "discord_per_s", "snapshot_s", "restore_s"}


def test_the_figures_are_those_that_are_compared() -> None:
    found = measured([300], backlog=1_000)
    assert found.keys() >= COMPARED | {"backlog_per_s", "derived_per_s", "ratio_to_numpy", "mix", "by_series"}
    assert found["rules_per_s"] == found["by_series"]["300"]["shuffled_per_s"] > 0
    assert found["backlog_by_rules"].keys() == {"limits", "noise", "noise_and_rate"}
    assert (found["cheap_per_s"], found["discord_per_s"]) == (None, None)


def test_a_third_of_the_town_wants_every_reading() -> None:
    registry = town_of(600)
    compiled = compile_rules(load_packs(), registry)
    profiles = compiled.profiles[compiled.profile]
    assert len(registry.device) == 600
    assert np.mean(profiles["noise"] >= 0) == pytest.approx(1 / 3)
    assert np.mean(profiles["rate"] >= 0) == pytest.approx(1 / 6)
    assert {registry.type_code[device] for device in registry.device.tolist()} == set(MIX)
    assert {*town_of(600, sorted(TYPES)).type_code} == {*TYPES}


def test_a_measurement_of_readings_that_rules_mind_is_none() -> None:
    registry = town_of(60)
    detector, quiet = detector_of(registry, load_packs()), Quiet(registry)
    loud = [block for blocks in quiet.passes(3) for block in blocks]
    for block in loud:
        block.value[:] = 1e6 + block.at % 7
    with pytest.raises(RuntimeError, match="caused"):
        rate_of(detector, loud)
