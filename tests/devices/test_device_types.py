"""The catalogue of device types: what ships is sound, and a faulty file is told file, key and problem."""

from pathlib import Path

import pytest

from devices.device_types import CatalogueError, DeviceType, load_device_types

TYPES = load_device_types()
FIRST = ("dust", "electrical", "gas", "manhole", "noise", "smoke", "traffic", "water_depth")

METER = """
code: meter
name_zh: 水表
name_en: Water meter
interval_s: 3600
metrics:
  volume: {unit: m³, name_zh: 水量, name_en: Volume, low: 0, high: 99999}
"""


def test_the_first_eight_types_keep_their_metrics_and_events() -> None:
    """Series in databases are known by them."""
    assert {code: list(TYPES[code].metrics) for code in FIRST} == {
        "dust": ["pm25", "pm10"],
        "electrical": ["residual_current", "cable_temp"],
        "gas": ["gas_lel", "battery"],
        "manhole": ["tilt", "cover_open", "battery"],
        "noise": ["laeq"],
        "smoke": ["smoke", "battery"],
        "traffic": ["speed", "flow"],
        "water_depth": ["depth_cm", "battery"],
    }
    assert TYPES["smoke"].events["smoke_alarm"].attributes == {"active": "bool"}
    assert {code for first in FIRST for code in TYPES[first].events} == {"smoke_alarm", "call_point", "cover_open"}


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_every_type_is_fit_for_use(kind: DeviceType) -> None:
    assert kind.name_zh != kind.name_en
    assert kind.late_s == 600
    assert kind.icon
    for metric in kind.metrics.values():
        assert metric.low < metric.high
        if metric.frozen_s is not None:
            assert metric.frozen_s >= kind.interval_s * (metric.frozen_count - 1), "fires no sooner than the count"


def test_a_sound_level_that_stands_still_for_thirty_seconds_is_frozen() -> None:
    laeq = TYPES["noise"].metrics["laeq"]
    assert (TYPES["noise"].interval_s, laeq.frozen_s, laeq.frozen_count, laeq.rest) == (5, 30, 6, None)


