"""Personal links: a short code for one person and one ticket, good for 24 hours, only its hash at rest."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from alerts.one_writer import insert_or
from alerts.tables import link, person
from core.clock import DAY

LIFETIME = DAY
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 signs, none that looks like another
_LENGTH = 13  # 65 bits
_RUN_OUT = delete(link).where(link.c.expires_at <= bindparam("now"))


class Link(NamedTuple):
    """A code with whom it stands for, on which ticket and until when (µs UTC)."""

    code: str
    person: str
    ticket: int
    expires_at: int


def link_code(key: bytes, notice: int, created_at: int) -> str:
    """The code of a notice's link: the same at each attempt, so that a provider knows a message that is sent again.

    The first 65 bits of HMAC-SHA256; without the installation's key nobody can guess it.

    >>> link_code(b"key", 41, 1_790_000_000_000_000), len(link_code(b"key", 42, 0))
    ('8ncbfcndpidsp', 13)
    """
    digest = hmac.digest(key, f"link|{notice}|{created_at}".encode(), "sha256")
    number = int.from_bytes(digest[:9]) >> 7
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_LENGTH))


def keep_links(connection: Connection, links: Sequence[Link], now: int) -> None:
    """Let codes lead to their tickets, known ones as before; links that have run out go at the same time."""
    if not links:
        return
    connection.execute(_RUN_OUT, {"now": now})
    kept = [
        {"code_hash": _hash(each.code), "person": each.person, "ticket": each.ticket, "expires_at": each.expires_at}
        for each in links
    ]
    connection.execute(insert_or(connection, link).on_conflict_do_nothing(index_elements=["code_hash"]), kept)


def resolve(connection: Connection, code: str, now: int) -> tuple[str, int] | None:
    """The person and ticket of a code that still holds. Changes nothing: preview robots follow links.

    A link ends with its person's retirement.
    """
    holding = (link.c.code_hash == _hash(code), link.c.expires_at > now, person.c.retired == 0)
    row = connection.execute(select(link.c.person, link.c.ticket).join(person).where(*holding)).first()
    return (row.person, row.ticket) if row else None


def personal_url(base_url: str, code: str) -> str:
    """Where a personal link leads.

    >>> personal_url("https://town.example/", "abc")
    'https://town.example/t/abc'
    """
    return f"{base_url.rstrip('/')}/t/{code}"


def ticket_url(base_url: str, ticket: int) -> str:
    """A ticket's page by its row id; it asks for sign-in."""
    return f"{base_url.rstrip('/')}/tickets/{ticket}"


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()
