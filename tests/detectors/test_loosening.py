"""Each field of an override, one step looser and one step stricter, and what touches life and safety."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.clock import MINUTE, SECOND
from detectors.loosening import life_safety_refused, loosens
from detectors.rule import FromAttribute, Override, Rule, Terms
from detectors.words import Severity

WARNING, ALARM, CRITICAL = Severity.WARNING, Severity.ALARM, Severity.CRITICAL


def rule(**more: Any) -> Rule:
    fields: dict[str, Any] = {
        "id": "gas.leak",
        "kind": "threshold",
        "device_types": ("gas",),
        "limits": {WARNING: 10.0, ALARM: 25.0},
        "recovery": 8.0,
        "hazard": "gas",
        "category": "安全生产",
        "title_zh": "燃气泄漏",
        "title_en": "Gas leak",
        "advice_zh": "勿单独进入",
        "advice_en": "never go in alone",
        "basis": "K",
        "metric": "lel",
        "dwell": MINUTE,
        "dwell_off": MINUTE,
    }
    return Rule(**(fields | more))


def at(**fields: Any) -> Override:
    return Override(site="S1", **fields)


@pytest.mark.parametrize(
    ("change", "looser"),
    [
        (at(limits={WARNING: 11.0}), ["limits.warning", "recovery"]),
        (at(limits={WARNING: 11.0}, recovery=8.0), ["limits.warning"]),
        (at(limits={ALARM: 26.0}), ["limits.alarm"]),
        (at(limits={WARNING: 9.0}), []),
        (at(limits={CRITICAL: 50.0}), []),
        (at(limits={WARNING: float("nan")}, recovery=8.0), ["limits.warning"]),
        (at(recovery=9.0), ["recovery"]),
        (at(recovery=7.0), []),
        (at(dwell=MINUTE + 1), ["dwell"]),
        (at(dwell=0), []),
        (at(dwell_off=MINUTE - 1), ["dwell_off"]),
        (at(dwell_off=2 * MINUTE), []),
        (at(enabled=False), ["enabled"]),
        (at(enabled=True), []),
        (at(), []),
        (at(limits={ALARM: 30.0}, dwell=2 * MINUTE, enabled=False), ["dwell", "enabled", "limits.alarm"]),
    ],
)
def test_each_field_of_an_upper_limit(change: Override, looser: list[str]) -> None:
    assert loosens(rule(), change) == looser


@pytest.mark.parametrize(
    ("change", "looser"),
    [
        (at(limits={WARNING: 18.0}, recovery=21.0), ["limits.warning"]),
        (at(limits={WARNING: 19.5}, recovery=21.0), []),
        (at(recovery=20.5), ["recovery"]),
        (at(recovery=22.0), []),
    ],
)
def test_a_lower_limit_is_the_other_way_round(change: Override, looser: list[str]) -> None:
    oxygen = rule(direction="below", limits={WARNING: 19.5, ALARM: 18.0}, recovery=21.0)
    assert loosens(oxygen, change) == looser


@pytest.mark.parametrize(
    ("kind", "shorter", "longer"),
    [
        ("rate", True, False),
        ("threshold", True, False),
        ("flapping", True, False),
        ("frozen", False, True),
        ("drift", False, True),
        ("noise", True, True),
    ],
)
def test_a_window_counts_by_what_the_kind_does_with_it(kind: str, shorter: bool, longer: bool) -> None:
    judged = rule(kind=kind, window=10 * MINUTE)
    assert ("window" in loosens(judged, at(window=5 * MINUTE))) is shorter
    assert ("window" in loosens(judged, at(window=20 * MINUTE))) is longer
    assert "window" not in loosens(judged, at(window=10 * MINUTE))


def test_an_override_that_replaces_a_stricter_one_loosens() -> None:
    strict = rule(overrides=(at(limits={WARNING: 5.0}, dwell=SECOND),))
    assert loosens(strict, at(limits={WARNING: 5.0})) == ["dwell"]
    assert loosens(strict, at(dwell=SECOND)) == ["limits.warning", "recovery"]
    assert loosens(strict, Override(site="S2", dwell=SECOND)) == []
    off = rule(overrides=(at(enabled=False),))
    assert loosens(off, at(dwell=2 * MINUTE)) == [], "it was off: now it judges at all"


def test_what_stands_beneath_counts() -> None:
    typed = rule(overrides=(Override(device_type="gas", limits={WARNING: 5.0}),))
    assert loosens(typed, at(limits={WARNING: 9.0}))[0] == "limits.warning"
    assert loosens(typed, Override(attribute={"class": "1"}, limits={WARNING: 9.0}))[0] == "limits.warning"
    assert (
        loosens(rule(overrides=(at(limits={WARNING: 5.0}),)), Override(device_type="gas", limits={WARNING: 9.0})) == []
    )


def test_limits_of_the_devices_own_are_looser_unless_the_device_is_known() -> None:
    permit = rule(limits={}, limits_from={ALARM: FromAttribute("permit")})
    fixed = at(limits={ALARM: 50.0})
    assert loosens(permit, fixed) == ["limits.alarm"]
    assert loosens(permit, fixed, {"permit": 60}) == []
    assert loosens(permit, fixed, {"permit": 40}) == ["limits.alarm", "recovery"]
    assert loosens(permit, at(dwell=2 * MINUTE)) == ["dwell"]


def test_life_safety_is_refused_where_it_is_touched() -> None:
    gas = rule(life_safety_from=ALARM)
    assert life_safety_refused(gas, at(limits={WARNING: 12.0}, recovery=8.0)) == []
    assert life_safety_refused(gas, at(limits={WARNING: 12.0})) == ["recovery"], "an alarm would end earlier"
    assert life_safety_refused(gas, at(limits={ALARM: 26.0}, dwell=2 * MINUTE)) == ["dwell", "limits.alarm"]
    assert life_safety_refused(gas, at(enabled=False)) == ["enabled"]
    assert life_safety_refused(rule(), at(enabled=False)) == []
    only_warns = rule(life_safety_from=CRITICAL)
    assert life_safety_refused(only_warns, at(dwell=2 * MINUTE)) == []
    assert life_safety_refused(replace(only_warns, over_range=CRITICAL), at(dwell=2 * MINUTE)) == ["dwell"]


numbers = st.floats(-100, 100)
spans = st.integers(0, 10) | st.none()
changes = st.builds(
    at,
    limits=st.none() | st.dictionaries(st.sampled_from([WARNING, ALARM, CRITICAL]), numbers, min_size=1),
    recovery=st.none() | numbers,
    dwell=spans,
    dwell_off=spans,
    enabled=st.none() | st.booleans(),
)


def level(terms: Terms, value: float) -> int:
    return max((int(each) for each, limit in terms.limits.items() if value >= limit), default=0) if terms.enabled else 0


@given(before=st.lists(changes, max_size=1), change=changes, values=st.lists(numbers, max_size=20))
def test_what_loosens_nothing_sees_all_that_was_seen(
    before: list[Override], change: Override, values: list[float]
) -> None:
    gas = rule(overrides=tuple(before))
    old, new = gas.terms("gas", "S1", "D1"), replace(gas, overrides=(change,)).terms("gas", "S1", "D1")
    if not loosens(gas, change):
        assert all(level(new, value) >= level(old, value) for value in (*values, *old.limits.values()))
        assert not old.enabled or (new.dwell <= old.dwell and new.dwell_off >= old.dwell_off)
        assert not old.enabled or new.recovery <= old.recovery
    assert set(life_safety_refused(replace(gas, life_safety_from=WARNING), change)) == set(loosens(gas, change))
