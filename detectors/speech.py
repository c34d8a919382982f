"""How an emission becomes a Detection: subject, severity, reason and the evidence for the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

import msgspec

from core.clock import SECOND
from detectors.columns import REASONS
from detectors.compile import Plan
from detectors.rules import Rule, RuleSet
from detectors.state_machine import HELD
from detectors.words import Change, Detection, Severity, Subject
from devices.registry import Registry

Evidence = dict[str, Any]


@dataclass(frozen=True)
class Speech:
    """Builds detections for the rules in force and one registry."""

    rules: RuleSet
    registry: Registry

    @cached_property
    def silence_rules(self) -> Mapping[str, Rule]:
        """The silence rule of each device type that has one."""
        silent = [rule for rule in self.rules.rules.values() if rule.kind == "silence"]
        return {code: rule for rule in silent for code in rule.device_types}

    def silence_rule(self, subject: Subject) -> Rule | None:
        """The rule on a gateway's or device's silence, whether or not an override disables it."""
        if subject.kind == "gateway":
            return self.gateway_rule
        index = self.registry.device_index.get(subject.id)
        return None if index is None else self.silence_rules.get(self.registry.type_code[index])

    @cached_property
    def gateway_rule(self) -> Rule | None:
        """The rule on gateways."""
        return next((rule for rule in self.rules.rules.values() if rule.kind == "gateway"), None)

    def opened(
        self, rule: Rule, subject: Subject, onset: int, at: int, received_at: int, reason: str, evidence: Evidence
    ) -> Detection:
        """The opening of an episode of a rule that has one severity."""
        return Detection(
            Change.OPENED,
            subject,
            rule.id,
            rule.severity(),
            onset,
            at,
            received_at,
            reason=reason,
            rules_version=self.rules.version,
            evidence=evidence,
        )

    def updated(self, opened: Detection) -> Detection:
        """The same said of an episode that is open already."""
        return msgspec.structs.replace(opened, change=Change.UPDATED)

    def cleared(
        self, rule: str, subject: Subject, onset: int, at: int, received_at: int, reason: str, page: bool = True
    ) -> Detection:
        """The end of an episode."""
        return Detection(
            Change.CLEARED,
            subject,
            rule,
            Severity.NONE,
            onset,
            at,
            received_at,
            page=page,
            reason=reason,
            rules_version=self.rules.version,
        )

    def of_check(self, emission: Any, plan: Plan) -> Detection:
        """The detection of an emission (a row of columns.EMISSION) of a check that follows `plan`."""
        level, told, series = Severity(int(emission["level"])), int(emission["told"]), int(emission["series"])
        change = Change.OPENED if told == 0 else Change.UPDATED if level else Change.CLEARED
        device = self.registry.device_codes[self.registry.device[series]]
        named = level or Severity(min(plan.terms.limits))
        return Detection(
            change,
            Subject("device", device),
            plan.rule.id,
            level,
            int(emission["onset"]),
            int(emission["at"]),
            int(emission["received_at"]),
            value=float(emission["value"]) if plan.rule.kind != "out_of_range" else None,
            limit=plan.terms.limits.get(named, plan.terms.limits[max(plan.terms.limits)]),
            series=series,
            page=bool(emission["page"]),
            age=int(emission["age"]),
            reason=REASONS[emission["reason"]],
            rules_version=self.rules.version,
            evidence=_evidence(emission, plan),
        )


def _evidence(emission: Any, plan: Plan) -> Evidence:
    rule, terms = plan.rule, plan.terms
    evidence: Evidence = {
        "metric": rule.metric,
        "unit": plan.metric.unit,
        "limits": {severity.name.lower(): limit for severity, limit in terms.limits.items()},
        "recovery": terms.recovery,
        "dwell_s": terms.dwell / SECOND,
    }
    if rule.latch:
        evidence["latch"] = True
    measure = float(emission["measure"])
    if rule.kind == "rate":
        evidence |= {"change": measure, "window_s": terms.window / SECOND}
    elif rule.kind == "out_of_range":
        evidence["readings"] = int(measure)
    elif rule.kind == "noise":
        evidence |= _judged("scatter", measure)
    elif rule.count:
        evidence |= {**_judged("count", _signed(rule, measure)), "count": rule.count, "window_s": terms.window / SECOND}
    elif rule.baseline:
        evidence |= _judged("distance", measure)
    elif rule.mean:
        evidence |= {**_judged("mean", _signed(rule, measure)), "window_s": rule.mean / SECOND}
    elif rule.kind == "frozen":
        evidence["same_for_s"] = (int(emission["at"]) - int(emission["onset"])) / SECOND
    if emission["reason"] == HELD:
        evidence["held"] = True
    return evidence | _basis(plan)


def _basis(plan: Plan) -> Evidence:
    """From which readings a judgement is made, where not from the newest alone and at any hour."""
    rule, basis = plan.rule, Evidence()
    if rule.expression:
        basis["expression"] = rule.expression
    if rule.mean:
        basis |= {"mean_s": rule.mean / SECOND, "coverage": rule.coverage}
    if rule.baseline:
        basis |= {"baseline_readings": rule.baseline_readings} if plan.base is None else {"baseline": plan.base}
    if rule.hours:
        basis |= {"schedule": rule.schedule, "hours": list(rule.hours)}
    return basis


def _judged(name: str, measure: float) -> Evidence:
    """What was judged, where it is not the reading: its name and, unless the sensor was saturated, its number."""
    return {"judged": name, "measure": measure if isfinite(measure) else None}


def _signed(rule: Rule, measure: float) -> float:
    """A measure as people know it: kernels turn those of lower limits round."""
    return measure if rule.direction == "above" else -measure
