"""Rules as data: the packs that are shipped, overrides, errors all at once, versions in the database."""

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from core.clock import MINUTE, SECOND
from core.database import reading, writing
from detectors.rules import Override, RuleErrors, RuleSet, UnknownRules, load_packs, load_version, record_version
from detectors.tables import rules_version
from detectors.words import Severity
from tests.detectors.stage import Device, Stage, with_rules

NOW = 1_790_000_000 * SECOND


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return load_packs()


@pytest.mark.parametrize(
    ("rule", "limits"),
    [
        ("gas.leak", {Severity.ALARM: 25, Severity.CRITICAL: 50}),
        ("smoke.detected", {Severity.CRITICAL: 1}),
        ("electrical.residual_current", {Severity.ALARM: 300, Severity.CRITICAL: 500}),
        ("electrical.cable_temperature", {Severity.ALARM: 60, Severity.CRITICAL: 80}),
        ("electrical.cable_rise", {Severity.WARNING: 10}),
        ("flood.road", {Severity.WARNING: 5, Severity.ALARM: 15, Severity.CRITICAL: 25}),
        ("manhole.tilt", {Severity.ALARM: 10}),
        ("manhole.overturned", {Severity.CRITICAL: 90}),
        ("traffic.congestion", {Severity.WARNING: 20, Severity.ALARM: 10}),
        ("device.battery", {Severity.WARNING: 20}),
    ],
)
def test_the_limits_of_the_domain(shipped: RuleSet, rule: str, limits: dict[Severity, float]) -> None:
    assert shipped.rules[rule].limits == limits


def test_gas_is_life_safety_within_ten_seconds_and_saturates_to_critical(shipped: RuleSet) -> None:
    gas = shipped.rules["gas.leak"]
    assert gas.dwell <= 10 * SECOND
    assert gas.over_range == Severity.CRITICAL
    assert gas.is_life_safety(Severity.WARNING)
    assert "单人" in gas.advice("zh")
    assert "alone" in gas.advice("en")


def test_flooding_is_life_safety_from_alarm_up(shipped: RuleSet) -> None:
    flood = shipped.rules["flood.road"]
    assert [flood.is_life_safety(s) for s in (Severity.WARNING, Severity.ALARM)] == [False, True]


def test_every_rule_says_what_a_person_needs(shipped: RuleSet) -> None:
    for rule in shipped.rules.values():
        assert all((rule.title_zh, rule.title_en, rule.advice_zh, rule.advice_en, rule.class_code)), rule.id
        assert "{" not in rule.title_zh + rule.title_en, rule.id
        assert rule.basis == "K" or rule.standard or rule.hazard == "manhole", rule.id


def test_a_rule_for_all_metrics_becomes_one_for_each(shipped: RuleSet) -> None:
    assert shipped.rules["device.frozen.gas_lel"].device_types == ("gas", "multi_gas")
    assert {"gas", "manhole", "smoke"} <= set(shipped.rules["device.out_of_range.battery"].device_types)
    assert "device.frozen.tilt" not in shipped.rules


def _extra(folder: Path, text: str) -> list[Path]:
    (folder / "town.yaml").write_text(text, "utf-8")
    return [folder]


def test_the_more_specific_override_wins_field_by_field(tmp_path: Path) -> None:
    text = """
overrides:
  - {rule: gas.leak, device: GAS-0001, limits: {alarm: 10}, recovery: 4}
  - {rule: gas.leak, device_type: gas, dwell: 8s, limits: {alarm: 22}}
  - {rule: gas.leak, site: S-1, limits: {alarm: 15}, dwell: 2s}
  - {rule: gas.leak, device: GAS-0009, enabled: false}
"""
    gas = load_packs(_extra(tmp_path, text)).rules["gas.leak"]
    own = gas.terms("gas", "S-1", "GAS-0001")
    assert (own.limits, own.recovery, own.dwell) == ({Severity.ALARM: 10, Severity.CRITICAL: 50}, 4, 2 * SECOND)
    site = gas.terms("gas", "S-1", "GAS-0002")
    assert (site.limits[Severity.ALARM], site.recovery, site.dwell) == (15, 10, 2 * SECOND)
    assert gas.terms("gas", "S-2", "GAS-0003").limits[Severity.ALARM] == 22
    assert not gas.terms("gas", "S-2", "GAS-0009").enabled


def test_a_towns_own_rule_replaces_the_shipped_one(tmp_path: Path, shipped: RuleSet) -> None:
    text = """
rules:
  device.battery:
    {kind: threshold, metric: battery, unit: "%", direction: below, limits: {notice: 30}, hazard: device,
     category: 公共服务, title_zh: 电量, title_en: Battery, advice_zh: 换, advice_en: change, basis: K}
"""
    own = load_packs(_extra(tmp_path, text))
    assert own.rules["device.battery"].limits == {Severity.NOTICE: 30}
    assert own.rules["device.battery"].recovery == 30
    assert own.rules.keys() == shipped.rules.keys()


