"""Which devices each gateway may report for, under the names and metric spellings that it uses."""

from collections.abc import Mapping
from typing import NamedTuple

from devices.registry import Registry

ALIAS = "alias"
"""The device attribute that says how its gateway names it (a devEui, an MN, a friendly name): a text or several."""


class Admitted(NamedTuple):
    """One gateway's devices: series numbers by device name and metric spelling, and codes of names that are aliases."""

    series: dict[str, Mapping[str, int]]
    aliases: dict[str, str]

    def code(self, name: str) -> str:
        """The device's code."""
        return self.aliases.get(name, name)


def admitted_devices(registry: Registry) -> dict[str, Admitted]:
    """What each gateway that is not retired may report."""
    admitted = {code: Admitted({}, {}) for code in registry.gateways}
    spelled = _spelled_types(registry)
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
        for alias in _aliases(registry, code):
            own.series.setdefault(alias, own.series[code])
            own.aliases.setdefault(alias, code)
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
    return [alias] if isinstance(alias, str) else [name for name in alias if isinstance(name, str)]
