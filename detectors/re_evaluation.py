"""What edits of rules and of the register make of readings that are known already."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from detectors.checks import Checks
from detectors.columns import empty_series
from detectors.groups import attributes_of_interest
from detectors.measures import evaluated
from detectors.rule import Rule

Rules = Mapping[str, Rule]


def expressions_changed(before: Rules, after: Rules) -> Iterator[str]:
    """The rules whose expression makes something else of the same readings now, or made nothing of them yet."""
    for code, rule in after.items():
        old = before.get(code)
        if rule.expression and (old is None or (old.expression, old.max_age) != (rule.expression, rule.max_age)):
            yield code


def hang_on_the_register(rules: Rules) -> Iterator[str]:
    """The rules whose terms may differ by what the register says of a device or its site."""
    for code, rule in rules.items():
        if rule.overrides or attributes_of_interest(rule):
            yield code


def reevaluate(checks: Checks, rule_ids: Collection[str]) -> None:
    """Give the derived series of these rules what their expressions make of the newest readings.

    One whose inputs make no value now knows none until their next reading.
    """
    compiled, arrays, wanted = checks.compiled, checks.arrays, set(rule_ids)
    of_rule = np.array([rule_id in wanted for rule_id in compiled.rule_ids], np.bool_)
    registered = compiled.derived.registered
    if not of_rule.any() or not len(arrays.derived):
        return
    owners = compiled.owner[of_rule[compiled.rule_of[compiled.plan]]]
    for number in np.unique(owners[owners >= registered]).tolist():
        series, derived = arrays.series[number], arrays.derived[number - registered]
        at, value, quality = evaluated(derived, arrays.series, arrays.steps, arrays.stack)
        fresh = empty_series(np.array([series["device"]], np.int32))[0]
        for name in ("last_at", "last_received", "out_at", "out_start", "out_count", "run_count", "run_start"):
            series[name] = fresh[name]
        if not np.isnan(value):
            inputs = arrays.series[derived["input"][: derived["inputs"]]]
            series["last_at"] = series["run_start"] = at
            series["last_received"], series["run_count"] = inputs["last_received"].max(), 1
            series["last_value"], series["quality"] = value, quality
