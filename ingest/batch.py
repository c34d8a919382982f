"""A batch of messages on its way through the gate: columns under construction, and what becomes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.formats.items import Answer, Remember
from ingest.words import Block, Event, Message, Quality, Reject

_TIMELESS = int(Quality.NO_TIME | Quality.TIME_REPLACED)
_NEVER = np.iinfo(np.int64).min


class Traffic(NamedTuple):
    """What each message of a batch brought, as equal-length columns.

    `sender` is the gateway's place in `gateways` (-1: none, a replay, or shed), `rows` how many readings it became.
    """

    gateways: Sequence[str]
    sender: npt.NDArray[np.int64]
    received_at: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    qos0: npt.NDArray[np.bool_]


class Judged(NamedTuple):
    """What a batch of messages became. `memories` hold once the batch is journalled, by gateway: see `Gate.settle`."""

    block: Block
    events: list[Event]
    rejects: list[Reject]
    answers: Sequence[Answer] = ()
    memories: Mapping[str, Remember] = {}
    traffic: Traffic | None = None


class Run(NamedTuple):
    """Rows of one device in one message."""

    message: int
    gateway: str
    device: str
    start: int
    end: int


@dataclass
class Batch:
    """Columns under construction; `senders` and `starts` (the first row) have one entry a message."""

    series: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    senders: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    memories: dict[str, Remember] = field(default_factory=dict)

    def block(self) -> Block:
        """The rows so far."""
        return Block.of(self.series, self.at, self.received_at, self.value, self.quality)

    def keep(self, block: Block, kept: npt.NDArray[np.bool_]) -> Block:
        """The rows that stay; one that goes leaves the runs' and messages' places to those that stay."""
        places = np.concatenate([[0], np.cumsum(kept)])
        self.runs = [run._replace(start=int(places[run.start]), end=int(places[run.end])) for run in self.runs]
        self.starts = places[self.starts].tolist()
        columns = (block.series, block.at, block.received_at, block.value, block.quality)
        return Block(*(column[kept] for column in columns))  # type: ignore[arg-type]

    def traffic(self, messages: Sequence[Message], rows: int, gateways: Sequence[str]) -> Traffic:
        """What each message brought, once all its rows are known."""
        ends = np.array([*self.starts[1:], rows], np.int64)
        return Traffic(
            gateways,
            np.array(self.senders, np.int64),
            np.array([message.received_at for message in messages], np.int64),
            ends - np.array(self.starts, np.int64),
            np.array([message.qos == 0 for message in messages], np.bool_),
        )

    def replace_times(self, block: Block, messages: Sequence[Message], strange: npt.NDArray[np.bool_]) -> None:
        """Shift the rows of each device and message that has an implausible time so that its newest is at receipt."""
        groups: dict[tuple[int, str], list[int]] = {}
        for run in self.runs:
            groups.setdefault((run.message, run.device), []).extend(range(run.start, run.end))
        rows, shifts = [], []
        for (message, _), members in groups.items():
            if not strange[members].any():
                continue
            shift = messages[message].stands_at - int(block.at[members].max())
            block.at[members] += shift
            block.quality[members] |= int(Quality.TIME_REPLACED)
            rows += members
            shifts += [shift] * len(members)
        block.shift_rows, block.shifts = np.array(rows, np.int32), np.array(shifts, np.int64)


class Deltas(NamedTuple):
    """The live messages of a batch: gateway's index, receipt less newest `at`, and receipt, µs."""

    sender: npt.NDArray[np.int64]
    delta: npt.NDArray[np.int64]
    received_at: npt.NDArray[np.int64]


def deltas_of(traffic: Traffic, block: Block) -> Deltas:
    """How long each message was under way by its gateway's clock; only messages with a time of their own."""
    filled = traffic.rows > 0
    starts = np.cumsum(traffic.rows)[filled] - traffic.rows[filled]
    own = block.at
    timeless = block.quality & _TIMELESS != 0
    if timeless.any():
        own = np.where(timeless, _NEVER, own)
    newest = np.maximum.reduceat(own, starts)
    sender, received_at = traffic.sender[filled], traffic.received_at[filled]
    live = (sender >= 0) & (newest != _NEVER)
    return Deltas(sender[live], received_at[live] - newest[live], received_at[live])
