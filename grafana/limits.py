"""The limits that panels draw: read from the rule packs, never typed here."""

from functools import cache

from grafana_foundation_sdk.models.dashboard import Threshold

from detectors.rule import Rule
from detectors.rules import load_packs
from grafana.panels import steps_of


@cache
def _rules() -> dict[str, Rule]:
    return load_packs().rules


def rule(code: str) -> Rule:
    """A rule of the packs. Raises KeyError for one that isn't there: a dashboard must not outlive it."""
    return _rules()[code]


def rule_steps(code: str) -> list[Threshold]:
    """A rule's limits as thresholds.

    >>> [step.value for step in rule_steps("flood.road")]
    [None, 5.0, 15.0, 25.0]
    """
    its = rule(code)
    return steps_of(its.limits, its.direction)
