"""The rule language: what each field becomes, and what is refused, with its place and what to do."""

import re
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import HOUR, MINUTE, SECOND
from detectors.rule import FromAttribute, Rule
from detectors.rules import RuleErrors, RuleSet, load_packs
from detectors.words import Severity
from devices.device_types import DeviceType, EventType, Metric, load_device_types

TYPES = {
    **load_device_types(),
    "lorry": DeviceType(
        "lorry",
        "地磅",
        "Scale",
        60,
        {"load": Metric("load", "t", "荷载", "Load", 0, 200)},
        events={
            "weighed": EventType(
                "weighed",
                "称重",
                "Weighed",
                {"axles": "number", "weight_t": "number", "plate": "text", "empty": "bool"},
            )
        },
    ),
}
PACK = """
pack: {hazard: gas, category: 安全生产, class_code: E04, basis: K, standard: GB 1, edition: 2020}
schedules:
  night: 22:00-06:00
rules:
  a.rule:
    title_zh: 测
    title_en: t
    advice_zh: 带
    advice_en: bring
"""
GAS = "kind: threshold\nmetric: gas_lel\nunit: '%LEL'\n"
BOTH = "kind: threshold\nexpression: max(co / 20, h2s / 10)\nlimits: {alarm: 1}\n"
WEIGHED = "kind: event_value\nevent: weighed\ndevice_types: [lorry]\nunit: t\n"
TABLE = "table: {warning: {2: 18, 3: 25}}\n"
COMPOUND = "kind: compound\nseverity: critical\n"


def pack(fields: str, more: str = "") -> str:
    return PACK + "".join(f"    {line}\n" for line in fields.splitlines()) + more


def loaded(folder: Path, fields: str, more: str = "") -> Rule:
    (folder / "own.yaml").write_text(pack(fields, more), "utf-8")
    return load_packs([folder], TYPES).rules["a.rule"]


def refused(folder: Path, text: str) -> list[str]:
    (folder / "own.yaml").write_text(text, "utf-8")
    with pytest.raises(RuleErrors) as raised:
        load_packs([folder], TYPES)
    return [error.removeprefix(f"{folder}/") for error in raised.value.errors]


def test_the_header_and_the_schedules_of_a_file_hold_for_its_rules(tmp_path: Path) -> None:
    rule = loaded(tmp_path, GAS + "limits: {alarm: 25}\nschedule: night\nedition: '2021'\neffective_from: 2020-02-29")
    assert (rule.standard, rule.edition, rule.category, rule.basis) == ("GB 1", "2021", "安全生产", "K")
    assert (rule.schedule, rule.hours) == ("night", ("22:00-06:00",))
    assert rule.effective_from == date(2020, 2, 29)
    assert rule.source == "pack own.yaml"
    assert rule.recovery == 25


