"""Many people who sign in at the same moment must not take the server's memory: a check takes 64 MiB."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from devices import credentials


def test_few_passwords_are_checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0
    guard, full = threading.Lock(), threading.Event()

    class Hasher:
        def verify(self, password_hash: str, plain: str) -> bool:
            nonlocal inside, most
            with guard:
                inside += 1
                most = max(most, inside)
                if inside == 4:
                    full.set()
            full.wait(5)
            with guard:
                inside -= 1
            return True

    monkeypatch.setattr(credentials, "_for_people", Hasher())
    with ThreadPoolExecutor(20) as people:
        answers = list(people.map(lambda _: credentials.verify("$argon2id$x", "word"), range(20)))
    assert answers == [True] * 20
    assert most == 4
