"""What a check takes for usual: the number that an attribute gives, or what it learnt from its first readings."""

from detectors.checks import Checks


def baseline_of(checks: Checks, place: int) -> float | None:
    """The baseline of the check at `place`, in the metric's unit; None before it is learnt, or for a rule without."""
    plan = checks.compiled.plans[int(checks.compiled.plan[place])]
    if plan.base is not None or not plan.rule.baseline:
        return plan.base
    memo = checks.arrays.memo[checks.arrays.check["memo"][place]]
    if memo["readings"] < max(plan.rule.baseline_readings, 1):
        return None
    return float(memo["total"] / memo["readings"])
