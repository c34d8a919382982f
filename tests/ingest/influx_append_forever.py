"""A process that appends to a store in an InfluxDB until it is killed: folder of the ledger, base URL, bucket."""

import sys
from itertools import count
from pathlib import Path

from core.journal import Offset
from ingest.influx_address import InfluxAddress
from ingest.influx_store import InfluxStore
from ingest.influx_wire import InfluxWire
from tests.influx_server import small_labels
from tests.ingest.append_forever import block


def append_forever(folder: Path, address: InfluxAddress) -> None:
    """Append from a little before the applied offset on, a few blocks at a time, as after a crash."""
    labels = small_labels()
    store = InfluxStore(InfluxWire(address), folder / "influx.ledger", lambda: labels)
    n = max(1, store.applied().n - 4)
    print("appending", flush=True)  # noqa: T201
    for turn in count():
        size = 1 + turn % 4
        store.append([(Offset(0, n + i), block(n + i)) for i in range(size)])
        n += size


if __name__ == "__main__":
    append_forever(Path(sys.argv[1]), InfluxAddress(sys.argv[2], sys.argv[3], "town", sys.argv[4]))
