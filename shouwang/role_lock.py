"""One process a role on one state folder: a second one would do everything twice."""

import fcntl
import os
from collections.abc import Collection
from pathlib import Path

from core.lifecycle import PartFailed


class RoleLocks:
    """Locks of the roles that this process runs, held until it ends, however it ends."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._held: list[int] = []

    def take(self, roles: Collection[str]) -> None:
        """Lock every role; PartFailed names the one that another process runs."""
        for role in roles:
            file = self._state / f"{role}.lock"
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.read(descriptor, 32).decode(errors="replace").strip()
                os.close(descriptor)
                self.release()
                who = owner or "?"
                raise PartFailed(
                    f"{self._state} 上已有进程 {who} 在运行角色 {role}：请先停下它（run 也可用 --roles 换别的角色）。\n"
                    f"process {who} runs the role {role} on {self._state} already: stop it first (`run` may have other "
                    "--roles)"
                ) from error
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            self._held.append(descriptor)

    def release(self) -> None:
        """Give the locks back."""
        while self._held:
            os.close(self._held.pop())