def test_limits_of_attributes_and_a_recovery_share(tmp_path: Path) -> None:
    limits = "limits: {warning: {attribute: permit, times: 0.9}, alarm: {attribute: permit, default: 30}, critical: 50}"
    rule = loaded(tmp_path, GAS + limits + "\nrecovery: 90%")
    assert rule.limits == {Severity.CRITICAL: 50}
    assert rule.limits_from == {
        Severity.WARNING: FromAttribute("permit", 0.9),
        Severity.ALARM: FromAttribute("permit", default=30.0),
    }
    assert rule.recovery_share == pytest.approx(0.9)
    assert rule.terms("gas", "", "", {"permit": 20}).recovery == pytest.approx(16.2)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (GAS + "limits: {alarm: 25}\nmean: 24h\ncoverage: 50", {"mean": 24 * HOUR, "coverage": 50}),
        (GAS + "limits: {alarm: 25}\ncount: 3\nwindow: 10min", {"count": 3, "window": 10 * MINUTE}),
        (
            GAS + "limits: {alarm: 25}\nbaseline: base\nbaseline_readings: 5",
            {"baseline": "base", "baseline_readings": 5},
        ),
        (GAS + "limits: {alarm: 25}\nnot_when: [aged, clock_off]\nlatch: true", {"not_when": ("aged", "clock_off")}),
        (GAS + "limits: {alarm: 25}\ndwell_off: 1.5s\nhours: [06:00-22:00]", {"dwell_off": 1_500_000}),
        (BOTH + "max_age: 2min", {"device_types": ("multi_gas",), "max_age": 2 * MINUTE}),
        (WEIGHED + TABLE + "value: weight_t\nby: axles", {"table": {Severity.WARNING: {"2": 18, "3": 25}}}),
        (
            COMPOUND + "members: [gas.leak, smoke.detected]\nwithin: 5min",
            {"members": ("gas.leak", "smoke.detected"), "within": 300 * SECOND, "device_types": ()},
        ),
        ("kind: noise\nmetric: gas_lel\nlimits: {warning: 5}\ndevice_types: gas", {"device_types": ("gas",)}),
        ("kind: drift\nmetric: gas_lel\nunit: '%LEL'\nlimits: {warning: 5}\nwindow: 1h", {"window": HOUR}),
        ("kind: flapping\nlimits: {warning: 5}\nwindow: 1h", {"kind": "flapping", "limits": {Severity.WARNING: 5}}),
    ],
)
def test_each_field_becomes_what_the_rule_has(tmp_path: Path, fields: str, expected: dict[str, object]) -> None:
    rule = loaded(tmp_path, fields)
    assert {key: getattr(rule, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        (GAS + "limits: {alarm: 25}\nmean: 1h\ncount: 3\nwindow: 5min", "count: excludes mean"),
        (GAS + "limits: {alarm: 25}\ncount: 3", "count: needs a window"),
        (GAS + "limits: {alarm: 25}\ncount: 100\nwindow: 1h", "count: must be 2 to 24, is 100"),
        (GAS + "limits: {alarm: 25}\nwindow: 1h", "window: a threshold has one only with count"),
        (GAS + "limits: {alarm: 25}\ncoverage: 50", "coverage: has no meaning without mean"),
        (GAS + "limits: {alarm: 25}\nmean: 1h\ncoverage: 0", "coverage: is a percentage"),
        (GAS + "limits: {alarm: 25}\nmean: 90d", "mean: is longer than 7d"),
        (GAS + "limits: {alarm: 25}\nmax_age: 1min", "max_age: has no meaning without expression"),
        (
            GAS + "limits: {alarm: 25}\nschedule: nihgt",
            "schedule: there is no schedule nihgt in this file; did you mean night?",
        ),
        (GAS + "limits: {alarm: 25}\nhours: [6-22]", "hours: '6-22' is no span of the week"),
        (GAS + "limits: {alarm: 25}\nnot_when: [aged, clockoff]", "not_when[1]: 'clockoff' is none of"),
        (GAS + "limits: {alarm: 25}\nlatch: yes", "latch: 'yes' is neither true nor false"),
        (GAS + "limits: {alarm: 010}", "limits.alarm: '010' is no number"),
        (GAS + "limits: {alarm: .inf}", "limits.alarm: must be finite"),
        (GAS + "limits: {alarm: 250}", "limits.alarm: 250 is outside of what gas can measure, 0 to 100"),
        (GAS + "limits: [25]", "limits: [25] is no mapping"),
        (GAS + "limits: {}", "limits: a rule of kind threshold needs limits"),
        (GAS + "limits: {alarm: {atribute: permit}}", "limits.alarm.atribute: unknown key; did you mean attribute?"),
        (GAS + "limits: {alarm: {attribute: Permit!}}", "limits.alarm.attribute: 'Permit!' is no code"),
        (GAS + "limits: {alarm: {attribute: p}}\nrecovery: 20", "recovery: the limits are each device's own"),
        (
            GAS + "limits: {warning: {attribute: p}, alarm: {attribute: p, times: 0.9}}",
            "limits.alarm.times: must be more times p than for warning",
        ),
        (GAS + "limits: {alarm: {attribute: p}}\nlife_safety_from: alarm", "limits.alarm: needs a default"),
        (
            GAS + "limits: {alarm: 25}\nrecovery: 120%",
            "recovery: a share of a limit above must be more than 0 and at most",
        ),
        (GAS + "limits: {alarm: 25}\nrecovery: soon", "recovery: 'soon' is neither a number nor a share such as 90%"),
        (
            GAS + "limits: {alarm: 25}\nanomaly: true\nlife_safety_from: alarm",
            "anomaly: a life-safety rule is never held back",
        ),
        (GAS + "limits: {alarm: 25}\neffective_from: 2020-13-45", "effective_from: '2020-13-45' is no day"),
        (GAS + "limits: {alarm: 25}\nvalue: weight_t", "value: a rule of kind threshold has none: only event_value"),
        (GAS + "limits: {alarm: 25}\nexpression: co + h2s\nmax_age: 1s", "expression: excludes metric"),
        (
            GAS + "limits: {alarm: 25}\ndevice_types: [gsa]",
            "device_types[0]: there is no device type gsa; did you mean gas?",
        ),
        ("kind: treshold\nlimits: {alarm: 25}", "kind: 'treshold' is none of"),
        (BOTH, "max_age: is missing"),
        (BOTH.replace("h2s /", "h2s **") + "max_age: 2min", "expression: can't use"),
        (BOTH + "max_age: 2min\ndevice_types: [gas]", "expression: gas has no metric co"),
        (BOTH.replace("h2s", "h2z") + "max_age: 2min", "device_types: no device type fits; did you mean h2s?"),
        (
            WEIGHED + TABLE + "value: wieght_t\nby: axles",
            "value: lorry brings no wieght_t with weighed; did you mean weight_t?",
        ),
        (WEIGHED + TABLE + "value: plate\nby: axles", "value: plate is no number of lorry"),
        (WEIGHED + TABLE + "value: weight_t\nby: empty", "by: empty is neither a number nor a text of lorry"),
        (WEIGHED + TABLE + "value: weight_t", "table: by is missing"),
        (
            WEIGHED + "table: {warning: {2: 18}, alarm: {2: 17}}\nvalue: weight_t\nby: axles",
            "table.alarm.2: a higher severity",
        ),
        (
            COMPOUND + "members: [gas.leak, gas.leek]\nwithin: 5min",
            "members[1]: there is no rule gas.leek; did you mean gas.leak?",
        ),
        (COMPOUND + "members: [a.rule, gas.leak]\nwithin: 5min", "members[0]: is the rule itself"),
        (COMPOUND + "members: [site.fire, gas.leak]\nwithin: 5min", "members[0]: site.fire is of kind compound"),
        (COMPOUND + "members: [gas.leak]\nwithin: 5min", "at_least: asks for 2 of 1 rules"),
        (COMPOUND + "members: [gas.leak, smoke.alarm]", "within: is missing"),
        (
            COMPOUND + "members: [smoke.detected, smoke.alarm]\ndistinct: hazard\nwithin: 5min",
            "at_least: asks for 2 of 1 hazards",
        ),
        (
            GAS + "limits: {alarm: 25}\nnot_when: [aged]\nlife_safety_from: alarm",
            "not_when: a life-safety rule leaves no",
        ),
        (
            COMPOUND + "members: [gas.leak, smoke.alarm]\nwithin: 5min\nlatch: true",
            "latch: a rule of kind compound has none",
        ),
        ("kind: event\nevent: weighed\nseverity: alarm\ndwell: 10s", "dwell: a rule of kind event has none"),
        ("kind: flapping\nlimits: {warning: 5}", "window: a rule of kind flapping needs one"),
        (
            "kind: noise\nmetric: gas_lel\nlimits: {warning: 5}\ndirection: below",
            "direction: a rule of kind noise has limits",
        ),
        (
            "kind: frozen\nmetric: gas_lel\nlimits: {warning: 1, alarm: 2}",
            "limits: a rule of kind frozen has one severity",
        ),
        ("kind: frozen\nmetric: gas_lel\nseverity: warning\nlimits: {warning: 1}", "severity: stands for limits"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, fields: str, what: str) -> None:
    text = pack(fields)
    errors = refused(tmp_path, text)
    found = [error for error in errors if what in error]
    assert found, errors
    file, line, column, rest = found[0].split(":", 3)
    assert file == "own.yaml"
    assert rest.lstrip().startswith("rules.a.rule.")
    path = what.partition(":")[0].partition("[")[0].split(".")
    there = text.splitlines()[int(line) - 1][int(column) - 1 :]
    assert there.startswith((*path, "a.rule")) or "[" in what


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("{rule: a.rule, dwell: 1s}", "overrides[0]: name exactly one of"),
        ("{rule: a.rule, site: S}", "overrides[0]: changes nothing"),
        ("{rule: a.rule, site: S, attribute: {a: 1}, dwell: 1s}", "overrides[0]: name exactly one of"),
        ("{rule: a.rule, attribute: {a: 1, b: 2}, dwell: 1s}", "overrides[0].attribute: write one name and its value"),
        ("{rule: a.rule, site: S, dwel: 1s}", "overrides[0].dwel: unknown key; did you mean dwell?"),
        ("{rule: a.rule, site: S, window: 1min}", "overrides[0].window: a threshold has one only with count"),
        ("{rule: a.rule, site: S, dwell: 2d}", "overrides[0].dwell: is longer than 1d"),
        ("{rule: a.rule, site: S, recovery: 60}", "overrides[0].recovery: 60 is on the wrong side of the limit 25"),
        ("{site: S, dwell: 1s}", "overrides[0]: rule is missing"),
        ("{rule: a.rule, site: S, limits: {alarm: {attribute: x}}}", "overrides[0].limits.alarm: "),
    ],
)
def test_a_wrong_override_is_refused_at_its_own_place(tmp_path: Path, override: str, what: str) -> None:
    errors = refused(tmp_path, pack(GAS + "limits: {alarm: 25}", f"overrides:\n  - {override}\n"))
    assert any(what in error for error in errors), errors
    assert all(error.startswith("own.yaml:16:") for error in errors), errors


