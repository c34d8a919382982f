"""Snapshots across a grown registry and other rules, and what is refused; machine code without a place for a cache."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.safety import SafetyDetector, SnapshotRefused
from ingest.words import RulesChanged
from tests.detectors.stage import Device, Row, Stage, moment, registry_of, short, with_rules

OLD = (Device("GAS-5", "gas"), Device("GAS-6", "gas", "GW-6"), Device("SMK-5", "smoke"))


def disturbed() -> Stage:
    """Episodes of every sort: gas on GAS-5 and GAS-6, a smoke alarm, a silent gateway, a rate's window, a dwell."""
    stage = Stage.of(*OLD, Device("ELE-5", "electrical"))
    stage.event("device", "SMK-5", "smoke_alarm", 0, active=True)
    for at in (0, 6):
        stage.rows(Row("GAS-5", "gas_lel", at, 60 + at), Row("GAS-6", "gas_lel", at, 60 + at))
    for at in range(10, 200, 10):
        stage.rows(Row("GAS-5", "gas_lel", at, 60 + at / 9), Row("ELE-5", "cable_temp", at, 20 + at / 30))
        stage.tick(at)
    stage.read(200, 350, "ELE-5", "residual_current")
    return stage


def resumed(stage: Stage, devices: tuple[Device, ...]) -> Stage:
    """A new process on another registry, restored from the stage's snapshot."""
    later = Stage(registry_of(devices, 2), stage.rules, n=stage.n, now=stage.now)
    later.detector.restore(*stage.detector.snapshot())
    return later


def test_a_snapshot_is_restored_on_a_registry_that_grew() -> None:
    stage = disturbed()
    assert stage.detector.open_episodes == 5, "two leaks, smoke, what they say together, the silence"
    grown = resumed(
        stage, (*OLD, Device("ELE-5", "electrical"), Device("AAA-1", "gas", "GW-0", in_service_at=moment(200)))
    )
    assert grown.detector.open_episodes == 5
    assert [short(d) for d in grown.tick(201)] == []
    assert [short(d)[1:5] for d in grown.read(231, 360, "ELE-5", "residual_current")] == [
        ("ELE-5", "electrical.residual_current", 3, 200)
    ]
    assert [short(d)[2] for d in grown.read(232, 39, "ELE-5", "cable_temp")] == ["electrical.cable_rise"]
    assert [short(d)[:3] for d in grown.read(233, 1, "GAS-6")] == [("CLEARED", "GAS-6", "gas.leak")]
    assert [short(d)[:2] for d in grown.tick(234)] == [("CLEARED", "GW-6")]
    grown.rows(Row("AAA-1", "gas_lel", 240, 30))
    assert [short(d)[1:5] for d in grown.rows(Row("AAA-1", "gas_lel", 246, 30))] == [("AAA-1", "gas.leak", 3, 240)]


def test_what_was_retired_meanwhile_is_cleared_with_the_next_record() -> None:
    retired = tuple(device._replace(state="retired", gateway="GW-1") for device in OLD)
    later = resumed(disturbed(), (*retired, Device("ELE-5", "electrical")))
    assert sorted(short(d)[:3] + short(d)[-1:] for d in later.tick(201)) == [
        ("CLEARED", "GAS-5", "gas.leak", "retired"),
        ("CLEARED", "GAS-6", "gas.leak", "retired"),
        ("CLEARED", "GW-6", "gateway.offline", "retired"),
        ("CLEARED", "S-1", "site.fire", "recovered"),
        ("CLEARED", "SMK-5", "smoke.alarm", "retired"),
    ]
    assert later.detector.open_episodes == 0


def test_a_snapshot_goes_on_under_its_own_rules() -> None:
    stage = disturbed()
    stage.versions[2] = with_rules(2, gas__leak=None)
    stage.control(RulesChanged(2))
    meta, arrays = stage.detector.snapshot()
    other = SafetyDetector(stage.registry, stage.rules, lambda version: stage.versions[version])
    other.restore(meta, arrays)
    assert other.rules.version == 2
    with pytest.raises(SnapshotRefused, match="rules 2"):
        SafetyDetector(stage.registry, stage.rules).restore(meta, arrays)


@pytest.mark.parametrize(
    ("change", "words"), [({"format": 99}, "format 99"), ({"registry_id": "another"}, "registry another")]
)
def test_a_snapshot_of_something_else_is_refused(change: dict[str, Any], words: str) -> None:
    meta, arrays = disturbed().detector.snapshot()
    with pytest.raises(SnapshotRefused, match=words):
        Stage.of(*OLD).detector.restore({**meta, **change}, arrays)


def test_a_snapshot_of_a_larger_registry_is_refused() -> None:
    meta, arrays = disturbed().detector.snapshot()
    with pytest.raises(SnapshotRefused, match="more series"):
        Stage.of(*OLD).detector.restore(meta, arrays)


def test_a_snapshot_is_small_and_of_plain_dtypes() -> None:
    _, arrays = disturbed().detector.snapshot()
    assert all(array.dtype.names is None and array.dtype != object for array in arrays.values())
    series = len(arrays["series.last_at"])
    assert sum(array.nbytes for name, array in arrays.items() if name.startswith("series.")) <= 64 * series
    assert len(arrays["check.series"]) < series


def test_a_snapshot_before_the_first_record() -> None:
    stage, later = Stage.of(*OLD), Stage.of(*OLD)
    later.detector.restore(*stage.detector.snapshot())
    later.rows(Row("GAS-5", "gas_lel", 0, 60))
    assert [short(d)[3:5] for d in later.rows(Row("GAS-5", "gas_lel", 6, 61))] == [(4, 0)]
    assert later.found[0].at == moment(6)


def test_machine_code_needs_no_place_for_a_cache(tmp_path: Path) -> None:
    """The package lies read-only and the user has no cache folder that can be written."""
    for name in ("jit.py", "__init__.py"):
        source = Path(__file__).parents[2] / "detectors" / name
        (tmp_path / "detectors").mkdir(exist_ok=True)
        (tmp_path / "detectors" / name).write_text(source.read_text("utf-8"), "utf-8")
    (tmp_path / "detectors" / "__pycache__").write_text("no folder", "utf-8")
    (tmp_path / "home").write_text("no folder", "utf-8")
    (tmp_path / "detectors" / "double.py").write_text(
        "from detectors.jit import compiled\n@compiled\ndef double(x):\n    return 2 * x\nprint(double(21))\n", "utf-8"
    )
    where = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path)}
    environment = {**os.environ, **where}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-W", "error", "-m", "detectors.double"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_one_tick_over_a_quiet_town_says_nothing_and_keeps_nothing() -> None:
    stage = Stage.of(*OLD)
    stage.rows(*(Row(code, "battery", 0, 90) for code in ("GAS-5", "GAS-6", "SMK-5")))
    before = stage.detector.snapshot()[1]
    stage.tick(1)
    after = stage.detector.snapshot()[1]
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
