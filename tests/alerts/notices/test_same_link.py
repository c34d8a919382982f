"""A notice that is sent again has the link that it had: its provider knows the message, the person gets one."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from alerts.channels.transport import open_client
from alerts.links import LIFETIME, resolve
from alerts.sender import RECOVER_EVERY, Sender
from alerts.tables import link
from core.clock import SECOND, ManualClock
from core.database import reading
from shouwang.kept_secrets import link_key
from tests.alerts.notices.notice_rows import KilledError, ScriptedChannel, notices, owner, queue, to_person
from tests.providers.provider import TIMEOUT_S, Answer
from tests.providers.wecom_app import WecomApp, channel

KEY = b"the installation's key"


class OneToOne(ScriptedChannel):
    one_to_one = True
    deduplicates = True


def test_a_wecom_message_whose_answer_was_lost_is_known_again(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person("P-01", "app"))
    with WecomApp(members=["P-01"]) as provider, open_client(TIMEOUT_S) as client:
        provider.script.append(Answer(drop=True))
        sender = Sender(engine, [channel(client, provider.url)], clock, owner(), KEY)
        for _ in range(3):
            sender.step(clock.now())
            clock.advance(RECOVER_EVERY)
        tries = [request.body for request in provider.requests if request.path.endswith("/message/send")]
    assert [row.state for row in notices(engine)] == ["accepted"]
    assert len(tries) == 2
    assert tries[0] == tries[1]
    assert len(provider.messages) == 1


def test_each_attempt_has_one_link_whichever_sender_makes_it(engine: Engine, clock: ManualClock) -> None:
    key = queue(engine, to_person("P-01", "app"), to_person("P-02", "app"))
    app = OneToOne("app", answers=[KilledError()])
    with pytest.raises(KilledError):
        Sender(engine, [app], clock, owner(), KEY).step(clock.now())
    clock.advance(SECOND)
    successor = Sender(engine, [app], clock, owner(started=8), KEY)
    while successor.step(clock.now()):
        clock.advance(SECOND)
    first, again, other = (each.link for each in app.sent)
    assert (first, len({first, other})) == (again, 2)
    due = notices(engine)[0].due_at
    with reading(engine) as connection:
        assert len(connection.execute(select(link)).all()) == 2
        assert resolve(connection, first, due + LIFETIME - 1) == ("P-01", key)
        assert resolve(connection, first, due + LIFETIME) is None


def test_senders_without_a_key_do_not_share_one(engine: Engine, clock: ManualClock) -> None:
    queue(engine, to_person("P-01", "app"))
    app = OneToOne("app", answers=[KilledError()])
    with pytest.raises(KilledError):
        Sender(engine, [app], clock, owner()).step(clock.now())
    Sender(engine, [app], clock, owner(started=8)).step(clock.now())
    assert len({each.link for each in app.sent}) == 2


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = link_key(tmp_path)
    assert link_key(tmp_path) == first
    assert len(first) >= 32
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
