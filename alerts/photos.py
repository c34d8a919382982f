"""Photos of a ticket: kept as they came, byte by byte, so that their SHA-256 proves them."""

from typing import Any

from sqlalchemy import Connection, func, select

from alerts.case_tables import photo
from alerts.lifecycle import LIVE
from alerts.one_writer import insert_or
from alerts.pictures_sent import WholePicture
from alerts.refusals import PhotoRefused
from alerts.rows import first_row, one_row, rows
from alerts.tickets import TicketUnknown, read_ticket
from alerts.tickets import note as log_note
from alerts.wording import one_line
from alerts.words import Row

MOST_PHOTOS = 30
_LISTED = tuple(column for column in photo.c if column.name != "content")


def keep(
    connection: Connection,
    ticket: int,
    who: str,
    picture: WholePicture,
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
    same = (photo.c.ticket == ticket) & (photo.c.sha256 == picture.sha256)
    if known := first_row(connection, select(*_LISTED).where(same)):
        return known
    _check_room(connection, about)
    row: dict[str, Any] = {
        "ticket": ticket,
        "stage": about["status"],
        "who": who,
        "taken_at": taken_at,
        "received_at": now,
        "lng": lng,
        "lat": lat,
        "note": one_line(note),
        "media_type": picture.media_type,
        "sha256": picture.sha256,
        "content": picture.content,
    }
    added = insert_or(connection, photo).on_conflict_do_nothing(index_elements=["ticket", "sha256"])
    kept = first_row(connection, added.returning(*_LISTED), row)
    if kept is None:  # somebody who sent it at the same moment was faster
        return one_row(connection, select(*_LISTED).where(same))
    log_note(connection, about, now, "photo", "photo_kept", photo=kept["id"], sha256=picture.sha256, by=who)
    return kept


def photos_of(connection: Connection, ticket: int) -> list[Row]:
    """A ticket's photos without their content, in the order in which they came."""
    return rows(connection, select(*_LISTED).where(photo.c.ticket == ticket).order_by(photo.c.id))


def content_of(connection: Connection, number: int) -> tuple[str, bytes] | None:
    """A photo's media type and bytes; None for an unknown id."""
    found = connection.execute(select(photo.c.media_type, photo.c.content).where(photo.c.id == number)).first()
    return (found.media_type, bytes(found.content)) if found else None


def _check_room(connection: Connection, about: Row) -> None:
    if about["status"] not in LIVE:
        raise PhotoRefused("ticket_over")
    count = connection.execute(
        select(func.count()).select_from(photo).where(photo.c.ticket == about["id"])
    ).scalar_one()
    if count >= MOST_PHOTOS:
        raise PhotoRefused("too_many", limit=str(MOST_PHOTOS))
