"""Platforms that want to be told have a worker, which ends when asked to."""

import threading
from threading import Event as Signal

from pydantic import SecretStr
from sqlalchemy import Engine

from core.clock import SystemClock
from shouwang.channel_settings import OutsideSettings
from shouwang.telling import tellers

SECRET = SecretStr("at least sixteen characters")


def test_only_who_has_an_address_is_told(engine: Engine) -> None:
    systems = {
        "district": OutsideSettings(secret=SECRET, url=SecretStr("http://127.0.0.1:9/moves")),
        "quiet": OutsideSettings(secret=SECRET),
    }
    ((name, work),) = tellers(systems, engine, SystemClock())
    assert name == "moves to district"
    ending = Signal()
    thread = threading.Thread(target=work, args=(ending,))
    thread.start()
    ending.set()
    thread.join(5)
    assert not thread.is_alive()
