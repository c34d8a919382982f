"""A process that appends to a store until it is killed; `block(n)` is what the journal holds at offset n."""

import sys
from itertools import count
from pathlib import Path

import numpy as np

from core.journal import Offset
from ingest.duckdb_store import DuckDbStore, Footprint
from ingest.words import Block

SMALL = Footprint(log="200KB")


def block(n: int) -> Block:
    """Two hundred readings, a fifth of them in reach of earlier blocks, so that both kinds of duplicates occur."""
    random = np.random.default_rng(n)
    series = random.integers(0, 40, 200)
    at = n * 100 + random.integers(0, 50, 200) - np.where(random.random(200) < 0.2, random.integers(0, 500, 200), 0)
    return Block.of(series.tolist(), at.tolist(), at.tolist(), (n + random.random(200)).tolist())


def append_forever(path: Path) -> None:
    """Append from a little before the applied offset on, three blocks a transaction, as after a crash."""
    store = DuckDbStore(path, SMALL).open()
    start = max(1, store.applied().n - 4)
    print("appending", flush=True)  # noqa: T201
    for n in count(start, 3):
        store.append([(Offset(0, n + i), block(n + i)) for i in range(3)])


if __name__ == "__main__":
    append_forever(Path(sys.argv[1]))
