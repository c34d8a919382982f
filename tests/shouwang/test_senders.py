"""The dispatch role's threads: notices that no channel takes are failed while the platform runs."""

import threading

from sqlalchemy import Engine

from core.clock import ManualClock
from shouwang.senders import refusing
from tests.alerts.notices.notice_rows import notices, queue, to_person, to_robot


def test_what_no_channel_takes_is_failed_and_the_rest_is_left_alone(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person(channel="pager"), to_robot())
    ending = threading.Event()
    worker = threading.Thread(target=refusing(engine, ["robot"], clock, look=0.02), args=(ending,))
    worker.start()
    for _ in range(500):
        if notices(engine)[0].state == "failed":
            break
        ending.wait(0.02)
    ending.set()
    worker.join(5)
    assert [(row.channel, row.state, row.error) for row in notices(engine)][:2] == [
        ("pager", "failed", "no_such_channel"),
        ("robot", "queued", ""),
    ]
