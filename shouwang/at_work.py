"""Which platforms work on a PostgreSQL database, wherever their state folders are; a SQLite file is in one of those."""

import os
import socket
import time
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Engine, text

from core.database import reading
from core.lifecycle import PartFailed

_MARK = "shouwang:"
_LINGERS = 5.0  # s
"""For so long the server may still show the session of a process that was just ended."""
_ASKED = text(
    "SELECT DISTINCT application_name, coalesce(host(client_addr), 'localhost') FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE :mark ORDER BY 1"
)


class AtWork(NamedTuple):
    """A process of a platform: the address it came from, its number there, and its roles."""

    address: str
    process: str
    roles: tuple[str, ...]


def name_of(roles: Collection[str]) -> str:
    """How this process calls itself at the database; at most 63 characters are kept there."""
    return f"{_MARK}{','.join(roles)}:{os.getpid()}"


def at_work(engine: Engine) -> list[AtWork]:
    """The processes that have a session on this database now; none on SQLite."""
    if engine.dialect.name != "postgresql":
        return []
    with reading(engine) as connection:
        rows = connection.execute(_ASKED, {"mark": f"{_MARK}%"}).all()
    return [_read(str(name), str(address)) for name, address in rows]


def refuse_while_at_work(engine: Engine, patience: float = _LINGERS) -> None:
    """Raise PartFailed while a platform works on this database; one that is just ending is waited for."""
    deadline = time.monotonic() + patience
    while found := at_work(engine):
        if time.monotonic() > deadline:
            some = ", ".join(f"{each.process}@{each.address} ({','.join(each.roles)})" for each in found)
            raise PartFailed(
                f"有平台进程正在使用这个数据库：{some}。请先停下它们，它们的状态目录可能在别处。\n"
                f"Processes of a platform work on this database: {some}. Stop them first; their state folder may be "
                "another one."
            )
        time.sleep(0.2)


def doubled(found: Collection[AtWork]) -> dict[str, list[AtWork]]:
    """The roles that more than one process has on the same database, with these processes.

    >>> doubled([AtWork("a", "1", ("detect", "store")), AtWork("b", "2", ("detect",))]).keys()
    dict_keys(['detect'])
    """
    by_role: dict[str, list[AtWork]] = {}
    for each in found:
        for role in each.roles:
            by_role.setdefault(role, []).append(each)
    return {role: processes for role, processes in by_role.items() if len(processes) > 1}


def _read(name: str, address: str) -> AtWork:
    roles, _, process = name.removeprefix(_MARK).partition(":")
    here = socket.gethostname() if address in ("127.0.0.1", "::1", "localhost") else address
    return AtWork(here, process, tuple(roles.split(",")))