def test_an_extra_file_adds_a_type_and_replaces_one(tmp_path: Path) -> None:
    (tmp_path / "meter.yaml").write_text(METER, encoding="utf-8")
    slow_noise = METER.replace("meter", "noise").replace("volume", "laeq")
    own = tmp_path / "own.yaml"
    own.write_text(slow_noise, encoding="utf-8")
    types = load_device_types([tmp_path / "meter.yaml", own])
    assert types["meter"].metrics["volume"].unit == "m³"
    assert types["noise"].interval_s == 3600


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("low: 0", "low: zero", "meter.yaml: metrics.volume.low: Expected `float`, got `str`"),
        ("low: 0", "low: 100000", "meter.yaml: metrics.volume.high: must be above low (100000), is 99999"),
        ("high: 99999", "high: 9, rest: 10", "meter.yaml: metrics.volume.rest: must lie in 0..9, is 10"),
        ("high: 99999", "high: 9, frozen_s: 0", "meter.yaml: metrics.volume.frozen_s: needs at least 1 s"),
        ("high: 99999", "high: 9, frozen_count: 4", "meter.yaml: metrics.volume.frozen_count: has no meaning"),
        ("high: 99999", "high: 9, decimals: -1", "meter.yaml: metrics.volume.decimals: must be 0 to 9, is -1"),
        ("unit: m³, ", "", "meter.yaml: metrics.volume: Object missing required field `unit`"),
        ("unit: m³", "unit: m³, colour: red", "meter.yaml: metrics.volume: Object contains unknown field `colour`"),
        ("interval_s: 3600", "interval_s: soon", "meter.yaml: interval_s: Expected `int`, got `str`"),
        ("interval_s: 3600", "interval_s: 0", "meter.yaml: interval_s: must be at least 1, is 0"),
        ("interval_s: 3600\n", "", "meter.yaml: (file): Object missing required field `interval_s`"),
        ("code: meter", "code: Water-Meter", "meter.yaml: code: 'Water-Meter' is no code"),
        ("code: meter", "code: meter\ncode: metre", "code stands twice"),
        ("code: meter", "events: {leak: {name_zh: 漏, name_en: Leak, attributes: {rate: float}}}\ncode: meter", "leak"),
        ("metrics:", "metrics: {}\nevents:", "meter.yaml: metrics: a device type needs at least one metric"),
    ],
)
def test_a_fault_is_told_by_file_key_and_problem(tmp_path: Path, before: str, after: str, problem: str) -> None:
    assert before in METER
    (tmp_path / "meter.yaml").write_text(METER.replace(before, after), encoding="utf-8")
    with pytest.raises(CatalogueError) as caught:
        load_device_types([tmp_path])
    assert problem in str(caught.value)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("just words", encoding="utf-8")
    (tmp_path / "b.yaml").write_text(METER.replace("high: 99999", "high: -1").replace("3600", "0"), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(METER, encoding="utf-8")
    (tmp_path / "d.yaml").write_text(METER, encoding="utf-8")
    (tmp_path / "e.yaml").write_bytes("name_zh: 水表".encode("gb18030"))
    with pytest.raises(CatalogueError) as caught:
        load_device_types([tmp_path, tmp_path / "nowhere"])
    assert [line.split(": ")[0].removeprefix(f"{tmp_path}/") for line in caught.value.problems] == [
        "a.yaml",
        "b.yaml",
        "b.yaml",
        "d.yaml",
        "e.yaml",
        "nowhere",
    ]


def test_the_codes_of_environmental_monitors_are_spellings() -> None:
    assert "a34004" in TYPES["dust"].metrics["pm25"].spellings
    assert "a34002" in TYPES["dust"].metrics["pm10"].spellings
    assert "LA" in TYPES["noise"].metrics["laeq"].spellings
    assert "a34001" in TYPES["construction"].metrics["tsp"].spellings
    assert "a21026" in TYPES["outlet_air"].metrics["stack_so2"].spellings
    assert "w01018" in TYPES["outlet_water"].metrics["cod"].spellings


def test_people_may_die_of_what_these_tell() -> None:
    gases = {"gas", "multi_gas", "co", "h2s", "nh3", "cl2", "so2", "benzene", "oxygen"}
    others = {"smoke", "electrical", "water_depth", "manhole", "tilt", "lift", "ebike_shed"}
    assert {code for code, kind in TYPES.items() if kind.life_safety} == gases | others


@pytest.mark.parametrize("code", ["alert", "ticket", "notice"])
def test_a_type_named_like_the_points_of_the_desk_is_refused(tmp_path: Path, code: str) -> None:
    (tmp_path / "own.yaml").write_text(METER.replace("code: meter", f"code: {code}"), encoding="utf-8")
    with pytest.raises(CatalogueError, match=f"own.yaml: code: {code} is the name of the platform's own points"):
        load_device_types([tmp_path])


@pytest.mark.parametrize("taken", ["Vol", "flow", "volume"])
def test_a_spelling_means_one_metric_of_a_type(tmp_path: Path, taken: str) -> None:
    volume = METER.replace("high: 99999", "high: 99999, spellings: [Vol, V]")
    flow = f"  flow: {{unit: l/h, name_zh: 流量, name_en: Flow, low: 0, high: 9, spellings: [Q, {taken}]}}\n"
    file = tmp_path / "meter.yaml"
    file.write_text(volume + flow, encoding="utf-8")

    if taken == "flow":
        assert load_device_types([file])["meter"].metrics["flow"].spellings == ("Q", "flow")
        return
    with pytest.raises(CatalogueError) as refused:
        load_device_types([file])
    assert refused.value.problems == (f"meter.yaml: metrics.flow.spellings: {taken} means volume already",)


@pytest.mark.parametrize("ending", ["q", "min", "mean", "max", "count"])
def test_a_metric_that_ends_like_a_field_of_the_store_is_refused(tmp_path: Path, ending: str) -> None:
    code = f"level_{ending}"
    (tmp_path / "own.yaml").write_text(METER.replace("volume:", f"{code}:"), encoding="utf-8")
    with pytest.raises(CatalogueError, match=f"metrics.{code}: '{code}' ends like a field"):
        load_device_types([tmp_path])
