"""Rules that hang on what other rules found, for tests: compounds, flapping and drift."""

from dataclasses import replace
from typing import Any

from core.clock import HOUR, MINUTE
from detectors.rules import Rule, RuleSet
from detectors.words import Severity
from tests.detectors.stage import PACKS

WARNING, ALARM, CRITICAL = Severity.WARNING, Severity.ALARM, Severity.CRITICAL


def rule(code: str, kind: Any, **fields: Any) -> Rule:
    """A rule with everything that a test doesn't look at."""
    plain = {
        "device_types": (),
        "limits": {WARNING: 1.0},
        "hazard": "device",
        "category": "公共服务",
        "title_zh": "示例",
        "title_en": "example",
        "advice_zh": "查看",
        "advice_en": "look at it",
        "basis": "K",
    }
    return Rule(id=code, kind=kind, **{**plain, **fields})


SEVERAL = rule(
    "site.several",
    "compound",
    limits={CRITICAL: 1.0},
    members=("gas.leak", "smoke.alarm", "electrical.cable_temperature"),
    within=5 * MINUTE,
)
SPREAD = rule(
    "site.spread", "compound", limits={ALARM: 1.0}, members=("gas.leak",), distinct="device", within=5 * MINUTE
)
FLAPS = rule("gateway.flaps", "flapping", limits={WARNING: 3.0, ALARM: 5.0}, recovery=2.0, window=10 * MINUTE)
DRIFTS = rule(
    "gas.drifts",
    "drift",
    device_types=("gas",),
    metric="gas_lel",
    limits={WARNING: 2.0, ALARM: 6.0},
    recovery=1.0,
    window=3 * HOUR,
)
OVERLOAD = rule(
    "lorry.overload",
    "event_value",
    device_types=("weighing",),
    event="weighed",
    value="weight_t",
    by="axles",
    unit="t",
    beyond=True,
    limits={},
    table={WARNING: {"2": 18.0, "3": 25.0}, ALARM: {"2": 24.0}},
)


def only(*rules: Rule, version: int = 1, also: tuple[str, ...] = ()) -> RuleSet:
    """These rules and those of the packs named in `also`, and nothing else."""
    named = {code: PACKS.rules[code] for code in also}
    return replace(PACKS, version=version, rules={**named, **{each.id: each for each in rules}})
