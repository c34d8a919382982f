"""The platform's own gateway and device, in no table of the town: what is sent as them proves the whole way."""

from sqlalchemy import Connection, select, update

from devices.device_types import DeviceType, Metric
from devices.enrolment import lock_registry, raise_version
from devices.tables import registry

CANARY = "SHOUWANG-CANARY"
"""The code of both, the gateway and the device; a town's own gateway of that name takes it away from the platform."""
BEAT = "beat"
CANARY_TYPE = DeviceType(
    code="canary",
    name_zh="平台自检",
    name_en="Platform self-check",
    interval_s=10,
    metrics={BEAT: Metric(BEAT, "", "自检序号", "Beat", low=0, high=2**53)},
)
"""In no catalogue: no town may enrol one, and no rule for all types takes it in."""


def reserve_canary(connection: Connection) -> int:
    """The canary's series number, given at the first call of a database's life."""
    lock_registry(connection)
    number, free = connection.execute(select(registry.c.canary, registry.c.next_series)).one()
    if number >= 0:
        return int(number)
    connection.execute(update(registry).values(canary=free, next_series=free + 1))
    raise_version(connection)
    return int(free)