def test_an_override_for_one_scope_stands_once_in_a_source_and_the_later_source_wins(tmp_path: Path) -> None:
    twice = "overrides:\n  - {rule: gas.leak, site: S, dwell: 1s}\n  - {rule: gas.leak, site: S, limits: {alarm: 20}}\n"
    (error,) = refused(tmp_path, twice)
    assert error.startswith("own.yaml:3:5: overrides[1]: gas.leak is overridden for site S twice, first at ")
    (tmp_path / "own.yaml").write_text(
        "overrides: [{rule: gas.leak, site: S, dwell: 1s, limits: {alarm: 22}}]", "utf-8"
    )
    sheet = "overrides: [{rule: gas.leak, site: S, limits: {alarm: 20}}, {rule: gas.leak, site: T, dwell: 2s}]"
    rules = load_packs([tmp_path], TYPES, {"console": sheet}).rules
    first, second = rules["gas.leak"].overrides
    assert (first.site, first.limits, first.dwell) == ("S", {Severity.ALARM: 20}, None)
    assert (second.site, second.dwell, second.source) == ("T", 2 * SECOND, "sheet console")


def test_a_rule_of_a_sheet_replaces_one_of_a_pack_and_keeps_its_overrides(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("overrides: [{rule: a.rule, site: S, dwell: 1s}]", "utf-8")
    sheets = {"first": pack(GAS + "limits: {alarm: 25}"), "second": pack(GAS + "limits: {alarm: 20}")}
    rule = load_packs([tmp_path], TYPES, sheets).rules["a.rule"]
    assert (rule.limits, rule.source) == ({Severity.ALARM: 20}, "sheet second")
    assert [override.site for override in rule.overrides] == ["S"]


def test_a_wrong_sheet_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleErrors, match=r"^console:1:1: overides: unknown key; did you mean overrides\?$"):
        load_packs([], TYPES, {"console": "overides: []"})


