"""The process in which a backtest is judged: nice, bounded in memory, and gone with the process that began it.

It speaks with its parent through a pipe. Readings of a DuckDB file come as Parquet files that the parent, which owns
it, exports one ahead; a server is asked from here.
"""

import os
import resource
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.backtest_tickets import count_tickets, with_tickets
from alerts.town_view import load_town_view
from core.clock import local
from core.database import open_engine, reading
from detectors.backtest import Backtest, BacktestRefused, series_of_sites
from detectors.backtest_result import Result
from detectors.rules import RuleErrors
from detectors.tried import both_sides
from devices.device_types import CatalogueError, load_device_types
from devices.registry import RegistryError, load_registry
from ingest.duckdb_store import exported
from ingest.store import Slice, StoreError
from ingest.words import Block
from shouwang.settings import Settings
from shouwang.stores import open_readings

SLICE = 1_000_000
"""About so many readings are in memory at a time."""
_MEMORY = 4 * 2**30
_NICE = 10


@dataclass(frozen=True)
class Job:
    """What is to be judged; `now` (µs) tells which of today's rules are in force."""

    settings: Settings
    text: str
    since: int
    until: int
    sites: tuple[str, ...]
    now: int


class Said(NamedTuple):
    """One message to the parent.

    "series" (int32 or None: all) asks for the slices, "next" for the next one's file; "progress" is %; "done" brings
    the result as JSON, "failed" a text.
    """

    what: Literal["series", "next", "progress", "done", "failed"]
    body: object = None


def work(job: Job, pipe: Connection) -> None:
    """The process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process too
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        pipe.send(_outcome(job, pipe))
    except (EOFError, BrokenPipeError):
        return  # the parent is gone: nobody waits for this


def _outcome(job: Job, pipe: Connection) -> Said:
    try:
        return Said("done", msgspec.json.encode(_judged(job, pipe)))
    except (BacktestRefused, RuleErrors, CatalogueError, RegistryError, StoreError) as error:
        return Said("failed", str(error))
    except MemoryError:
        return Said("failed", "out_of_memory")


def _judged(job: Job, pipe: Connection) -> Result:
    began = time.monotonic()
    engine = open_engine(job.settings.database_url)
    types = load_device_types(job.settings.device_types)
    registry = load_registry(engine, types)
    with reading(engine) as connection:
        sides = both_sides(connection, job.text, job.settings.rules, types, local(job.now).date())
        town = load_town_view(connection)
    series = series_of_sites(registry, job.sites)
    backtest = Backtest.of(*sides, registry, job.since, job.until)
    source = _asked if job.settings.influx else _handed
    for block, until, percent in source(job, pipe, series):
        backtest.take(block, until)
        pipe.send(Said("progress", percent))
    result = backtest.result(0.0)
    counted = [
        count_tickets(trial.finished(), rules.rules, town)
        for trial, rules in zip((backtest.today, backtest.tried), sides, strict=True)
    ]
    result.seconds = round(time.monotonic() - began, 3)
    engine.dispose()
    return with_tickets(result, *counted)


Pieces = Iterator[tuple[Block, int, int]]
"""Readings by receipt, the moment up to which they are all, and the % that is done with them."""


def _handed(_: Job, pipe: Connection, series: npt.NDArray[np.int32] | None) -> Pieces:
    """From the files that the parent writes; the next is asked for before this one is judged."""
    pipe.send(Said("series", series))
    slices: list[Slice] = pipe.recv()
    if slices:
        pipe.send(Said("next"))
    for place, piece in enumerate(slices, 1):
        file = Path(pipe.recv())
        if place < len(slices):
            pipe.send(Said("next"))
        block = exported(file)
        file.unlink()
        yield block, piece.until, 100 * place // len(slices)


def _asked(job: Job, _: Connection, series: npt.NDArray[np.int32] | None) -> Pieces:
    """From a server, page by page."""
    store = open_readings(job.settings, open_engine(job.settings.database_url), written_here=False)
    slices = store.slices(series, job.since, job.until, SLICE)
    for place, piece in enumerate(slices, 1):
        yield store.scan(series, piece.since, piece.until), piece.until, 100 * place // len(slices)
    store.close()
