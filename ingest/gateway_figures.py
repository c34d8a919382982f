"""What each gateway has sent: counted in memory a batch at a time, added to its row every few seconds."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import structlog
from sqlalchemy import BigInteger, Boolean, Connection, Engine, bindparam, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from core.clock import Clock
from core.database import writing
from devices.canary import CANARY
from ingest.batch import Judged, Traffic
from ingest.tables import gateway_report
from ingest.words import Event, Reject

_EVERY = 10.0  # s
_COUNTS = ("messages", "readings", "qos0_readings", "shed_messages", "rejected_messages")
_SHED = ("flood", "disabled_gateway")
_log = structlog.get_logger()


class GatewayReport(NamedTuple):
    """One gateway's row: when it was heard last (µs, None: never), its last status, how many seconds its clock is
    behind (None while unknown), and counts since the row began.

    `rejected_messages` counts messages and parts of messages; `shed_messages` are not among `messages`.
    """

    gateway: str
    last_received_at: int | None
    online: bool | None
    clock_off_s: float | None
    messages: int
    readings: int
    qos0_readings: int
    shed_messages: int
    rejected_messages: int
    updated_at: int


def list_gateway_reports(connection: Connection) -> list[GatewayReport]:
    """The town's rows by gateway; one that never sent anything has none."""
    columns = [gateway_report.c[name] for name in GatewayReport._fields]
    asked = select(*columns).where(gateway_report.c.gateway != CANARY).order_by(gateway_report.c.gateway)
    return [GatewayReport(*row) for row in connection.execute(asked)]


@dataclass
class _Figures:
    """One gateway's counts since the last write; None where nothing is news."""

    counts: Counter[str] = field(default_factory=Counter)
    last_received_at: int | None = None
    online: bool | None = None

    def add(self, later: "_Figures") -> None:
        self.counts += later.counts
        self.last_received_at = later.last_received_at or self.last_received_at
        self.online = self.online if later.online is None else later.online


class _Columns:
    """Counts as arrays over one registry's gateways, so that a batch costs the same for one gateway or for all."""

    def __init__(self, gateways: Sequence[str]) -> None:
        self.gateways = gateways
        self.counts = np.zeros((3, len(gateways)), np.int64)
        self.last: npt.NDArray[np.int64] = np.zeros(len(gateways), np.int64)

    def add(self, traffic: Traffic) -> None:
        known = traffic.sender >= 0
        sender, rows = traffic.sender[known], traffic.rows[known]
        size = len(self.gateways)
        self.counts[0] += np.bincount(sender, minlength=size)
        self.counts[1] += np.bincount(sender, rows, size).astype(np.int64)
        qos0 = traffic.qos0[known]
        if qos0.any():
            self.counts[2] += np.bincount(sender[qos0], rows[qos0], size).astype(np.int64)
        self.last[sender] = traffic.received_at[known]  # in order of arrival: the last one stands

    def figures(self) -> dict[str, _Figures]:
        found = np.flatnonzero(self.counts[0]).tolist()
        return {
            self.gateways[index]: _Figures(
                Counter(dict(zip(_COUNTS, self.counts[:, index].tolist(), strict=False))), int(self.last[index])
            )
            for index in found
        }


