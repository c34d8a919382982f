"""Accounts and sessions: create, sign in, change a password, sign out. Tokens and passwords are stored as hashes."""

import hashlib
import secrets
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, delete, insert, select, update

from console.tables import account, session
from core.clock import DAY, HOUR
from devices.credentials import hash_password, verify

ROLES = ("dispatcher", "patroller", "admin")
SESSION_SPAN = {"dispatcher": 12 * HOUR, "admin": 12 * HOUR, "patroller": 7 * DAY}
PASSWORD_LENGTH = 10


@dataclass(frozen=True)
class Account:
    """Who is signed in. `actor` is the code under which moves are logged."""

    username: str
    person: str | None
    role: str
    must_change: bool
    locale: str

    @property
    def actor(self) -> str:
        return self.person or self.username


class AccountRefused(Exception):
    """An account or password that can't be; the message is the name of a console text."""


def create_account(
    connection: Connection,
    username: str,
    role: str,
    password: str,
    person: str | None = None,
    must_change: bool = False,
    *,
    now: int,
) -> None:
    """Add an account. Raises AccountRefused for an unknown role, a taken name or a short password."""
    if role not in ROLES:
        raise AccountRefused("account.role")
    if len(password) < PASSWORD_LENGTH:
        raise AccountRefused("password.short")
    if connection.scalar(select(account.c.username).where(account.c.username == username)):
        raise AccountRefused("account.taken")
    connection.execute(
        insert(account).values(
            username=username,
            person=person,
            role=role,
            password_hash=hash_password(password),
            must_change=must_change,
            locale="zh",
            created_at=now,
        )
    )


@cache
def _decoy() -> str:
    """A hash to verify against when there is no such account, so that the answer takes as long."""
    return hash_password(secrets.token_urlsafe(16))


def authenticate(connection: Connection, username: str, password: str) -> Account | None:
    """The account, if the password is its own."""
    row = connection.execute(select(account).where(account.c.username == username)).mappings().first()
    good = verify(row["password_hash"] if row else _decoy(), password)
    if row is None or not good:
        return None
    return Account(row["username"], row["person"], row["role"], row["must_change"], row["locale"])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def open_session(connection: Connection, who: Account, now: int) -> tuple[str, int]:
    """A new session's token (256 random bits) and when it ends; expired sessions are swept."""
    token = secrets.token_urlsafe(32)
    expires = now + SESSION_SPAN[who.role]
    connection.execute(delete(session).where(session.c.expires_at <= now))
    connection.execute(
        insert(session).values(
            token_hash=_digest(token),
            account=who.username,
            created_at=now,
            expires_at=expires,
        )
    )
    return token, expires


def account_of(connection: Connection, token: str, now: int) -> Account | None:
    """Whose session the token is, None when it ended or never was."""
    row = connection.execute(
        select(account.c.username, account.c.person, account.c.role, account.c.must_change, account.c.locale)
        .join(session, session.c.account == account.c.username)
        .where(session.c.token_hash == _digest(token), session.c.expires_at > now)
    ).first()
    return Account(*row) if row else None


def close_session(connection: Connection, token: str) -> None:
    """End one session."""
    connection.execute(delete(session).where(session.c.token_hash == _digest(token)))


def change_password(connection: Connection, who: Account, old: str, new: str) -> None:
    """Replace the password and end all of the account's sessions. Raises AccountRefused."""
    if authenticate(connection, who.username, old) is None:
        raise AccountRefused("password.wrong")
    if len(new) < PASSWORD_LENGTH:
        raise AccountRefused("password.short")
    if new == old:
        raise AccountRefused("password.same")
    connection.execute(
        update(account)
        .where(account.c.username == who.username)
        .values(password_hash=hash_password(new), must_change=False)
    )
    connection.execute(delete(session).where(session.c.account == who.username))


def set_locale(connection: Connection, who: Account, locale: str) -> None:
    """Remember the language of an account."""
    connection.execute(update(account).where(account.c.username == who.username).values(locale=locale))
