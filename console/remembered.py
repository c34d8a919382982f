"""Answers that are the same for every dispatcher: made once, however many look."""

import threading
from collections.abc import Callable
from typing import Any

from starlette.requests import Request


class Remembered:
    """An answer made anew when its token differs; while one thread makes it, the others get the last one."""

    def __init__(self) -> None:
        self._known: tuple[object, Any] | None = None
        self._making = threading.Lock()

    def get(self, token: object, make: Callable[[], Any]) -> Any:
        """What `make()` returned under this token, or just before."""
        known = self._known
        if known is not None and (known[0] == token or self._making.locked()):
            return known[1]
        with self._making:
            if self._known is None or self._known[0] != token:
                self._known = (token, make())
            return self._known[1]


def remembered(request: Request, name: str) -> Remembered:
    """What all requests share under a name."""
    kept: dict[str, Remembered] = request.app.state.remembered
    return kept.setdefault(name, Remembered())
