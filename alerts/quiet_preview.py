"""What a silence or a window would match if it were made: open alerts, and devices. Nothing is written."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from alerts.matching import Labels, labels_of, matches
from alerts.quiet_limits import Asked, check_matchers
from alerts.rows import rows
from alerts.tables import alert
from alerts.town_view import DevicePlace, TownView
from alerts.words import Row
from detectors.rule import Rule

MOST_SHOWN = 50
_OF_ALERTS = frozenset({"rule", "kind", "hazard", "category", "severity"})
"""Labels that an alert has and no device; they say nothing of which devices are meant."""


class Preview(NamedTuple):
    """The worst of the open alerts that match, how many there are, and how many of these stay heard.

    What stays heard is a matter of life and safety. `devices` is how many devices stand where the conditions say.
    """

    alerts: list[Row]
    matching: int
    still_heard: int
    devices: int


def preview(connection: Connection, town: TownView, rules: Mapping[str, Rule], asked: Asked) -> Preview:
    """What the conditions of `asked` match now. Raises QuietRefused for conditions that nobody could set."""
    check_matchers(asked)
    worst_first = (alert.c.life_safety.desc(), alert.c.severity.desc(), alert.c.id.desc())
    opened = rows(connection, select(alert).where(alert.c.state == "open").order_by(*worst_first))
    found = [each for each in opened if matches(asked.matchers, labels_of(each, town, rules))]
    heard = 0 if asked.life_safety else sum(each["life_safety"] for each in found)
    return Preview(found[:MOST_SHOWN], len(found), heard, _devices(town, asked))


def _devices(town: TownView, asked: Asked) -> int:
    placing = [each for each in asked.matchers if each.label not in _OF_ALERTS]
    if not placing:
        return len(town.devices)
    return sum(matches(placing, _labels(each, town)) for each in town.devices.values())


def _labels(device: DevicePlace, town: TownView) -> Labels:
    site, grid = town.sites.get(device.site), town.grids.get(device.grid or "")
    found = {
        **{"subject_kind": "device", "subject": device.code, "device_type": device.type, "site": device.site},
        **{"gateway": device.gateway, "grid": device.grid},
        "site_kind": site.kind if site else None,
        "village": grid.village if grid else None,
    }
    return {name: value for name, value in found.items() if value}
