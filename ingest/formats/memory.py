"""What a convention without memory says of it."""

from typing import Any


class Memoryless:
    """A base for dialects whose messages each stand for themselves."""

    def pack(self, memory: Any) -> bytes:
        raise TypeError(f"{type(self).__name__} remembers nothing: {memory!r:.40}")

    def unpack(self, packed: bytes) -> Any:
        raise ValueError(f"{type(self).__name__} remembers nothing: {packed[:40]!r}")