class GatewayFigures:
    """Counts in the pipeline's thread, writes in another; what could not be written is written later.

    A kill forgets what was counted since the last write.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._lock = threading.Lock()
        self._columns = _Columns(())
        self._others: dict[str, _Figures] = {}
        self._registered: frozenset[str] = frozenset()
        self._clocks: Mapping[str, float] = {}
        self._written_clocks: Mapping[str, float] | None = None

    def add(self, judged: Judged) -> None:
        """Count a batch that is journalled."""
        with self._lock:
            if judged.traffic:
                self._columns_of(judged.traffic.gateways).add(judged.traffic)
            self._count(judged.rejects, judged.events)

    def tick(self, rejects: Sequence[Reject], clocks: Mapping[str, float]) -> None:
        """Count what was shed, and take the known clocks: seconds behind by gateway."""
        with self._lock:
            self._count(rejects, ())
            self._clocks = {code: float(round(seconds)) for code, seconds in clocks.items()}

    def run(self, ending: threading.Event) -> None:
        """Write every ten seconds, and at the end."""
        while not ending.wait(_EVERY):
            self.write()
        self.write()

    def write(self) -> None:
        """Add what was counted to the rows; kept for the next time where the database does not take it."""
        with self._lock:
            figures, clocks = self._taken(), self._clocks
        if not figures and clocks == self._written_clocks:
            return
        try:
            with writing(self._engine) as connection:
                _write(connection, figures, self._clock.now())
                _write_clocks(connection, clocks, self._written_clocks)
        except SQLAlchemyError as error:
            _log.warning("gateways' figures not written: trying again", why=str(error))
            with self._lock:
                _merge(figures, self._others)
                self._others = figures
        else:
            self._written_clocks = clocks

    def _columns_of(self, gateways: Sequence[str]) -> _Columns:
        if self._columns.gateways is not gateways:
            _merge(self._others, self._columns.figures())
            self._columns, self._registered = _Columns(gateways), frozenset(gateways)
        return self._columns

    def _count(self, rejects: Iterable[Reject], events: Iterable[Event]) -> None:
        for reject in rejects:
            if reject.gateway in self._registered:
                counts = self._others.setdefault(reject.gateway, _Figures()).counts
                counts["shed_messages" if reject.reason in _SHED else "rejected_messages"] += reject.messages
        for event in events:
            if event.kind == "gateway" and event.type == "status":
                self._others.setdefault(event.id, _Figures()).online = event.attributes["online"]

    def _taken(self) -> dict[str, _Figures]:
        taken, self._others = self._others, {}
        _merge(taken, self._columns.figures())
        self._columns = _Columns(self._columns.gateways)
        return taken


def _merge(into: dict[str, _Figures], later: Mapping[str, _Figures]) -> None:
    for code, figures in later.items():
        into.setdefault(code, _Figures()).add(figures)


def _write(connection: Connection, figures: Mapping[str, _Figures], now: int) -> None:
    columns = gateway_report.c
    known = set(connection.scalars(select(columns.gateway)))
    if new := sorted(figures.keys() - known):
        rows = [{"gateway": code, "updated_at": now, **dict.fromkeys(_COUNTS, 0)} for code in new]
        connection.execute(insert(gateway_report), rows)
    grown = {name: columns[name] + bindparam(f"its_{name}") for name in _COUNTS}
    last = func.coalesce(bindparam("its_last", type_=BigInteger), columns.last_received_at)
    online = func.coalesce(bindparam("its_online", type_=Boolean), columns.online)
    added = update(gateway_report).where(columns.gateway == bindparam("its_code"))
    added = added.values(**grown, last_received_at=last, online=online, updated_at=now)
    changes = [
        {
            "its_code": code,
            "its_last": its.last_received_at,
            "its_online": its.online,
            **{f"its_{name}": its.counts[name] for name in _COUNTS},
        }
        for code, its in sorted(figures.items())
    ]
    if changes:
        connection.execute(added, changes)


def _write_clocks(connection: Connection, clocks: Mapping[str, float], written: Mapping[str, float] | None) -> None:
    """Write what differs from what was written; at first, forget what an earlier run knew."""
    columns = gateway_report.c
    if written is None:
        connection.execute(update(gateway_report).where(columns.clock_off_s.is_not(None)).values(clock_off_s=None))
        written = {}
    changed = sorted(code for code in clocks.keys() | written.keys() if clocks.get(code) != written.get(code))
    if changed:
        its = update(gateway_report).where(columns.gateway == bindparam("its_code"))
        rows = [{"its_code": code, "its_seconds": clocks.get(code)} for code in changed]
        connection.execute(its.values(clock_off_s=bindparam("its_seconds")), rows)
