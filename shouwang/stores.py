"""Which readings store the settings choose, how it is made ready, and whether it can be used."""

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from core.clock import DAY
from ingest.duckdb_store import DuckDbStore
from ingest.influx_address import InfluxAddress
from ingest.influx_labels import labels_of
from ingest.store import FIVE_MINUTES, ONE_HOUR, ReadingStore
from shouwang.settings import Settings

if TYPE_CHECKING:
    from ingest.influx_reader import Keep
    from ingest.points import InfluxPoints


def open_readings(settings: Settings, engine: Engine, written_here: bool = True) -> ReadingStore:
    """The store; one in a file is opened, one on a server at its first use. Raises StoreBusy, StoreUnavailable.

    `written_here`: by this process; one on a server may be read by others.
    """
    address = settings.influx
    if address is None:
        return DuckDbStore(settings.store_file).open()
    from ingest.influx_store import InfluxStore  # noqa: PLC0415 - a third of a second that only towns with it pay
    from ingest.influx_wire import InfluxWire  # noqa: PLC0415

    place = hashlib.sha256("\n".join((address.base, address.org, address.bucket)).encode()).hexdigest()[:12]
    ledger = settings.state / f"influx-{place}.ledger"
    return InfluxStore(InfluxWire(address), ledger, labels_of(engine), written_here=written_here)


def open_points(address: InfluxAddress) -> "InfluxPoints":
    """Where events become points for charts: beside the readings; nothing is sent before the first of them."""
    from ingest.influx_wire import InfluxWire  # noqa: PLC0415
    from ingest.points import InfluxPoints  # noqa: PLC0415

    return InfluxPoints(InfluxWire(address))


def kept_for(settings: Settings) -> dict[int, int]:
    """For how many µs readings (0) and the roll-ups of each width stay; a roll-up never shorter than what it is of."""
    fine = max(settings.keep_days, settings.keep_5m_days)
    days = {0: settings.keep_days, FIVE_MINUTES: fine, ONE_HOUR: max(fine, settings.keep_1h_days)}
    return {width: number * DAY for width, number in days.items()}


def prepare_store(settings: Settings) -> list[str]:
    """Make what the store needs before its first use; what was done, a line each. Raises StoreError."""
    address = settings.influx
    if address is None:
        return [f"{settings.store_file}: a file that is made at the first start; nothing needs doing"]
    from ingest.influx_setup import set_up  # noqa: PLC0415

    days = [span // DAY for span in kept_for(settings).values()]
    return set_up(address, dict(zip(_buckets(address), days, strict=True)))


def reader_of_store(settings: Settings, kept: str, keep: "Keep") -> str:
    """See that a token may read the store's buckets and nothing else, as `give_reader` does. Raises StoreError."""
    from ingest.influx_reader import give_reader  # noqa: PLC0415

    address = settings.influx
    assert address is not None
    return give_reader(address, _buckets(address), kept, keep)


def _buckets(address: InfluxAddress) -> list[str]:
    """Those of readings and of each width of roll-ups."""
    from ingest.influx_store import SUFFIXES  # noqa: PLC0415

    return [address.bucket + SUFFIXES.get(width, "") for width in (0, FIVE_MINUTES, ONE_HOUR)]


def look_at_store(settings: Settings) -> str:
    """What the store is, once each of its parts could be reached, read and written. Raises StoreUnavailable."""
    address = settings.influx
    if address is None:
        return str(settings.store_file)
    from ingest.influx_setup import probe  # noqa: PLC0415

    versions = [probe(address._replace(bucket=bucket)) for bucket in _buckets(address)]
    return f"InfluxDB {versions[0]} at {address.base}, bucket {address.bucket}"
