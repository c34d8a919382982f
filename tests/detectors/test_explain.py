"""Which limits apply to a device, and where each comes from."""

import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace as replaced

from core.clock import SECOND
from detectors.explain import Explained, UnknownDevice, explain
from detectors.rule import FromAttribute
from detectors.rules import RuleSet, load_packs
from detectors.words import Severity
from devices.registry import Registry
from tests.detectors.stage import PACKS, Device, Stage, registry_of

COMMON = "hazard: gas, category: 安全生产, title_zh: 测, title_en: t, advice_zh: 带, advice_en: bring, basis: K"
OWN = f"""
rules:
  own.gas:
    {{kind: threshold, metric: gas_lel, unit: "%LEL", recovery: "90%", {COMMON},
      limits: {{warning: {{attribute: permit, times: 0.9}}, alarm: {{attribute: permit}}, critical: 60}}}}
  own.later:
    {{kind: threshold, metric: gas_lel, unit: "%LEL", limits: {{alarm: 9}}, effective_from: 2027-01-01, {COMMON}}}
  own.past:
    {{kind: threshold, metric: gas_lel, unit: "%LEL", limits: {{alarm: 9}}, effective_to: 2026-01-01, {COMMON}}}
  own.named: {{kind: threshold, metric: gas_lel, unit: "%LEL", limits: {{alarm: {{attribute: absent}}}}, {COMMON}}}
  own.both: {{kind: compound, members: [gas.leak, smoke.detected], within: 5min, severity: critical, {COMMON}}}
overrides:
  - {{rule: gas.leak, device_type: gas, dwell: 8s}}
  - {{rule: gas.leak, site: S-1, limits: {{alarm: 15}}}}
  - {{rule: device.battery, device: GAS-1, enabled: false}}
"""


def town(**attributes: object) -> Registry:
    registry = registry_of([Device("GAS-1", "gas", attributes=attributes), Device("SMK-1", "smoke", site="S-2")])
    return replace(registry, site_attributes={"S-1": {"permit": 40}})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    file: Path = tmp_path_factory.mktemp("rules") / "town.yaml"
    file.write_text(OWN, "utf-8")
    return load_packs([file])


def found(rules: RuleSet, registry: Registry, rule: str, day: date | None = None) -> Explained:
    return next(each for each in explain(rules, registry, "GAS-1", day) if each.rule.id == rule)


def test_every_field_says_which_pack_or_override_it_is_from(own: RuleSet) -> None:
    leak = found(own, town(), "gas.leak")
    assert (leak.terms.limits, leak.terms.dwell) == ({Severity.ALARM: 15, Severity.CRITICAL: 50}, 8 * SECOND)
    said = {field: origin.text("en") for field, origin in leak.origins.items()}
    assert said["limits.alarm"] == "override site S-1 of pack town.yaml"
    assert said["limits.critical"] == PACKS.rules["gas.leak"].source
    assert said["recovery"] == "override site S-1 of pack town.yaml, by the lowest limit"
    assert said["dwell"] == "override device type gas of pack town.yaml"
    assert leak.origins["limits.alarm"].text("zh") == "规则包 town.yaml 对点位 S-1 的覆盖"


def test_a_limit_from_an_attribute_says_whose_it_is(own: RuleSet) -> None:
    gas = found(own, town(), "own.gas")
    assert gas.terms.limits == {Severity.WARNING: 36, Severity.ALARM: 40, Severity.CRITICAL: 60}
    assert gas.terms.recovery == pytest.approx(32.4)
    assert gas.origins["limits.warning"].text("en") == "attribute permit of the site × 0.9"
    assert gas.origins["limits.critical"].text("en") == "pack town.yaml"
    device = found(own, town(permit=20), "own.gas")
    assert device.origins["limits.alarm"].text("zh") == "设备属性 permit"
    assert device.terms.limits[Severity.ALARM] == 20


