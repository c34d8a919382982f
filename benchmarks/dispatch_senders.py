"""The dispatch role's senders for measuring: four for robots, one for phone pages.

`python -m benchmarks.dispatch_senders DATABASE ROBOTS SHIFT` until its input ends; the clock is SHIFT µs ahead.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from alerts.channels import Channel
from alerts.channels.phone_page import PhonePage
from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot
from alerts.owners import this_process
from alerts.sender import Sender
from core.clock import ShiftedClock
from core.database import open_engine
from shouwang.senders import sending

_ROBOTS = 4
_TOWN = "http://town.example"


@contextmanager
def sending_threads(engine: Engine, url: str, clock: ShiftedClock) -> Iterator[None]:
    """Send until the end, to the robots at `url`."""
    ending = threading.Event()
    adapters: list[Channel] = [WecomRobot("robot", open_client(), _TOWN, url) for _ in range(_ROBOTS)]
    adapters.append(PhonePage("phone", engine, _TOWN))
    began = clock.now()
    threads = [
        threading.Thread(
            target=sending(Sender(engine, [each], clock, this_process("dispatch", began, f"s{place}")), clock),
            args=(ending,),
        )
        for place, each in enumerate(adapters)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def main() -> None:
    """Say when it begins."""
    database, url, shift = sys.argv[1:]
    with sending_threads(open_engine(database), url, ShiftedClock(int(shift))):
        print("sending", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
