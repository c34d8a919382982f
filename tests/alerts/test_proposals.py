"""What hand-made histories speak for; never a loosened life-safety rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.proposals import SENSOR_FAULT, Judged, Scope, decide, decide_all, just_above, overrides_for
from core.clock import DAY, HOUR, MINUTE, SECOND
from detectors.loosening import life_safety_refused
from detectors.rule import Override, Rule, Terms, overridden
from detectors.words import Severity
from tests.alerts.proposal_scene import ALARM, NOW, WARNING, judged, noise

DEVICE = Scope("device", "N1")


def verdict(rule: Rule, alerts: list[Judged], scope: Scope = DEVICE) -> Any:
    return decide(rule, scope, alerts, [rule.terms("noise", "S1", "N1")], NOW)


def false(*worst: float, **more: Any) -> list[Judged]:
    return [judged("false", each, **more) for each in worst]


def real(*worst: float, **more: Any) -> list[Judged]:
    return [judged("real", each, **more) for each in worst]


def test_a_limit_just_above_the_false_ones_and_below_the_real_ones() -> None:
    found = verdict(noise(), [*false(61, 63, 64, 62, 67.2), *real(75, 80)])
    assert (found.outcome, found.reason, found.removed) == ("change", "limit_separates", 5)
    assert found.change == Override(limits={WARNING: 68.0})


def test_of_a_lower_limit_just_below() -> None:
    level = noise(direction="below", limits={WARNING: 1.0, ALARM: 0.2}, recovery=1.2)
    found = verdict(level, [*false(0.9, 0.8, 0.82, 0.9, 0.9), *real(0.5, 0.1)])
    assert found.change == Override(limits={WARNING: 0.79})


def test_real_ones_among_the_false_ones_keep_the_limit() -> None:
    found = verdict(noise(), [*false(61, 63, 64, 62, 67), *real(62, 65)])
    assert (found.outcome, found.reason) == ("none", "nothing_separates")


def test_a_false_one_worse_than_a_real_one_is_let_ring() -> None:
    found = verdict(noise(), [*false(61, 63, 64, 62, 85), *real(75)])
    assert (found.change, found.removed) == (Override(limits={WARNING: 65.0}), 4)


def test_no_limit_passes_the_next_severity() -> None:
    found = verdict(noise(), [*false(95, 96, 97, 98, 99, lasted=2 * MINUTE)])
    assert found.reason == "dwell_separates"


def test_a_dwell_longer_than_the_false_ones_and_well_short_of_the_real_ones() -> None:
    alerts = [*false(70, 70, 70, 70, 70, lasted=100 * SECOND), *real(70, 70, lasted=20 * MINUTE)]
    found = verdict(noise(), alerts)
    assert (found.reason, found.change) == ("dwell_separates", Override(dwell=2 * MINUTE))
    assert verdict(noise(), [*alerts, *real(70, lasted=3 * MINUTE)]).reason == "nothing_separates"


def test_an_exception_only_where_nothing_real_ever_was() -> None:
    alerts = false(95, 96, 97, 98, 99, lasted=5 * HOUR)
    assert verdict(noise(), alerts).change == Override(enabled=False)
    assert verdict(noise(), alerts, Scope("rule", "")).outcome == "none"
    assert verdict(noise(), [*alerts, *real(99, lasted=5 * HOUR, at=NOW - 200 * DAY)]).outcome == "none"


def test_too_few_or_mostly_real_ones_speak_for_nothing() -> None:
    assert verdict(noise(), false(61, 62, 63, 64)).reason == "few_false_alarms"
    assert verdict(noise(), [*false(61, 62, 63, 64), *false(61, at=NOW - 31 * DAY)]).reason == "few_false_alarms"
    assert verdict(noise(), false(61, 62, 63, 64, 65, ticket="T")).reason == "few_false_alarms", "one person's opinion"
    assert verdict(noise(), [*false(61, 62, 63, 64, 65), *real(80, 80, 80, 80)]).reason == "mostly_real"
    assert verdict(noise(), [*false(61, 62, 63), *false(61, 62, 63), *real(80, 80, 80, 80)]).outcome == "change"


def test_unknown_peaks_make_no_limit() -> None:
    found = verdict(noise(), [*(judged("false", None, MINUTE) for _ in range(5)), *real(80)])
    assert found.reason == "dwell_separates"
    assert verdict(noise(), [*false(61, 62, 63, 64, 65), judged("real", None)]).reason == "nothing_separates"


def test_a_faulty_sensor_is_mended_and_the_rule_left() -> None:
    found = verdict(noise(), [*false(61, 62, 63, cause=SENSOR_FAULT), *false(61, 62)])
    assert (found.outcome, found.reason, found.change) == ("check_sensor", "sensor_faults", None)


def test_of_life_safety_only_what_is_none_of_it_may_change() -> None:
    gas = noise(life_safety_from=ALARM)
    found = verdict(gas, [*false(61, 63, 64, 62, 67.2), *real(75, 80)])
    assert found.change == Override(limits={WARNING: 68.0}, recovery=55.0), "an alarm ends no earlier"
    for strict in (noise(life_safety_from=WARNING), gas):
        found = verdict(strict, false(95, 96, 97, 98, 99, lasted=2 * MINUTE))
        assert (found.outcome, found.reason, found.change) == ("check_sensor", "life_safety", None)


def test_the_narrowest_scope_first() -> None:
    at_one, elsewhere = false(61, 62, 63, 64, 65), false(61, 62, 63, device="N3", site="S2")
    terms = dict.fromkeys(("N1", "N2", "N3"), noise().terms("noise", "S1", "N1"))

    def scopes(alerts: list[Judged], **more: Any) -> list[Scope]:
        given: dict[str, Any] = {"settled": {}, "taken": [], "now": NOW} | more
        return list(decide_all(noise(), alerts, terms, **given))

    assert scopes([*at_one, *elsewhere]) == [DEVICE]
    assert scopes([*at_one[:3], *false(61, 62, device="N2"), *elsewhere]) == [Scope("site", "S1")]
    assert scopes([*at_one[:3], *elsewhere]) == [Scope("rule", "")]
    assert scopes([*at_one, *elsewhere], taken=[DEVICE]) == []
    assert scopes(at_one, settled={DEVICE: NOW - HOUR}) == []


def test_a_change_stands_on_what_is_there() -> None:
    rule = noise(
        overrides=(Override(device="N1", limits={ALARM: 95.0}, dwell_off=MINUTE), Override(site="S1", dwell=0))
    )
    change = Override(limits={WARNING: 70.0})
    assert overrides_for(rule, DEVICE, change) == [
        Override(device="N1", limits={ALARM: 95.0, WARNING: 70.0}, dwell_off=MINUTE)
    ]
    assert overrides_for(rule, Scope("rule", ""), change) == [Override(device_type="noise", limits={WARNING: 70.0})]


values = st.floats(60, 120, allow_nan=False)
alerts = st.lists(
    st.builds(
        judged,
        st.sampled_from(["false", "false", "false", "real"]),
        st.none() | values,
        st.integers(0, 3 * HOUR),
    ),
    min_size=5,
    max_size=15,
)


@given(
    alerts=alerts,
    level=st.none() | st.sampled_from(list(Severity)[1:]),
    kind=st.sampled_from(["threshold", "rate", "silence", "event"]),
    scope=st.sampled_from([DEVICE, Scope("site", "S1"), Scope("rule", "")]),
    there=st.lists(st.builds(Override, site=st.just("S1"), dwell=st.integers(0, HOUR)), max_size=1),
)
def test_no_history_loosens_life_safety_or_loses_a_real_alarm(
    alerts: list[Judged], level: Severity | None, kind: Any, scope: Scope, there: list[Override]
) -> None:
    rule = noise(life_safety_from=level, kind=kind, window=HOUR if kind == "rate" else 0, overrides=tuple(there))
    found = verdict(rule, alerts, scope)
    if found.change is None:
        return
    assert 2 * found.removed > len(found.false)
    for override in overrides_for(rule, scope, found.change):
        assert life_safety_refused(rule, override) == []
        before = rule.terms("noise", "S1", "N1")
        after = overridden(before, override, rule.direction)
        for each in found.real:
            assert rings(after, each) or not rings(before, each)


def rings(terms: Terms, alert: Judged) -> bool:
    reached = alert.worst is None or alert.worst >= min(terms.limits.values())
    return terms.enabled and reached and alert.lasted >= terms.dwell


@given(low=st.floats(-1e6, 1e6), room=st.floats(1e-3, 1e6), closed=st.booleans())
def test_a_round_number_lies_in_its_room(low: float, room: float, closed: bool) -> None:
    number = just_above(low, low + room, closed)
    assert number is None or low < number < low + room or (closed and number == low + room)


@pytest.mark.parametrize(("low", "number"), [(0.0, 0.01), (-3.0, -2.9), (99.5, 100.0), (1234.0, 1300.0)])
def test_round_numbers(low: float, number: float) -> None:
    assert just_above(low, 1e9, closed=False) == pytest.approx(number)
