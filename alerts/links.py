"""Personal links: a short code for one person and one ticket, good for 24 hours, only its hash at rest."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from alerts.tables import link, person
from core.clock import DAY

LIFETIME = DAY
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 signs, none that looks like another
_LENGTH = 13  # 65 bits
_RUN_OUT = delete(link).where(link.c.expires_at <= bindparam("now"))
_MADE = insert(link)


def make_link(connection: Connection, who: str, ticket: int, now: int) -> str:
    """A new code; links that have run out go at the same time."""
    return make_links(connection, [(who, ticket)], now)[0]


def make_links(connection: Connection, wanted: Sequence[tuple[str, int]], now: int) -> list[str]:
    """A new code for each person and ticket, in their order; links that have run out go at the same time."""
    if not wanted:
        return []
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in wanted]
    connection.execute(_RUN_OUT, {"now": now})
    made = [
        {"code_hash": _hash(code), "person": who, "ticket": ticket, "expires_at": now + LIFETIME}
        for code, (who, ticket) in zip(codes, wanted, strict=True)
    ]
    connection.execute(_MADE, made)
    return codes


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
