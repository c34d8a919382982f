"""What is done to a gateway as a whole: shut out, let in again, its password taken; in the caller's transaction.

Each change raises the registry's version, so that whoever follows the registry enforces it.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, update

from devices.enrolment import lock_registry, raise_version
from devices.tables import gateway


class UnknownGateway(LookupError):
    """There is no gateway of that code in service."""


class Standing(NamedTuple):
    """A gateway that is not retired, and whether it may connect; `disabled_at` in µs UTC, 0: it is not disabled."""

    code: str
    name: str
    format: str
    site: str
    password_hash: str
    disabled_at: int
    disabled_why: str


def list_gateways(connection: Connection) -> list[Standing]:
    """All gateways that are not retired, by code."""
    site = func.coalesce(gateway.c.site, "").label("site")
    columns = [site if name == "site" else gateway.c[name] for name in Standing._fields]
    rows = connection.execute(select(*columns).where(gateway.c.retired == 0).order_by(gateway.c.code))
    return [Standing(*row) for row in rows]


def disable_gateway(connection: Connection, code: str, why: str, now: int) -> bool:
    """Shut a gateway out until it is enabled; False when it was shut out already, which changes nothing.

    Its password stays what it is. Raises UnknownGateway.
    """
    lock_registry(connection)
    if _standing(connection, code).disabled_at:
        return False
    _change(connection, code, disabled_at=now, disabled_why=why)
    raise_version(connection)
    return True


def enable_gateway(connection: Connection, code: str) -> bool:
    """Let a gateway in again; False when it was not shut out. Raises UnknownGateway."""
    lock_registry(connection)
    if not _standing(connection, code).disabled_at:
        return False
    _change(connection, code, disabled_at=0, disabled_why="")
    raise_version(connection)
    return True


def revoke_password(connection: Connection, code: str) -> bool:
    """End a gateway's password without a new one; False when it had none. Raises UnknownGateway."""
    lock_registry(connection)
    if not _standing(connection, code).password_hash:
        return False
    set_password_hash(connection, code, "")
    raise_version(connection)
    return True


def set_password_hash(connection: Connection, code: str, password_hash: str) -> None:
    """Write a gateway's hash; the caller raises the version. Raises UnknownGateway."""
    _change(connection, code, password_hash=password_hash)


def _standing(connection: Connection, code: str) -> Any:
    chosen = select(gateway.c.disabled_at, gateway.c.password_hash)
    found = connection.execute(chosen.where(gateway.c.code == code, gateway.c.retired == 0)).one_or_none()
    if found is None:
        raise UnknownGateway(code)
    return found


def _change(connection: Connection, code: str, **values: object) -> None:
    chosen = update(gateway).where(gateway.c.code == code, gateway.c.retired == 0)
    if connection.execute(chosen.values(**values)).rowcount != 1:
        raise UnknownGateway(code)