def test_nobody_is_blamed_for_naming_a_rule_that_could_not_be_read(tmp_path: Path) -> None:
    more = "overrides: [{rule: a.rule, site: S, dwell: 1s}]"
    assert len(refused(tmp_path, pack(GAS + "limits: {alarm: x}", more))) == 1


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes("rules: 测".encode("gbk"))
    with pytest.raises(RuleErrors, match=r"own\.yaml:1:1: is no UTF-8 text"):
        load_packs([tmp_path], TYPES)


def test_rules_of_a_version_from_before_still_read(tmp_path: Path) -> None:
    """What the first version wrote: none of the fields that came later."""
    stored = """{"gas.leak":{"advice_en":"a","advice_zh":"a","basis":"V","category":"安全生产","class_code":"E04",
        "device_types":["gas"],"direction":"above","beyond":false,"dwell":5000000,"edition":"2019",
        "effective_from":"2020-01-01","effective_to":null,"event":"","hazard":"gas","id":"gas.leak","ignore":null,
        "kind":"threshold","life_safety_from":1,"limits":{"3":25.0,"4":50.0},"metric":"gas_lel","over_range":4,
        "overrides":[{"site":"S-1","limits":{"3":20.0}}],"recovery":20.0,"standard":"GB/T 50493","title_en":"a",
        "title_zh":"a","unit":"%LEL","window":0}}"""
    rules = msgspec.json.decode(stored.encode(), type=dict[str, Rule])
    terms = rules["gas.leak"].terms("gas", "S-1", "GAS-1")
    assert (terms.limits[Severity.ALARM], terms.recovery, terms.dwell_off) == (20, 15, 0)
    again = RuleSet(1, rules).content
    assert RuleSet(1, msgspec.json.decode(again.encode(), type=dict[str, Rule])).content == again


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_whatever_is_written_is_read_or_refused_in_words(data: st.DataObject) -> None:
    """Any line of a sound pack spoilt: an error names the sheet, or the rules are sound."""
    lines = pack(
        GAS + "limits: {alarm: 25}\ndwell: 5s", "overrides:\n  - {rule: a.rule, site: S, dwell: 1s}\n"
    ).splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    spoilt = data.draw(st.text(alphabet="abl: {}[],'\"&*!-0159.%\t#", max_size=20))
    cut = data.draw(st.integers(0, len(lines[place])))
    lines[place] = lines[place][:cut] + spoilt
    errors: list[str] = []
    try:
        load_packs([], TYPES, {"console": "\n".join(lines)})
    except RuleErrors as wrong:
        errors = wrong.errors
    assert all(re.match(r"console:\d+:\d+: ", error) for error in errors)


def test_all_of_frozen_leaves_out_types_whose_value_may_stand_still(tmp_path: Path) -> None:
    """Two types share a metric; only one of them says from when it is frozen."""
    still = DeviceType("still", "静", "Still", 60, {"gas_lel": Metric("gas_lel", "%LEL", "燃气", "Gas", 0, 100)})
    (tmp_path / "own.yaml").write_text(pack("kind: frozen\nmetric: all\nseverity: warning"), "utf-8")
    rules = load_packs([tmp_path], {**TYPES, "still": still}).rules
    for code in ("a.rule.gas_lel", "device.frozen.gas_lel"):
        assert "gas" in rules[code].device_types
        assert "still" not in rules[code].device_types
    assert "still" in rules["device.out_of_range.gas_lel"].device_types


def test_a_key_without_a_value_is_missing(tmp_path: Path) -> None:
    text = pack(GAS + "limits: {alarm: 25}").replace("title_zh: 测", "title_zh:")
    assert [error.split(": ", 1)[1] for error in refused(tmp_path, text)] == ["rules.a.rule: title_zh is missing"]
