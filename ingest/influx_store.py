"""The readings store in an InfluxDB.

What InfluxDB takes is idempotent: a (series, at) written again replaces itself. What it can't do in one transaction,
the applied offset and the counts, is kept in a ledger beside it. The newest readings stand in memory, filled by the
first use that needs them, so that a server that is away keeps nothing else from starting.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import structlog

from core.clock import MINUTE
from core.journal import Offset
from ingest.curves import curve_of
from ingest.influx_labels import Labels
from ingest.influx_ledger import Intent, Ledger, Page
from ingest.influx_lines import Lines, rollup_lines
from ingest.influx_queries import InfluxQueries, count_all
from ingest.influx_wire import InfluxWire, Refusal
from ingest.newest import Columns, Newest, boxes, last_writes
from ingest.store import (
    FIVE_MINUTES,
    ONE_HOUR,
    Appended,
    Counts,
    Curve,
    Point,
    Refused,
    RollUp,
    Rows,
    Slice,
    StoreUnavailable,
)
from ingest.words import Block

LINES_A_REQUEST = 5_000
SUFFIXES = {FIVE_MINUTES: "_5m", ONE_HOUR: "_1h"}
"""What follows the bucket's name in that of the roll-ups of a width."""
_UNKNOWN = "the registry has no such series"
_MOST_RAW = 100_000
"""So many readings of a curve are fetched as they are; of more the server makes the buckets."""
_LONGEST_SLICE = 60  # minutes
_CLOSE_S = 2.0

Batch = Sequence[tuple[Offset, Block]]

_log = structlog.get_logger()


class _Written(NamedTuple):
    """What became of a part of a batch."""

    stored: int
    duplicate: int
    refused: tuple[Refused, ...]


