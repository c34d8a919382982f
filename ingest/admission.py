"""Which devices each gateway may report for, under the names and metric spellings that it uses."""

from collections.abc import Mapping
from typing import NamedTuple

from devices.registry import Registry
from ingest.floods import BURST, FLOOR, Limit, limits_of
from ingest.routes import Routes

ALIAS = "alias"
"""The device attribute that says how its gateway names it (a devEui, an MN, a friendly name): a text or several."""


class Admitted(NamedTuple):
    """One gateway's devices: series numbers by device name and metric spelling, and codes of names that are aliases.

    `place` is the gateway's index in the registry; `life` names the life-safety devices.
    """

    place: int
    series: dict[str, Mapping[str, int]]
    aliases: dict[str, str]
    life: set[str]

    def code(self, name: str) -> str:
        """The device's code."""
        return self.aliases.get(name, name)


class Admission(NamedTuple):
    """All that the gate takes from one version of the registry; made away from the thread that judges."""

    registry: Registry
    routes: Routes
    admitted: dict[str, Admitted]
    limits: dict[str, Limit]

    @classmethod
    def of(cls, registry: Registry, floor: float = FLOOR, burst: float = BURST) -> "Admission":
        """`floor` and `burst` are the messages that every gateway may send a second for good, and at once."""
        return cls(registry, Routes(registry), admitted_devices(registry), limits_of(registry, floor, burst))


def admitted_devices(registry: Registry) -> dict[str, Admitted]:
    """What each gateway that is not retired may report."""
    admitted = {code: Admitted(gateway.index, {}, {}, set()) for code, gateway in registry.gateways.items()}
    spelled = _spelled_types(registry)
    life = {code for code, kind in registry.types.items() if kind.life_safety}
    for code, metrics in registry.series_of.items():
        index = registry.device_index[code]
        if registry.state[index] == "retired" or registry.gateway[index] < 0:
            continue
        own = admitted[registry.gateway_codes[registry.gateway[index]]]
        if spellings := spelled.get(registry.type_code[index]):
            spelt = {name: metrics[metric] for name, metric in spellings.items() if metric in metrics}
            own.series[code] = {**spelt, **metrics}
        else:
            own.series[code] = metrics
        aliases = _aliases(registry, code)
        for alias in aliases:
            own.series.setdefault(alias, own.series[code])
            own.aliases.setdefault(alias, code)
        if registry.type_code[index] in life:
            own.life.update([code, *aliases])
    return admitted


def _spelled_types(registry: Registry) -> dict[str, dict[str, str]]:
    """By type, every spelling and the metric that it means."""
    return {
        code: {name: metric.code for metric in kind.metrics.values() for name in metric.spellings}
        for code, kind in registry.types.items()
        if any(metric.spellings for metric in kind.metrics.values())
    }


def _aliases(registry: Registry, code: str) -> list[str]:
    alias = registry.attributes.get(code, {}).get(ALIAS, [])
    names = alias if isinstance(alias, list) else [alias]
    return [name for name in names if isinstance(name, str)]
