"""Who is whose neighbour, by drift rule and device type, and the median of everybody's neighbours at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import HOUR
from detectors.compile import RETIRED
from detectors.device_terms import terms_on
from detectors.rule import Rule, Terms
from detectors.rules import RuleSet
from detectors.words import Severity
from devices.registry import Registry

LEVELS = 4
"""Severities above none."""
AT_LEAST = 4
"""Devices of one type at a site that are each other's neighbours: three others for each."""


@dataclass(frozen=True)
class Grouped:
    """What the drift rules look at: series, groups of them, and checks (a rule on a series).

    `numbers` (rising) and `devices` are over places, `check_series`, `check_place`, `keys`, `terms`, `limits` (inf
    where there is none), `floors` (below which a level is left) and `needed` (hours) over checks. An entry is a place
    that counts in a group; `entry_check` is the check that the group's median is for, -1 for one that is only a
    neighbour there.
    """

    numbers: npt.NDArray[np.int32]
    devices: npt.NDArray[np.int32]
    check_series: npt.NDArray[np.int32]
    check_place: npt.NDArray[np.int64]
    keys: list[tuple[int, str]]
    terms: list[Terms]
    limits: npt.NDArray[np.float64]
    floors: npt.NDArray[np.float64]
    needed: npt.NDArray[np.int64]
    entry_place: npt.NDArray[np.int64]
    entry_group: npt.NDArray[np.int64]
    entry_check: npt.NDArray[np.int64]


def grouped(rules: RuleSet, registry: Registry) -> Grouped:
    """The groups and checks of the drift rules on devices that aren't retired."""
    checks: list[tuple[int, str, Terms]] = []
    entries: list[tuple[int, int, int]] = []  # series number, group, check
    group = 0
    for rule in sorted((each for each in rules.rules.values() if each.kind == "drift"), key=lambda each: each.id):
        for members, judged in _groups(rule, registry):
            numbers = [registry.series_of[registry.device_codes[device]][rule.metric] for device in members]
            for number, device, terms in zip(numbers, members, terms_on(rule, registry, members), strict=True):
                its = -1
                if device in judged and terms.enabled and terms.limits:
                    its = len(checks)
                    checks.append((number, rule.id, terms))
                entries.append((number, group, its))
            group += 1
    return _arranged(checks, entries, registry)


def _groups(rule: Rule, registry: Registry) -> Iterator[tuple[list[int], set[int]]]:
    """Device indexes that are neighbours, and which of them are judged there: at a site, else behind a gateway."""
    for device_type in rule.device_types:
        at_site: dict[str, list[int]] = {}
        behind: dict[int, list[int]] = {}
        for device in _devices(rule, device_type, registry):
            if registry.site[device]:
                at_site.setdefault(registry.site[device], []).append(device)
            behind.setdefault(int(registry.gateway[device]), []).append(device)
        done: set[int] = set()
        for _, members in sorted(at_site.items()):
            if len(members) >= AT_LEAST:
                done.update(members)
                yield members, set(members)
        for gateway, members in sorted(behind.items()):
            alone = set(members) - done
            if alone and gateway >= 0 and len(members) >= AT_LEAST:
                yield members, alone


def _devices(rule: Rule, device_type: str, registry: Registry) -> Iterator[int]:
    for device, code in enumerate(registry.type_code):
        known = code == device_type and registry.state[device] != RETIRED
        if known and rule.metric in registry.series_of[registry.device_codes[device]]:
            yield device


def _arranged(checks: list[tuple[int, str, Terms]], entries: list[tuple[int, int, int]], registry: Registry) -> Grouped:
    numbers = np.unique(np.array([number for number, _, _ in entries], np.int32))
    owners = np.array([number for number, _, _ in checks], np.int32)
    columns = np.array(entries, np.int64).reshape(-1, 3)
    distinct = {id(terms): terms for _, _, terms in checks}  # most devices share one
    place = {its: row for row, its in enumerate(distinct)}
    shared = np.array([place[id(terms)] for _, _, terms in checks], np.int64)
    levels = np.array([_levels(terms) for terms in distinct.values()]).reshape(-1, 2, LEVELS)
    needed = np.array([max(-(-terms.window // HOUR), 1) for terms in distinct.values()], np.int64)
    return Grouped(
        numbers=numbers,
        devices=registry.device[numbers],
        check_series=owners,
        check_place=np.searchsorted(numbers, owners),
        keys=[(number, rule) for number, rule, _ in checks],
        terms=[terms for _, _, terms in checks],
        limits=levels[shared, 0],
        floors=levels[shared, 1],
        needed=needed[shared],
        entry_place=np.searchsorted(numbers, columns[:, 0]),
        entry_group=columns[:, 1],
        entry_check=columns[:, 2],
    )


def _levels(terms: Terms) -> list[list[float]]:
    """Limits and floors by severity: every level keeps the lowest one's distance between limit and recovery."""
    band = max(min(terms.limits.values()) - terms.recovery, 0.0)
    limits = [terms.limits.get(severity, np.inf) for severity in Severity if severity]
    return [limits, [limit - band for limit in limits]]


def medians_of_others(
    its: Grouped, value: npt.NDArray[np.float64], sound: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """For each check the median of its group's sound values without its own, and how many these are.

    `value` and `sound` are over places. Every group is sorted once; leaving one out moves the middle by one place.
    """
    median, count = np.full(len(its.keys), np.nan), np.zeros(len(its.keys), np.int64)
    ok = sound[its.entry_place]
    if not ok.any():
        return median, count
    order = np.flatnonzero(ok)[np.lexsort((value[its.entry_place[ok]], its.entry_group[ok]))]
    group, ordered = its.entry_group[order], value[its.entry_place[order]]
    groups = int(its.entry_group.max()) + 1
    size = np.bincount(group, minlength=groups)
    start = np.concatenate(([0], np.cumsum(size)))
    rank = np.full(len(its.entry_group), -1)
    rank[order] = np.arange(len(order)) - start[group]

    asked = np.flatnonzero(its.entry_check >= 0)
    checks, own = its.entry_check[asked], rank[asked]
    first, others = start[its.entry_group[asked]], size[its.entry_group[asked]] - (own >= 0)
    count[checks] = others
    some = others > 0
    middle = [_without(first, own, (others - low) // 2, len(ordered)) for low in (1, 0)]
    median[checks[some]] = ((ordered[middle[0]] + ordered[middle[1]]) / 2)[some]
    return median, count


def _without(first: Any, own: Any, place: Any, end: int) -> Any:
    """The index of a group's element at `place` when the one of rank `own` is left out."""
    return np.minimum(first + place + ((own >= 0) & (place >= own)), end - 1)