def test_every_error_is_found_at_once_with_file_and_path(tmp_path: Path) -> None:
    common = "hazard: gas, category: 安全生产, title_zh: a, title_en: a, advice_zh: a, advice_en: a, basis: K"
    text = f"""
rules:
  a.typo: {{kind: threshold, metric: gas_lel, unit: "%LEL", limits: {{alarm: 25}}, recover: 20, {common}}}
  a.unit: {{kind: threshold, metric: gas_lel, unit: ppm, limits: {{alarm: 25}}, {common}}}
  a.metric: {{kind: threshold, device_types: [gas], metric: gas_lle, unit: "", limits: {{alarm: 25}}, {common}}}
  a.order: {{kind: threshold, metric: gas_lel, unit: "%LEL", limits: {{alarm: 25, critical: 20}}, {common}}}
  a.side: {{kind: threshold, metric: gas_lel, unit: "%LEL", limits: {{alarm: 25}}, recovery: 30, {common}}}
  a.span: {{kind: threshold, metric: gas_lel, unit: "%LEL", limits: {{alrm: 25}}, dwell: 10, {common}}}
  a.short: {{kind: event, event: smoke_alarm, severity: alarm, hazard: fire, basis: K}}
  a.quiet: {{kind: silence, severity: warning, {common}}}
overrides:
  - {{rule: gas.leek, device: GAS-1, enabled: false}}
  - {{rule: gas.leak, device: GAS-1, site: S-1, enabled: false}}
  - {{rule: gas.leak, site: S-1, limits: {{alarm: 55}}}}
"""
    with pytest.raises(RuleErrors) as raised:
        load_packs(_extra(tmp_path, text))
    found = raised.value.errors
    for part in (
        "town.yaml:3:81: rules.a.typo.recover: unknown key; did you mean recovery?",
        "town.yaml:4:46: rules.a.unit.unit: 'ppm', but gas measures gas_lel in '%LEL'",
        "town.yaml:5:52: rules.a.metric.metric: gas has no metric gas_lle; did you mean gas_lel?",
        "town.yaml:6:81: rules.a.order.limits.critical: a higher severity needs a higher limit",
        "town.yaml:7:81: rules.a.side.recovery: 30 is on the wrong side",
        "town.yaml:8:69: rules.a.span.limits.alrm: 'alrm' is no severity: write notice, warning, alarm, critical; did",
        "town.yaml:8:80: rules.a.span.dwell: 10 is no span",
        "town.yaml:9:3: rules.a.short: title_zh is missing",
        "town.yaml:10:13: rules.a.quiet.kind: device.silence is a rule of kind silence",
        "town.yaml:12:6: overrides[0].rule: there is no rule gas.leek; did you mean gas.leak?",
        "town.yaml:13:5: overrides[1]: name exactly one of device_type, attribute, site, device",
        "town.yaml:14:33: overrides[2].limits.critical: a higher severity needs a higher limit",
    ):
        assert any(part in error for error in found), (part, found)


@pytest.mark.parametrize(
    "text", ["rules: [", "just text", "rules: {a: {kind: rate}, a: {kind: event}}", "limits: {}", "rules: {a: 3}"]
)
def test_a_broken_file_is_an_error_with_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(RuleErrors, match=r"town\.yaml"):
        load_packs(_extra(tmp_path, text))


@pytest.mark.parametrize("given", ["{a: 1}", "[critical]", "3"])
@pytest.mark.parametrize("field", ["severity", "over_range", "life_safety_from"])
def test_a_severity_that_is_no_name_is_an_error_with_its_place(tmp_path: Path, field: str, given: str) -> None:
    with pytest.raises(RuleErrors, match=rf"town\.yaml:1:13: rules\.a\.{field}: .* is no severity"):
        load_packs(_extra(tmp_path, f"rules: {{a: {{{field}: {given}}}}}"))


def test_a_rule_on_an_events_number_without_an_event_is_an_error(tmp_path: Path) -> None:
    said = "hazard: gas, category: 安全生产, title_zh: 测, title_en: t, advice_zh: 带, advice_en: bring, basis: K"
    text = f"rules: {{a: {{kind: event_value, value: weight_t, limits: {{alarm: 9}}, {said}}}}}"
    with pytest.raises(RuleErrors, match=r"rules\.a\.event: a rule of kind event_value needs one"):
        load_packs(_extra(tmp_path, text))


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuleErrors, match="no file or directory"):
        load_packs([tmp_path / "absent"])


def test_a_version_is_recorded_only_when_something_changed(engine: Engine, tmp_path: Path, shipped: RuleSet) -> None:
    changed = load_packs(_extra(tmp_path, "overrides: [{rule: gas.leak, device: G, dwell: 1s}]"))
    with writing(engine) as connection:
        first = record_version(connection, shipped, "值班长", "初始", NOW)
        assert record_version(connection, load_packs(), "值班长", "again", NOW + MINUTE) == first
        second = record_version(connection, changed, "值班长", "edit", NOW + MINUTE)
        back = record_version(connection, shipped, "值班长", "back", NOW + 2 * MINUTE)
    assert first < second < back
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(rules_version)) == 3
        kept = load_version(connection, second)
        with pytest.raises(UnknownRules):
            load_version(connection, back + 1)
    assert kept == RuleSet(second, changed.rules)
    assert kept.rules["gas.leak"].overrides == (Override(device="G", dwell=SECOND, source="pack town.yaml"),)
    assert kept.digest == changed.digest


@pytest.mark.parametrize("days", [{"effective_to": date.max}, {"effective_from": date.max}])
def test_a_rule_for_ever_is_no_trouble_on_its_last_day(days: dict[str, date]) -> None:
    stage = Stage.of(Device("GAS-1", "gas"), rules=with_rules(1, gas__co=days))
    stage.read(0, 60)
    stage.ticks(10)
    assert [d.rule for d in stage.found] == ["gas.leak"]
