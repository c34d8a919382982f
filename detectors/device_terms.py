"""A rule's terms for many devices at once, worked out device by device only where they can differ."""

from collections.abc import Iterable

from detectors.rule import Rule, Terms
from devices.registry import Registry


def terms_on(rule: Rule, registry: Registry, devices: Iterable[int]) -> list[Terms]:
    """The terms on the devices of these indexes."""
    alone = bool(rule.limits_from) or any(override.device_type is None for override in rule.overrides)
    if alone:
        return [terms_of(rule, registry, device) for device in devices]
    common: dict[str, Terms] = {}
    found = []
    for device in devices:
        code = registry.type_code[device]
        if code not in common:
            common[code] = rule.terms(code, "", "")
        found.append(common[code])
    return found


def terms_of(rule: Rule, registry: Registry, device: int) -> Terms:
    """The terms on one device."""
    code = registry.type_code[device]
    kind = registry.types.get(code)
    metric = kind.metrics.get(rule.metric) if kind else None
    return rule.terms(
        code, registry.site[device], registry.device_codes[device], registry.attributes_of(device), metric
    )
