"""Photos of a ticket: kept as they came, byte by byte, so that their SHA-256 proves them.

Known by their first bytes and opened once to see that they are whole; where Pillow (the extra `reports`) is missing
none is taken, and the refusal says so.
"""

import hashlib
import io
from typing import Any

from sqlalchemy import Connection, func, select

from alerts.case_tables import photo
from alerts.lifecycle import LIVE
from alerts.one_writer import insert_or
from alerts.refusals import PhotoRefused
from alerts.rows import first_row, one_row, rows
from alerts.tickets import TicketUnknown, read_ticket
from alerts.tickets import note as log_note
from alerts.wording import one_line
from alerts.words import Row

MOST_BYTES = 4 * 1024 * 1024
MOST_PHOTOS = 30
_MOST_PIXELS = 60_000_000
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_LISTED = tuple(column for column in photo.c if column.name != "content")


def keep(
    connection: Connection,
    ticket: int,
    who: str,
    content: bytes,
    taken_at: int | None,
    lng: float | None,
    lat: float | None,
    note: str,
    now: int,
) -> Row:
    """Keep a photo with what its sender said of time (µs UTC) and place (WGS84); its row without the content.

    The same picture again is the one that is there already. Raises PhotoRefused.
    """
    try:
        about = read_ticket(connection, ticket)
    except TicketUnknown:
        raise PhotoRefused("unknown_ticket") from None
    digest = hashlib.sha256(content).hexdigest()
    same = (photo.c.ticket == ticket) & (photo.c.sha256 == digest)
    if known := first_row(connection, select(*_LISTED).where(same)):
        return known
    media_type = _judged(connection, about, content)
    row: dict[str, Any] = {
        "ticket": ticket,
        "stage": about["status"],
        "who": who,
        "taken_at": taken_at,
        "received_at": now,
        "lng": lng,
        "lat": lat,
        "note": one_line(note),
        "media_type": media_type,
        "sha256": digest,
        "content": content,
    }
    added = insert_or(connection, photo).on_conflict_do_nothing(index_elements=["ticket", "sha256"])
    kept = first_row(connection, added.returning(*_LISTED), row)
    if kept is None:  # somebody who sent it at the same moment was faster
        return one_row(connection, select(*_LISTED).where(same))
    log_note(connection, about, now, "photo", "photo_kept", photo=kept["id"], sha256=digest, by=who)
    return kept


def photos_of(connection: Connection, ticket: int) -> list[Row]:
    """A ticket's photos without their content, in the order in which they came."""
    return rows(connection, select(*_LISTED).where(photo.c.ticket == ticket).order_by(photo.c.id))


def content_of(connection: Connection, number: int) -> tuple[str, bytes] | None:
    """A photo's media type and bytes; None for an unknown id."""
    found = connection.execute(select(photo.c.media_type, photo.c.content).where(photo.c.id == number)).first()
    return (found.media_type, bytes(found.content)) if found else None


def media_type_of(content: bytes) -> str | None:
    """What kind of picture the first bytes say it is.

    >>> media_type_of(b"RIFF\\x10\\x00\\x00\\x00WEBPVP8 ")
    'image/webp'
    """
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _judged(connection: Connection, about: Row, content: bytes) -> str:
    if about["status"] not in LIVE:
        raise PhotoRefused("ticket_over")
    if len(content) > MOST_BYTES:
        raise PhotoRefused("too_large", limit=str(MOST_BYTES // 1024 // 1024))
    media_type = media_type_of(content)
    if media_type is None or not _whole(content, _FORMATS[media_type]):
        raise PhotoRefused("no_picture")
    count = connection.execute(
        select(func.count()).select_from(photo).where(photo.c.ticket == about["id"])
    ).scalar_one()
    if count >= MOST_PHOTOS:
        raise PhotoRefused("too_many", limit=str(MOST_PHOTOS))
    return media_type


def _whole(content: bytes, expected: str) -> bool:
    """Whether the picture can be read to its end, as what it says it is."""
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - an extra that only photos need
    except ImportError:
        raise PhotoRefused("no_pillow") from None
    try:
        with Image.open(io.BytesIO(content), formats=[expected]) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return False
            picture.verify()  # its checksums; the picture must be opened anew after it
        with Image.open(io.BytesIO(content), formats=[expected]) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True
