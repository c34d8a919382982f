"""Telling other platforms of the moves of their tickets, as named work."""

from collections.abc import Callable, Iterator, Mapping
from threading import Event as Signal

from sqlalchemy import Engine

from alerts.channels.transport import open_client
from alerts.outside_moves import MoveTeller
from core.clock import Clock
from shouwang.channel_settings import OutsideSettings

_IDLE = 0.5  # s


def tellers(
    systems: Mapping[str, OutsideSettings], engine: Engine, clock: Clock
) -> Iterator[tuple[str, Callable[[Signal], None]]]:
    """A worker for each platform that wants to be told."""
    for name, system in systems.items():
        if url := system.url.get_secret_value():
            secret = system.secret.get_secret_value().encode()
            yield f"moves to {name}", _telling(MoveTeller(engine, name, url, secret, open_client()), clock)


def _telling(teller: MoveTeller, clock: Clock) -> Callable[[Signal], None]:
    def work(ending: Signal) -> None:
        while not ending.is_set():
            if not teller.step(clock.now()):
                ending.wait(_IDLE)

    return work