@pytest.mark.parametrize(
    ("permit", "limit", "said"),
    [
        (20, 20, "attribute permit of the device"),
        (500, 25, "default, attribute permit makes 500, which can be no limit: correct it"),
        (-5, 25, "default, attribute permit makes -5, which can be no limit: correct it"),
        (0, 25, "default, attribute permit makes 0, which can be no limit: correct it"),
        (math.inf, 25, "default, attribute permit makes inf, which can be no limit: correct it"),
        (math.nan, 25, "default, attribute permit makes nan, which can be no limit: correct it"),
        (10**400, 25, f"default, attribute permit makes {'1' + '0' * 39}, which can be no limit: correct it"),
        ("20", 25, "default, attribute permit makes '20', which can be no limit: correct it"),
    ],
)
def test_a_life_safety_limit_that_can_be_none_is_not_taken(permit: object, limit: float, said: str) -> None:
    leak = replaced(
        PACKS.rules["gas.leak"],
        limits={Severity.CRITICAL: 50.0},
        limits_from={Severity.ALARM: FromAttribute("permit", default=25.0)},
    )
    stage = Stage(registry_of([Device("GAS-1", "gas", attributes={"permit": permit})]), RuleSet(1, {"gas.leak": leak}))
    its = found(stage.rules, stage.registry, "gas.leak")
    assert (its.terms.limits[Severity.ALARM], its.origins["limits.alarm"].text("en")) == (limit, said)
    assert permit == limit or "请更正" in its.origins["limits.alarm"].text("zh")
    for at in (0, 10):
        stage.read(at, limit - 1)
    assert stage.found == []
    for at in (20, 30):
        stage.read(at, limit)
    assert [(d.severity, d.limit) for d in stage.found] == [(Severity.ALARM, limit)]


def test_a_limit_that_is_no_matter_of_life_may_be_any_finite_number() -> None:
    cold = replaced(
        PACKS.rules["warehouse.temperature"],
        limits={},
        limits_from={Severity.WARNING: FromAttribute("warm"), Severity.ALARM: FromAttribute("hot")},
    )
    attributes = {"warm": -18, "hot": math.nan}
    registry = registry_of([Device("GAS-1", "warehouse", attributes=attributes)])
    its = found(RuleSet(1, {"warehouse.temperature": cold}), registry, "warehouse.temperature")
    assert its.terms.limits == {Severity.WARNING: -18}


def test_a_rule_that_does_not_hold_says_why(own: RuleSet) -> None:
    today = date(2026, 11, 23)
    why = {each.rule.id: each.why for each in explain(own, town(), "GAS-1", today)}
    assert why["own.later"] == "not_yet"
    assert why["own.past"] == "no_longer"
    assert why["own.named"] == "no_limit"
    assert why["device.battery"] == "switched_off"
    assert why["gas.leak"] == why["own.both"] == "in_force"
    assert found(own, town(permit=80), "own.gas").why == "not_rising"
    assert "absent" in found(own, town(), "own.named").status("zh")
    assert found(own, town(), "own.later", today).status("en") == "not before 2027-01-01"


def test_only_what_is_about_the_device_is_told(own: RuleSet) -> None:
    told = {each.rule.id for each in explain(own, town(), "GAS-1")}
    assert {"gas.leak", "device.silence", "device.frozen.gas_lel", "own.both"} <= told
    assert not told & {"smoke.detected", "gateway.offline", "platform.disk_low"}


def test_an_unknown_device_is_named_with_the_nearest(own: RuleSet) -> None:
    with pytest.raises(UnknownDevice, match=r"no device GSA-1; did you mean GAS-1\?"):
        explain(own, town(), "GSA-1")


def test_it_tells_the_terms_that_are_judged_by(own: RuleSet) -> None:
    registry = town(permit=20)
    place = registry.device_index["GAS-1"]
    for each in explain(own, registry, "GAS-1"):
        judged = each.rule.terms("gas", "S-1", "GAS-1", registry.attributes_of(place))
        assert each.terms.limits == judged.limits
        assert (each.terms.recovery, each.terms.dwell) == (judged.recovery, judged.dwell)
        assert set(each.origins) >= {f"limits.{severity.name.lower()}" for severity in judged.limits}


@pytest.mark.parametrize(
    ("attributes", "base"),
    [({}, None), ({"tilt_baseline": 3}, 3.0), ({"tilt_baseline": "3"}, None), ({"tilt_baseline": 700}, None)],
)
def test_a_baseline_is_given_or_else_learnt(attributes: dict[str, object], base: float | None) -> None:
    registry = registry_of([Device("MHC-1", "manhole", attributes=attributes)])
    (tilt,) = (each for each in explain(PACKS, registry, "MHC-1") if each.rule.id == "manhole.tilt")
    assert tilt.base == base
