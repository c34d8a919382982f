"""The evidence pack of a ticket: one ZIP with the printable case file, readings, photos, timeline and SHA-256 sums.

The same case at the same moment makes the same bytes. Photos and readings go through one by one, so that a large case
takes no more memory than a small one.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from alerts.case_file import MARGIN, CaseFile, SeriesSpan, gather
from alerts.curves import Curve, LimitLine
from alerts.measurements import Language, measurement_of
from alerts.photos import content_of
from alerts.pictures import draw
from alerts.words import Row
from console.case_pdf import Extras, Picture, captions, render
from console.case_sheets import readings_head, readings_lines, timeline_lines
from console.case_words import moment, said
from core.clock import local
from ingest.words import Block

MOST_CURVES = 6
Column = npt.NDArray[Any]
_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


class Wanted(NamedTuple):
    """Which ticket, in which language, with whole phone numbers or without, at which moment (µs UTC)."""

    number: str
    language: Language
    phones: bool
    now: int


class KeptReadings(NamedTuple):
    """A series' readings in files, as `keep_block` wrote them."""

    span: SeriesSpan
    unit: str
    files: tuple[Path, ...]

    def blocks(self) -> Iterator[Block]:
        """The readings, a file at a time."""
        for file in self.files:
            with np.load(file) as kept:
                numbers = np.full(len(kept["at"]), self.span.number, np.int32)
                yield Block(numbers, kept["at"], kept["received_at"], kept["value"], kept["quality"])


def keep_block(block: Block, file: Path) -> None:
    """Write a series' readings where another process can read them."""
    np.savez(file, at=block.at, received_at=block.received_at, value=block.value, quality=block.quality)


class TicketMissing(LookupError):
    """No ticket has this number."""


def write_pack(connection: Connection, wanted: Wanted, readings: Sequence[KeptReadings], why: str, to: Path) -> None:
    """Write the ZIP. `why` names why there are no readings: a label of the case file, "" when there are.

    Raises TicketMissing.
    """
    case = gather(connection, wanted.number, wanted.now)
    if case is None:
        raise TicketMissing(wanted.number)
    printed = to.with_suffix(".pdf")
    language = wanted.language
    extras = Extras(
        list(_curves(case, readings, language)),
        _photos(connection, case, language, wanted.phones),
        _no_curves(case, why, language),
    )
    render(case, extras, language, wanted.phones, printed)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        pack = _Pack(archive, wanted.now)
        pack.add("case.pdf", _pieces(printed))
        if not why:
            pack.add("readings.csv", _encoded(_readings(readings, language)))
        for each in case.photos:
            pack.add(f"photos/{photo_name(each)}", _photo(connection, each["id"]), stored=True)
        pack.add("timeline.csv", _encoded(timeline_lines(case, language, wanted.phones)))
        pack.add_sums()
    printed.unlink()


def photo_name(row: Row) -> str:
    """A photo's file in the pack."""
    return f"{row['id']:06d}-{row['sha256'][:12]}.{_SUFFIXES[row['media_type']]}"


class _Pack:
    """Writes entries whose sums stand at the end; every time is the pack's moment."""

    def __init__(self, archive: zipfile.ZipFile, now: int) -> None:
        self._archive, self._moment = archive, local(now).timetuple()[:6]
        self._sums: list[str] = []

    def add(self, name: str, pieces: Iterable[bytes], stored: bool = False) -> None:
        digest = hashlib.sha256()
        entry = zipfile.ZipInfo(name, self._moment)
        entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        entry.create_system = 3
        with self._archive.open(entry, "w", force_zip64=True) as written:
            for piece in pieces:
                digest.update(piece)
                written.write(piece)
        self._sums.append(f"{digest.hexdigest()}  {name}\n")

    def add_sums(self) -> None:
        """In the form that `sha256sum -c` reads."""
        self.add("SHA256SUMS", ["".join(self._sums).encode()])


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while piece := content.read(1 << 16):
            yield piece


def _encoded(lines: Iterable[str]) -> Iterator[bytes]:
    return (line.encode() for line in lines)


def _photo(connection: Connection, number: int) -> Iterator[bytes]:
    found = content_of(connection, number)
    yield found[1] if found else b""


def _photos(connection: Connection, case: CaseFile, language: Language, phones: bool) -> Iterator[Picture]:
    for each, said_below in zip(case.photos, captions(case, language, phones), strict=True):
        found = content_of(connection, each["id"])
        if found:
            yield Picture(found[1], said_below)


def _readings(readings: Iterable[KeptReadings], language: Language) -> Iterator[str]:
    yield readings_head(language)
    for each in readings:
        yield from readings_lines(each.span, each.unit, each.blocks(), language)


def _no_curves(case: CaseFile, why: str, language: Language) -> str:
    if not case.spans:
        return said(language, "no_curve")
    return said(language, "no_readings", why=said(language, why)) if why else said(language, "none")


def _curves(case: CaseFile, readings: Sequence[KeptReadings], language: Language) -> Iterator[Picture]:
    """The hour before and the hour after the onset of the gravest alerts, one a series, with the limit reached."""
    by_series = {each.span.number: each for each in readings if each.files}
    for alert in case.alerts:
        kept = by_series.pop(alert["series"], None)
        if kept is None:
            continue
        until = min(alert["onset"] + MARGIN, case.at)
        curve = _curve(case, alert, kept, until, language)
        span = f"{moment(until - 2 * MARGIN)} – {moment(until)}"
        yield Picture(draw(curve, until, language, 2 * MARGIN), f"{curve.title}　{kept.span.metric}　{span}")
        if len(by_series) + MOST_CURVES <= len(readings):
            return


def _curve(case: CaseFile, alert: Row, kept: KeptReadings, until: int, language: Language) -> Curve:
    blocks = list(_near(kept.blocks(), until - 2 * MARGIN, until))
    at = np.concatenate([each[0] for each in blocks]) if blocks else np.empty(0, np.int64)
    values = np.concatenate([each[1] for each in blocks]) if blocks else np.empty(0, np.float64)
    order = np.argsort(at, kind="stable")
    measured = measurement_of(alert)
    limits = []
    if measured.kind in ("value", "count") and alert["limit"] is not None:
        limits = [LimitLine(alert["limit"], said(language, "limit"))]
    rule = case.rules.get(alert["id"])
    title = f"{case.name(alert['subject_kind'], alert['subject_id'])} {rule.title(language) if rule else ''}"
    return Curve(title.strip(), at[order].tolist(), values[order].tolist(), kept.unit, limits)


def _near(blocks: Iterable[Block], since: int, until: int) -> Iterator[tuple[Column, Column]]:
    for block in blocks:
        near = (block.at >= since) & (block.at <= until)
        if near.any():
            yield block.at[near], block.value[near]
