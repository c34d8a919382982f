"""What happens in a demonstration: who leaks, floods, opens, sticks and dies, and when."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, select

from core.clock import SECOND
from core.database import reading
from devices.registry import Registry
from devices.simulated import (
    GasLeak,
    Incident,
    OpenManhole,
    RisingCableTemperature,
    RoadFlooding,
    SimulatedDevice,
    SmokeAlarm,
    StuckSensor,
    simulated_device,
)
from devices.tables import site

_LATER = 60 * SECOND


@dataclass(frozen=True)
class Script:
    """Incidents by device code, the devices that they bend, and the gateways that die with the time (µs) at which."""

    incidents: dict[str, list[Incident]]
    devices: dict[str, SimulatedDevice]
    deaths: dict[str, int]


def write_script(registry: Registry, engine: Engine, start: int, span: int) -> Script:
    """Incidents from `start` on for about `span` µs each: a gas leak in an enterprise, flooding on a road, an open
    manhole, a sensor that sticks, a gateway that dies; a minute later smoke and a hot cable.
    """
    with reading(engine) as connection:
        kinds = {row.code: row.kind for row in connection.execute(select(site.c.code, site.c.kind))}
    cast = _Cast(registry, kinds)
    gas, water = cast.choose("gas", "enterprise"), cast.choose("water_depth", "road")
    manhole, noise = cast.choose("manhole", "road"), cast.choose("noise")
    smoke, cable = cast.choose("smoke"), cast.choose("electrical")
    stuck = simulated_device(registry.types["noise"], noise) if noise else None
    wanted: list[tuple[str | None, Incident | None]] = [
        (gas, GasLeak(start, span)),
        (water, RoadFlooding(start + SECOND, span)),
        (manhole, OpenManhole(start + 2 * SECOND, span, announced=False)),
        (noise, StuckSensor(start, 4 * span, stuck) if stuck else None),
        (smoke, SmokeAlarm(start + _LATER, span)),
        (cable, RisingCableTemperature(start + _LATER + 5 * SECOND, span)),
    ]
    incidents: dict[str, list[Incident]] = {}
    for code, incident in wanted:
        if code and incident:
            incidents.setdefault(code, []).append(incident)
    deaths = {cast.spare_gateway(): start + 3 * SECOND}
    devices = {noise: stuck} if noise and stuck else {}
    return Script(incidents, devices, {code: at for code, at in deaths.items() if code})


class _Cast:
    """Chooses devices in service, each in another place of the town, the same ones for the same town."""

    def __init__(self, registry: Registry, kinds: dict[str, str]) -> None:
        self._registry = registry
        self._kinds = kinds
        self._sites: set[str] = set()
        self._gateways: set[int] = set()

    def choose(self, type_code: str, kind: str | None = None) -> str | None:
        """A device of this type, on a site of this kind; None when there is none."""
        registry = self._registry
        for index in self._in_service():
            place = registry.site[index]
            if registry.type_code[index] != type_code or place in self._sites:
                continue
            if kind in (None, self._kinds.get(place)):
                self._sites.add(place)
                self._gateways.add(int(registry.gateway[index]))
                return registry.device_codes[index]
        return None

    def spare_gateway(self) -> str:
        """The gateway with the most devices that no incident needs; empty when there is none."""
        counts: dict[int, int] = {}
        for index in self._in_service():
            gateway = int(self._registry.gateway[index])
            if gateway not in self._gateways:
                counts[gateway] = counts.get(gateway, 0) + 1
        return self._registry.gateway_codes[max(counts, key=lambda g: counts[g])] if len(counts) > 1 else ""

    def _in_service(self) -> Sequence[int]:
        registry = self._registry
        served = [index for index, state in enumerate(registry.state) if state == "in_service"]
        return sorted(served, key=lambda index: zlib.crc32(registry.site[index].encode()))
