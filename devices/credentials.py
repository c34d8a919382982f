"""Passwords: made at random, kept only as argon2 hashes."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, update

from devices.enrolment import lock_registry, raise_version
from devices.tables import gateway

_for_people = PasswordHasher()
_for_machines = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class UnknownGateway(LookupError):
    """There is no gateway of that code in service."""


def new_password() -> str:
    """A random password of 144 bits, 24 URL-safe characters."""
    return secrets.token_urlsafe(18)


def hash_password(plain: str) -> str:
    """The argon2id hash of a password that a person may have chosen; slow on purpose (tens of ms, 64 MiB)."""
    return _for_people.hash(plain)


def hash_generated(plain: str) -> str:
    """The argon2id hash of a `new_password`, which no one can guess: cheap, so that a town of gateways can connect."""
    return _for_machines.hash(plain)


def verify(password_hash: str, plain: str) -> bool:
    """Does the password fit either kind of hash? An empty or damaged hash fits none."""
    try:
        return _for_people.verify(password_hash, plain)
    except (VerificationError, InvalidHashError):
        return False


def issue_password(connection: Connection, code: str) -> str:
    """Give a gateway a new password, returned this once; the old one ends and the registry's version rises.

    Raises UnknownGateway when there is no such gateway or it is retired.
    """
    lock_registry(connection)
    plain = new_password()
    chosen = update(gateway).where(gateway.c.code == code, gateway.c.retired == 0)
    if connection.execute(chosen.values(password_hash=hash_generated(plain))).rowcount != 1:
        raise UnknownGateway(code)
    raise_version(connection)
    return plain