class InfluxStore:
    """An `ingest.store.ReadingStore` in the bucket of `wire`'s address; `labels` tell what its series are now.

    `written_here`: by this object, so that it knows the newest readings; else it asks for them each time.
    """

    def __init__(
        self,
        wire: InfluxWire,
        ledger: Path,
        labels: Callable[[], Labels],
        most_raw: int = _MOST_RAW,
        written_here: bool = True,
    ) -> None:
        self._wire, self._bucket = wire, wire.address.bucket
        self._ledger, self._labels_now = Ledger(ledger), labels
        self._most_raw, self._written_here = most_raw, written_here
        self._writing = threading.Lock()
        self._seen = threading.RLock()
        self._newest: Newest | None = None
        self._untold = True  # whether refused readings stand in the ledger that no `append` has returned

    def append(self, batch: Batch) -> Appended:
        with self._writing:
            page = self._ledger.read()
            fresh = [(offset, block) for offset, block in batch if offset > page.applied]
            replayed = sum(len(block) for offset, block in batch if offset <= page.applied)
            stored = duplicate = 0
            refused = page.refused if self._untold else ()
            if fresh:
                labels = self._labels_now()
                newest = self._loaded(labels)
                for part, intent in _parts(fresh, page.intent):
                    written = self._write(labels, newest, part, intent, refused)
                    stored, duplicate = stored + written.stored, duplicate + written.duplicate
                    refused = written.refused
            self._untold = False
            return Appended(stored, duplicate, replayed, refused)

    def applied(self) -> Offset:
        return self._ledger.read().applied

    def latest(self, series: Sequence[int]) -> dict[int, Point]:
        labels = self._labels_now()
        if not self._written_here:
            queries = InfluxQueries(self._wire, self._bucket, labels)
            rows = queries.newest(np.array(series, np.int32))
            found = {number: Point(at, value, quality) for number, at, value, quality in rows}
            return {number: found[number] for number in series if number in found}
        newest = self._loaded(labels)
        with self._seen:
            return newest.points(series)

    def range(self, series: int, since: int, until: int, points: int) -> Curve:
        if points < 1:
            raise ValueError(f"a curve of {points} points can't be drawn")
        width, asked = max(1, -(-(until - since) // points)), np.array([series], np.int32)
        labels = self._labels_now()
        if since >= until or not labels.known(asked).all():
            return curve_of(np.empty(0, np.int64), np.empty(0), since, width, points)
        queries = InfluxQueries(self._wire, self._bucket, labels)
        counts = queries.counts(series, since, until)
        if len(counts) == 1 and counts[0] > max(points, self._most_raw):
            return queries.curve(series, since, until, width)
        rows = queries.rows(asked, since, until)
        return curve_of(rows.at, rows.value, since, width, points)

    def counts(self) -> Counts:
        return self._ledger.read().counts

    def retain(self, before: int) -> int:
        gone = count_all(self._wire, self._bucket, before)
        if gone:
            self._wire.delete(self._bucket, before)
        with self._seen:
            if self._newest:
                self._newest.forget(before)
        return gone

    def rows(self, series: npt.NDArray[np.int32], since: int, until: int) -> Rows:
        return InfluxQueries(self._wire, self._bucket, self._labels_now()).rows(series, since, until)

    def slices(self, series: npt.NDArray[np.int32] | None, since: int, until: int, most: int) -> list[Slice]:
        """By a guess of a reading a series and minute: to count them would cost as much as to read them."""
        count = len(self._all() if series is None else series)
        width = min(max(most // max(count, 1), 1), _LONGEST_SLICE) * MINUTE
        first = since // width * width
        return [Slice(max(at, since), min(at + width, until), 0) for at in range(first, until, width)]

    def scan(self, series: npt.NDArray[np.int32] | None, since: int, until: int) -> Block:
        chosen = self._all() if series is None else series
        return InfluxQueries(self._wire, self._bucket, self._labels_now()).readings(chosen, since, until)

    def _all(self) -> npt.NDArray[np.int32]:
        return np.flatnonzero(self._labels_now().device >= 0).astype(np.int32)

    def put_rollup(self, width: int, rollup: RollUp) -> None:
        labels = self._labels_now()
        rollup = rollup.take(labels.known(rollup.series))
        waiting = [rollup.take(slice(at, at + LINES_A_REQUEST)) for at in range(0, len(rollup), LINES_A_REQUEST)]
        while waiting:
            piece = waiting.pop()
            refusal = self._wire.write(self._bucket + SUFFIXES[width], rollup_lines(labels, piece))
            if refusal and refusal.too_large and len(piece) > 1:
                waiting += [piece.take(slice(0, len(piece) // 2)), piece.take(slice(len(piece) // 2, None))]
            elif refusal:  # too old to be kept, or a field that somebody spoilt: the others are kept
                _log.warning("the readings store refuses roll-ups", why=refusal.text)

    def rollup(self, width: int, series: npt.NDArray[np.int32], since: int, until: int) -> RollUp:
        return InfluxQueries(self._wire, self._bucket + SUFFIXES[width], self._labels_now()).rollup(
            series, since, until
        )

    def retain_rollup(self, width: int, before: int) -> None:
        self._wire.delete(self._bucket + SUFFIXES[width], before)

    def close(self) -> None:
        if self._writing.acquire(timeout=_CLOSE_S):  # else a write hangs, and is written again after the next start
            try:
                page = self._ledger.read()
                if page.refused and not self._untold:
                    self._record(page._replace(refused=()))
            finally:
                self._writing.release()
        self._wire.close()

    def _loaded(self, labels: Labels) -> Newest:
        """The newest readings, asked for once; without the lock, so that a server that hangs holds up one thread."""
        with self._seen:
            if self._newest is not None:
                return self._newest
        newest = Newest()
        newest.reach(len(labels.device) - 1)
        for series, at, value, quality in InfluxQueries(self._wire, self._bucket, labels).newest():
            if at > newest.at[series]:
                newest.at[series], newest.value[series], newest.quality[series] = at, value, quality
        with self._seen:
            self._newest = self._newest or newest  # nothing was written before the first of them was there
            return self._newest

    def _write(
        self, labels: Labels, newest: Newest, part: Batch, intent: Intent | None, refused: tuple[Refused, ...]
    ) -> _Written:
        """Write one span: its intent, where it has none yet, the lines, and that it is settled."""
        page = self._ledger.read()
        if intent is None and page.intent:  # what was intended never came again: the journal had to let it go
            page = page._replace(counts=page.intent.counts, intent=None)
        rows, upto = last_writes([block for _, block in part]), part[-1][0]
        received = sum(len(block) for _, block in part)
        known = labels.known(rows["series"])
        with self._seen:
            newest.reach(int(rows["series"].max(initial=-1)))
            suspect = newest.suspects(rows["series"], rows["at"])
        there = np.zeros(len(known), np.bool_)
        if intent is None:
            there = self._there(labels, rows, suspect & known)
            stored = int((~there).sum())
            after = Counts(page.counts.stored + stored, page.counts.duplicate + received - stored)
            intent = Intent(upto, after)
            self._record(page._replace(intent=intent))
        reasons = self._send(labels, rows, suspect, known)
        with self._seen:
            kept = np.ones(len(known), np.bool_)
            kept[list(reasons)] = False
            newest.fold(*(rows[name][kept] for name in ("series", "at", "value", "quality")))
        counts = _less(intent.counts, there[~kept])
        refused += tuple(_refused(labels, rows, row, reasons[row]) for row in sorted(reasons))
        if upto < intent.upto:  # the span was cut off by a kill, and comes in smaller batches now
            self._record(Page(upto, page.counts, intent._replace(counts=counts), refused))
            return _Written(0, 0, refused)
        self._record(Page(upto, counts, None, refused))
        return _Written(counts.stored - page.counts.stored, counts.duplicate - page.counts.duplicate, refused)

    def _record(self, page: Page) -> None:
        try:
            self._ledger.write(page)
        except OSError as error:
            raise StoreUnavailable(f"the readings store's ledger can't be written: {error}") from error
        self._untold = True

    def _there(self, labels: Labels, rows: Columns, suspect: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which of the suspect rows the server holds already."""
        there = np.zeros(len(suspect), np.bool_)
        places = np.flatnonzero(suspect)
        queries = InfluxQueries(self._wire, self._bucket, labels)
        for part in boxes(rows["series"][places], rows["at"][places]):
            chosen = places[part]
            series, at = rows["series"][chosen], rows["at"][chosen]
            found = queries.rows(np.unique(series), int(at.min()), int(at.max()) + 1)
            pairs = set(zip(found.series.tolist(), found.at.tolist(), strict=True))
            there[chosen] = [pair in pairs for pair in zip(series.tolist(), at.tolist(), strict=True)]
        return there

    def _send(
        self, labels: Labels, rows: Columns, suspect: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]
    ) -> dict[int, str]:
        """Write the rows; those that are refused, each with the reason."""
        reasons = dict.fromkeys(np.flatnonzero(~known).tolist(), _UNKNOWN)
        places = np.flatnonzero(known)
        lines = Lines.of(labels, rows, suspect, places)
        for piece in lines.pieces(labels, LINES_A_REQUEST):
            reasons.update(self._taken(labels, piece))
        return reasons

    def _taken(self, labels: Labels, lines: Lines) -> dict[int, str]:
        """Write these lines, in halves where they are refused until the bad ones alone are found."""
        waiting, reasons = [lines], dict[int, str]()
        while waiting:
            piece = waiting.pop()
            refusal = self._wire.write(self._bucket, piece.encode(labels))
            if refusal is None:
                continue
            if _all_bad(labels, piece, refusal):
                reasons.update(dict.fromkeys(piece.row.tolist(), refusal.text))
            elif len(piece) == 1:
                raise StoreUnavailable(f"{self._wire.address.base} finds a single line too large: {refusal.text}")
            else:
                waiting += _halves(labels, piece, refusal)
        return reasons


def _parts(fresh: Batch, intent: Intent | None) -> list[tuple[Batch, Intent | None]]:
    """The span of an intent that was never settled, with the intent, then what is new."""
    if intent is None:
        return [(fresh, None)]
    again = [pair for pair in fresh if pair[0] <= intent.upto]
    new = fresh[len(again) :]
    if again and new:
        intent = intent._replace(upto=again[-1][0])  # its end may be gone from the journal
    parts: list[tuple[Batch, Intent | None]] = [(again, intent), (new, None)]
    return [(part, its_intent) for part, its_intent in parts if part]


def _all_bad(labels: Labels, lines: Lines, refusal: Refusal) -> bool:
    """Whether no line among these can be kept."""
    if len(lines) == 1:
        return not refusal.too_large
    count = int(lines.starts(labels).sum())
    return refusal.dropped == count and (refusal.conflict is None or count == len(lines))


def _halves(labels: Labels, lines: Lines, refusal: Refusal) -> list[Lines]:
    """The readings of the field that the server names and the others, else two halves."""
    first = lines.of_field(labels, *refusal.conflict) if refusal.conflict else np.zeros(len(lines), np.bool_)
    if not first.any() or first.all():
        first = np.arange(len(lines)) < len(lines) // 2
    return [lines.take(first), lines.take(~first)]


def _less(counts: Counts, there: npt.NDArray[np.bool_]) -> Counts:
    """The counts without refused readings, which were `there` before or not."""
    again = int(there.sum())
    return Counts(counts.stored - len(there) + again, counts.duplicate - again)


def _refused(labels: Labels, rows: Columns, row: int, reason: str) -> Refused:
    series = int(rows["series"][row])
    index = int(labels.device[series]) if reason != _UNKNOWN else -1
    gateway, device = (labels.devices[index].gateway, labels.devices[index].code) if index >= 0 else ("", "")
    metric = labels.metrics[labels.metric[series]] if index >= 0 else f"series {series}"
    at, received_at, value = (rows[name][row].item() for name in ("at", "received_at", "value"))
    return Refused(gateway, device, metric, at, received_at, value, reason)
