"""A sensor that stays away from its neighbours, hour after hour, is not to be believed."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import HOUR, SECOND
from core.journal import Offset, Record, RecordKind
from detectors.drift_groups import grouped, medians_of_others
from detectors.rule import Override
from detectors.safety import SafetyDetector
from detectors.words import Detection
from ingest.words import Quality, Rearm, RegistryChanged, RulesChanged
from tests.detectors.linked import ALARM, DRIFTS, WARNING, only
from tests.detectors.stage import START, Device, Row, Stage, block_of, moment, registry_of, short

FIVE = tuple(Device(f"GAS-{n}", "gas") for n in range(1, 6))
TO_THE_HOUR = (HOUR - START % HOUR) // SECOND
Values = dict[str, float]


def plant(*devices: Device, rules: Any = None) -> Stage:
    stage = Stage.of(*(devices or FIVE), rules=rules or only(DRIFTS))
    stage.now = float(TO_THE_HOUR)
    return stage


def hours(stage: Stage, count: int, away: Values, usual: float = 10.0, quality: int = 0) -> list[Detection]:
    """Readings every ten minutes, and a tick after each; `away` says by how much a device differs."""
    said = []
    for _ in range(count * 6):
        at = stage.now
        codes = stage.registry.device_codes
        stage.rows(*(Row(c, "gas_lel", at + 1, usual + away.get(c, 0.0), quality=quality * (c in away)) for c in codes))
        said += [each for each in stage.tick(at + 600) if each.rule == "gas.drifts"]
    return said


def test_a_sensor_that_stays_away_for_the_window_is_sick() -> None:
    stage = plant()
    assert not hours(stage, 2, {"GAS-2": 3.0})
    (said,) = hours(stage, 2, {"GAS-2": 3.0})
    assert short(said) == ("OPENED", "GAS-2", "gas.drifts", WARNING, TO_THE_HOUR, True, "drift")
    assert (said.value, said.limit, said.at) == (13.0, 2.0, moment(TO_THE_HOUR + 3 * 3600))
    assert (said.evidence["median"], said.evidence["distance"], said.evidence["neighbours"]) == (10.0, 3.0, 4)
    assert (said.evidence["unit"], said.evidence["window_s"]) == ("%LEL", 3 * 3600)
    assert stage.detector.sick_devices() == ["GAS-2"]
    assert stage.detector.open_episodes == 1
    assert not hours(stage, 1, {"GAS-2": 1.5})  # the recovery limit is 1
    assert [short(each)[:5] for each in hours(stage, 2, {})] == [("CLEARED", "GAS-2", "gas.drifts", 0, TO_THE_HOUR)]
    assert stage.detector.sick_devices() == []


def test_it_rises_and_eases() -> None:
    stage = plant()
    hours(stage, 4, {"GAS-2": -3.0})
    assert [short(each)[:4] for each in hours(stage, 4, {"GAS-2": -8.0})] == [("UPDATED", "GAS-2", "gas.drifts", ALARM)]
    assert [short(each)[:4] for each in hours(stage, 2, {"GAS-2": -3.0})] == [
        ("UPDATED", "GAS-2", "gas.drifts", WARNING)
    ]


def test_to_and_fro_is_no_drift() -> None:
    stage = plant()
    for side in (1, -1, 1, -1, 1, -1):
        assert not hours(stage, 2, {"GAS-2": side * 5.0})


def test_all_together_drift_nowhere() -> None:
    stage = plant()
    for usual in (10.0, 20.0, 40.0, 45.0):
        assert not hours(stage, 2, {}, usual)


def test_three_neighbours_with_readings_are_needed() -> None:
    few = plant(*FIVE[:3])
    assert not hours(few, 6, {"GAS-2": 9.0})
    four = plant(*FIVE[:4])
    assert [short(each)[:2] for each in hours(four, 4, {"GAS-2": 9.0})] == [("OPENED", "GAS-2")]
    resting = plant(*FIVE[:3], FIVE[3]._replace(state="commissioning"))
    assert not hours(resting, 6, {"GAS-2": 9.0})


def test_those_behind_the_same_gateway_stand_in_where_a_site_has_few() -> None:
    spread = [Device(f"GAS-{n}", "gas", site=f"S-{n}") for n in range(1, 6)]
    assert [short(each)[:2] for each in hours(plant(*spread), 4, {"GAS-2": 9.0})] == [("OPENED", "GAS-2")]
    elsewhere = [Device(f"GAS-{n}", "gas", f"GW-{n}", f"S-{n}") for n in range(1, 6)]
    assert not hours(plant(*elsewhere), 4, {"GAS-2": 9.0})


def test_at_its_site_a_sensor_has_neighbours_enough() -> None:
    """The hot plant's four sensors agree, whatever the rest behind the gateway says."""
    hot = [Device(f"GAS-{n}", "gas", site="HOT") for n in range(1, 5)]
    rest = [Device(f"GAS-{n}", "gas", site=f"S-{n}") for n in range(5, 9)]
    away = {device.code: 9.0 for device in hot}
    found = hours(plant(*hot, *rest), 4, away)
    assert not [each for each in found if each.subject.id in away]


@pytest.mark.parametrize("quality", [Quality.OUT_OF_RANGE, Quality.AGED, Quality.DISORDERED])
def test_unfit_readings_count_for_nothing(quality: Quality) -> None:
    assert not hours(plant(), 5, {"GAS-2": 9.0}, quality=int(quality))


