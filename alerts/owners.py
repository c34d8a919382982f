"""Senders by name, and how to tell that one is gone."""

import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from core.clock import SECOND

LEASE = 60 * SECOND
"""After so long without a result a sender on another machine counts as gone; far longer than any request may take."""


class Owner(NamedTuple):
    """One sender of one process: `started` tells apart processes that got the same id, `thread` those in one."""

    role: str
    host: str
    pid: int
    started: int
    thread: str = ""

    def __str__(self) -> str:
        return f"{self.role}@{self.host}:{self.pid}:{self.started}/{self.thread}"

    @classmethod
    def parse(cls, text: str) -> "Owner":
        """The inverse of `str`.

        >>> Owner.parse("dispatch@town-1:812:1790000000/robot").pid
        812
        """
        role, _, rest = text.partition("@")
        place, _, thread = rest.partition("/")
        host, pid, started = place.rsplit(":", 2)
        return cls(role, host, int(pid), int(started), thread)


def this_process(role: str, started: int, thread: str = "") -> Owner:
    """The owner that a sender of this process is; `started` is the process's start, µs UTC."""
    return Owner(role[:16], socket.gethostname()[:40], os.getpid(), started, thread[:20])


def process_runs(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def why_gone(
    owner: Owner, me: Owner, since: int, now: int, *, alone: bool, runs: Callable[[int], bool] = process_runs
) -> str | None:
    """Why an owner that has had a row since `since` (µs) is gone; None while it may live.

    `alone`: the database is one that a role uses from a single process, so any other process of it is gone.
    """
    if owner == me:
        return "left_by_myself"
    if owner[:4] == me[:4]:
        return None
    if alone and owner.role == me.role:
        return "role_runs_once"
    if owner.host == me.host and (owner.pid == me.pid or not runs(owner.pid)):
        return "process_ended"
    return "lease_over" if since + LEASE <= now else None
