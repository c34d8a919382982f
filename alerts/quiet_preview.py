"""What a silence or a window would match if it were made, and whether that is so much that it must be confirmed.

Nothing is written.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from alerts.matching import Labels, Matcher, labels_of, matches
from alerts.quiet_limits import Asked, QuietRefused, check_matchers
from alerts.rows import rows
from alerts.tables import alert
from alerts.town_view import DevicePlace, TownView
from alerts.words import Row
from detectors.rule import Rule

MOST_SHOWN = 50
_OF_RULES = ("rule", "kind", "hazard", "category")
"""Labels that an alert has by its rule, and so its device by the rules that judge its type."""
_OF_ALERTS = frozenset({*_OF_RULES, "severity"})

Rules = Mapping[str, Rule]


class Coverage(NamedTuple):
    """How many devices could have an alert that matches, of how many in the town.

    `wide`: of more than half of them, or of what lives depend on, so that it must be confirmed.
    """

    devices: int
    of_all: int
    wide: bool


class Preview(NamedTuple):
    """The worst of the open alerts that match, how many there are, and how many of these stay heard.

    What stays heard is a matter of life and safety. `devices`, `of_all` and `wide` are those of its Coverage.
    """

    alerts: list[Row]
    matching: int
    still_heard: int
    devices: int
    of_all: int
    wide: bool


def preview(connection: Connection, town: TownView, rules: Rules, asked: Asked) -> Preview:
    """What the conditions of `asked` match now. Raises QuietRefused for conditions that nobody could set."""
    check_matchers(asked)
    worst_first = (alert.c.life_safety.desc(), alert.c.severity.desc(), alert.c.id.desc())
    opened = rows(connection, select(alert).where(alert.c.state == "open").order_by(*worst_first))
    found = [each for each in opened if matches(asked.matchers, labels_of(each, town, rules))]
    heard = 0 if asked.life_safety else sum(each["life_safety"] for each in found)
    return Preview(found[:MOST_SHOWN], len(found), heard, *coverage(town, rules, asked))


def coverage(town: TownView, rules: Rules, asked: Asked) -> Coverage:
    """How much of the town the conditions of `asked` reach, whatever alarms now."""
    placing = [each for each in asked.matchers if each.label not in _OF_ALERTS]
    types = _types_judged(rules, [each for each in asked.matchers if each.label in _OF_RULES])
    meant = (each for each in town.devices.values() if types is None or each.type in types)
    devices = sum(not placing or matches(placing, _labels(each, town)) for each in meant)
    return Coverage(devices, len(town.devices), asked.life_safety or 2 * devices > len(town.devices))


def check_confirmed(town: TownView, rules: Rules, asked: Asked, confirmed: bool) -> None:
    """Refuse what is wide unless it was confirmed. Raises QuietRefused."""
    covered = coverage(town, rules, asked)
    if covered.wide and not confirmed:
        reason = "confirm_life_safety" if asked.life_safety else "confirm_wide"
        raise QuietRefused(reason, devices=str(covered.devices), all=str(covered.of_all))


def _types_judged(rules: Rules, wanted: Sequence[Matcher]) -> set[str] | None:
    """The types of devices that a rule judges on which these conditions hold; None without conditions: all types."""
    if not wanted:
        return None
    return {kind for each in rules.values() if matches(wanted, _of_rule(each)) for kind in each.device_types}


def _of_rule(rule: Rule) -> Labels:
    return {"rule": rule.id, "kind": rule.kind, "hazard": rule.hazard, "category": rule.category}


def _labels(device: DevicePlace, town: TownView) -> Labels:
    site, grid = town.sites.get(device.site), town.grids.get(device.grid or "")
    found = {
        **{"subject_kind": "device", "subject": device.code, "device_type": device.type, "site": device.site},
        **{"gateway": device.gateway, "grid": device.grid},
        "site_kind": site.kind if site else None,
        "village": grid.village if grid else None,
    }
    return {name: value for name, value in found.items() if value}