def test_a_sick_sensor_is_nobodys_neighbour_and_is_not_judged() -> None:
    stage = plant(*FIVE[:4], rules=only(DRIFTS, also=("device.out_of_range.gas_lel",)))
    for _ in range(40):
        at = stage.now
        stage.rows(
            *(Row(c, "gas_lel", at + 1, 19.0 if c == "GAS-2" else 10.0) for c in ("GAS-2", "GAS-3", "GAS-4")),
            *(Row("GAS-1", "gas_lel", at + 2 + n, 10.0, quality=1) for n in range(9)),
        )
        stage.tick(at + 600)
    assert not [each for each in stage.found if each.rule == "gas.drifts"]


def test_hours_without_neighbours_change_nothing() -> None:
    stage = plant()
    hours(stage, 1, {"GAS-2": 9.0})
    for _ in range(12):
        stage.read(stage.now + 1, 19.0, "GAS-2")
        stage.tick(stage.now + 600)
    assert not stage.found
    hours(stage, 2, {"GAS-2": 9.0})
    assert [short(each)[:5] for each in stage.found] == [("OPENED", "GAS-2", "gas.drifts", ALARM, TO_THE_HOUR)]


def test_overrides_hold_by_device() -> None:
    off = msgspec.structs.replace(
        DRIFTS,
        overrides=(
            Override(device="GAS-2", enabled=False),
            Override(device="GAS-3", limits={WARNING: 20.0, ALARM: 40.0}),
        ),
    )
    found = hours(plant(rules=only(off)), 5, {"GAS-2": 9.0, "GAS-3": -9.0})
    assert not found


def test_closed_withdrawn_and_retired() -> None:
    stage = plant()
    hours(stage, 4, {"GAS-2": 9.0, "GAS-3": -9.0})
    stage.control(Rearm("device", "GAS-2", "gas.drifts"))
    again = stage.tick(stage.now + 1)
    assert [short(each)[:5] for each in again] == [("OPENED", "GAS-2", "gas.drifts", ALARM, TO_THE_HOUR)]
    gone = [each._replace(state="retired") if each.code == "GAS-2" else each for each in FIVE]
    before = stage.detector.snapshot()
    stage.registry = registry_of(gone)
    assert [(short(each)[:2], each.reason) for each in stage.control(RegistryChanged(2))] == [
        (("CLEARED", "GAS-2"), "retired")
    ]
    later = SafetyDetector(registry_of(gone), stage.rules)
    later.restore(*before)
    owed = later.apply(Record(Offset(0, stage.n), moment(stage.now + 1), RecordKind.TICK, b""))
    assert [(short(each)[:2], each.reason) for each in owed] == [(("CLEARED", "GAS-2"), "retired")]
    stage.versions[2] = only(version=2)
    assert [(short(each)[:2], each.reason) for each in stage.control(RulesChanged(2))] == [
        (("CLEARED", "GAS-3"), "rule_withdrawn")
    ]
    stage.tick(stage.now + 1)
    assert stage.detector.sick_devices() == []


SHORT = only(msgspec.structs.replace(DRIFTS, window=2 * HOUR))
FIVE_ON = registry_of(FIVE)
STEP = st.tuples(
    st.sampled_from([60, 300, 900, 1900, 3600, 9000]),
    st.dictionaries(st.sampled_from([each.code for each in FIVE]), st.sampled_from([8.0, 10.0, 10.5, 13.0, 18.0])),
)


def journal(steps: list[tuple[int, Values]], *, apart: bool = False, twice: bool = False) -> list[Record]:
    """For each step a block, or one for each reading, and a tick; `twice`: each reading is delivered again."""
    now = 0.0
    records: list[Record] = []

    def add(kind: RecordKind, payload: bytes) -> None:
        records.append(Record(Offset(0, len(records) + 1), moment(now), kind, payload))

    for passed, values in steps:
        now += passed
        rows = [Row(code, "gas_lel", now, value) for code, value in values.items() for _ in range(1 + twice)]
        for part in [[row] for row in rows] if apart else [rows] * bool(rows):
            add(RecordKind.BLOCK, block_of(FIVE_ON, part).to_bytes())
        add(RecordKind.TICK, b"")
    return records


def run(detector: SafetyDetector, records: list[Record]) -> list[Detection]:
    return [found for record in records for found in detector.apply(record)]


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=30), st.floats(0, 1))
def test_neither_splits_nor_redelivery_nor_a_snapshot_change_anything(
    steps: list[tuple[int, Values]], share: float
) -> None:
    records = journal(steps)
    expected = run(SafetyDetector(FIVE_ON, SHORT), records)
    assert run(SafetyDetector(FIVE_ON, SHORT), journal(steps, apart=True)) == expected
    assert run(SafetyDetector(FIVE_ON, SHORT), journal(steps, twice=True)) == expected
    split = int(share * len(records))
    first, second = SafetyDetector(FIVE_ON, SHORT), SafetyDetector(FIVE_ON, SHORT)
    before = run(first, records[:split])
    second.restore(*first.snapshot())
    assert before + run(second, records[split:]) == expected
    again, whole = second.snapshot()[1], SafetyDetector(FIVE_ON, SHORT)
    run(whole, records)
    assert all(np.array_equal(again[name], column, equal_nan=True) for name, column in whole.snapshot()[1].items())


@given(st.lists(st.tuples(st.floats(-100, 100), st.booleans()), min_size=4, max_size=9))
def test_the_median_of_the_others_is_numpys(values: list[tuple[float, bool]]) -> None:
    town = registry_of([Device(f"GAS-{n}", "gas") for n in range(len(values))])
    its = grouped(only(DRIFTS), town)
    value, sound = np.array([each for each, _ in values]), np.array([fit for _, fit in values])
    median, count = medians_of_others(its, value, sound)
    for check, (number, _) in enumerate(its.keys):
        place = its.numbers.tolist().index(number)
        others = [each for other, (each, fit) in enumerate(values) if fit and other != place]
        assert count[check] == len(others)
        if others:
            assert median[check] == pytest.approx(float(np.median(others)))
