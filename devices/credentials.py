"""Passwords, kept only as hashes: people's by argon2, gateways' in the form that Mosquitto reads."""

import hashlib
import hmac
import secrets
import threading
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection

from devices.enrolment import lock_registry, raise_version
from devices.gateways import set_password_hash

_for_people = PasswordHasher()
_at_once = threading.BoundedSemaphore(4)
"""Each check of a person's password takes 64 MiB: more of them wait their turn."""
_ROUNDS = (
    101  # mosquitto_passwd's own: 144 random bits can't be guessed, and a town of gateways must be able to connect
)
_MOST_ROUNDS = 1_000_000
_SALT, _KEY = 12, 64  # bytes


class Pbkdf2Hash(NamedTuple):
    """PBKDF2-HMAC-SHA512 of a password, as in Mosquitto's password file: `$7$iterations$salt$hash`, both in base64."""

    iterations: int
    salt: bytes
    key: bytes

    @classmethod
    def of(cls, plain: str, salt: bytes, iterations: int = _ROUNDS) -> "Pbkdf2Hash":
        """Hash a password.

        >>> str(Pbkdf2Hash.of("pa", bytes(12)))[:40]
        '$7$101$AAAAAAAAAAAAAAAA$WhaAgvyqlJpC8N2q'
        """
        return cls(iterations, salt, hashlib.pbkdf2_hmac("sha512", plain.encode(), salt, iterations, _KEY))

    @classmethod
    def parse(cls, text: str) -> "Pbkdf2Hash | None":
        """The inverse of str(); None for what is no such hash."""
        try:
            nothing, kind, iterations, salt, key = text.split("$")
            found = cls(int(iterations), b64decode(salt, validate=True), b64decode(key, validate=True))
        except (ValueError, NotBase64):
            return None
        known = (nothing, kind, len(found.key)) == ("", "7", _KEY) and 0 < found.iterations <= _MOST_ROUNDS
        return found if known else None

    def __str__(self) -> str:
        return f"$7${self.iterations}${b64encode(self.salt).decode()}${b64encode(self.key).decode()}"

    def fits(self, plain: str) -> bool:
        """Is it the hash of this password? Takes as long for a wrong one."""
        return hmac.compare_digest(self.of(plain, self.salt, self.iterations).key, self.key)


def new_password() -> str:
    """A random password of 144 bits, 24 URL-safe characters."""
    return secrets.token_urlsafe(18)


def hash_password(plain: str) -> str:
    """The argon2id hash of a password that a person may have chosen; slow on purpose (tens of ms, 64 MiB)."""
    with _at_once:
        return _for_people.hash(plain)


def hash_generated(plain: str) -> str:
    """The hash of a `new_password`, which no one can guess, as Mosquitto reads it: 0.1 ms."""
    return str(Pbkdf2Hash.of(plain, secrets.token_bytes(_SALT)))


def verify(password_hash: str, plain: str) -> bool:
    """Does the password fit either kind of hash? An empty or damaged hash fits none."""
    if machine := Pbkdf2Hash.parse(password_hash):
        return machine.fits(plain)
    try:
        with _at_once:
            return _for_people.verify(password_hash, plain)
    except (VerificationError, ValueError):
        return False


def issue_password(connection: Connection, code: str) -> str:
    """Give a gateway a new password, returned this once; the old one ends and the registry's version rises.

    Raises UnknownGateway when there is no such gateway or it is retired.
    """
    lock_registry(connection)
    plain = new_password()
    set_password_hash(connection, code, hash_generated(plain))
    raise_version(connection)
    return plain
