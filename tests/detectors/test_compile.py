"""How rules and a registry become plans and profiles: few of them, however many devices there are."""

import dataclasses
from typing import Any

import numpy as np

from detectors.compile import Compiled, compile_rules
from detectors.rule import FromAttribute
from detectors.rules import RuleSet
from detectors.words import Severity
from tests.detectors.stage import Device, registry_of
from tests.detectors.wide import rule

MANY = 200
GAS = registry_of([Device(f"GAS-{number}", "gas") for number in range(MANY)])
PERMIT = {"limits": {}, "limits_from": {Severity.ALARM: FromAttribute("permit")}}


def compiled(attributes: dict[str, dict[str, Any]], *rules: Any) -> Compiled:
    return compile_rules(RuleSet(1, {its.id: its for its in rules}), dataclasses.replace(GAS, attributes=attributes))


def test_devices_share_plans_by_what_is_known_of_them() -> None:
    known = {code: {"permit": 10.0 + number % 3, "name": code} for number, code in enumerate(GAS.device_codes)}
    its = compiled(known, rule("gas.leak", "own", **PERMIT))
    assert [plan.terms.limits[Severity.ALARM] for plan in its.plans] == [10.0, 11.0, 12.0]
    assert len(its.owner) == MANY


def test_a_word_is_no_number_that_looks_like_it() -> None:
    its = compiled({"GAS-0": {"permit": "20"}, "GAS-1": {"permit": 20}}, rule("gas.leak", "own", **PERMIT))
    assert its.owner.tolist() == [GAS.series_of["GAS-1"]["gas_lel"]]


def test_plans_that_differ_only_in_what_a_calm_reading_never_meets_share_a_profile() -> None:
    known = {code: {"usual": number / 2} for number, code in enumerate(GAS.device_codes)}
    its = compiled(known, rule("gas.leak", "own", limits={Severity.ALARM: 9.0}, baseline="usual"))
    assert len(its.plans) == MANY
    assert len(np.unique(its.profile[its.owner])) == 1


def test_a_rate_or_scatter_that_minds_hours_or_quality_is_judged_in_full() -> None:
    plain = {"kind": "rate", "limits": {Severity.ALARM: 9.0}, "window": 60_000_000}
    for own, light in (({}, True), ({"not_when": ("aged",)}, False), ({"hours": ("22:00-06:00",)}, False)):
        its = compiled({}, rule("gas.leak", "own", **plain, **own))
        profile = its.profiles[its.profile[its.owner[0]]]
        assert (profile["rate"] >= 0, profile["keen"] == 0) == (light, light)
