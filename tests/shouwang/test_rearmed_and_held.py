"""Cleared by hand while still bad: through journal, detector and desk it is raised again, also under a hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from alerts.matching import matcher
from alerts.moves import clear_alert_by_hand
from alerts.quiet_limits import Asked
from alerts.quieting import set_quiet, shelve
from alerts.releasing import release_due
from alerts.tables import alert, ticket
from core.clock import MINUTE, SECOND
from core.database import reading, writing
from detectors.words import Subject
from tests.detectors.stage import PACKS
from tests.shouwang.test_watch import Post, leak


@pytest.fixture
def post(engine: Engine, tmp_path: Path) -> Iterator[Post]:
    post = Post(engine, tmp_path)
    yield post
    post.journal.close()


def the_alert(post: Post) -> dict[str, Any]:
    with reading(post.engine) as connection:
        return dict(connection.execute(select(alert)).mappings().one())


def clear(post: Post, at: float, committed: bool = True) -> None:
    """As a page does: the Rearm is in the journal before the transaction commits; a kill may come between the two."""
    with post.engine.connect() as connection:
        transaction = connection.begin()
        rearm = clear_alert_by_hand(connection, the_alert(post)["id"], "DISP-1", post.clock.now(), post.watch.town())
        assert Subject(rearm.kind, rearm.id) == Subject("device", "GAS-1")
        post.control(rearm, at)
        if committed:
            transaction.commit()
        else:
            transaction.rollback()


def release(post: Post) -> int:
    with writing(post.engine) as connection:
        return release_due(connection, post.watch.town(), PACKS, post.clock.now())


def silence(post: Post, span: int) -> None:
    asked = Asked(
        "silence", (matcher("subject", "=", "GAS-1"),), post.clock.now(), post.clock.now() + span, "标定", True
    )
    with writing(post.engine) as connection:
        set_quiet(connection, asked, "LEAD-1", "leader", post.clock.now())


def tickets(post: Post) -> int:
    with reading(post.engine) as connection:
        return len(connection.execute(select(ticket.c.id)).all())


def test_without_a_hold_it_is_raised_again_on_its_ticket(post: Post) -> None:
    leak(post, 0)
    post.run()
    assert the_alert(post)["ticket"] is not None
    clear(post, 8)
    assert the_alert(post)["state"] == "closed"
    post.read(9, 62)
    post.run()
    found = the_alert(post)
    assert (found["state"], found["reopened"], tickets(post)) == ("open", 1, 1)


@pytest.mark.parametrize("kill", [False, True])
def test_under_a_silence_it_is_held_raised_again_held_again_and_released(post: Post, kill: bool) -> None:
    silence(post, 30 * MINUTE)
    leak(post, 0)
    post.run(kill)
    assert (the_alert(post)["held"], tickets(post)) == ("silence", 0)
    clear(post, 8)
    assert (the_alert(post)["state"], the_alert(post)["held"]) == ("closed", None)
    post.read(9, 62)
    post.run(kill)
    found = the_alert(post)
    assert (found["state"], found["held"], found["reopened"], tickets(post)) == ("open", "silence", 1, 0)
    post.clock.advance(30 * MINUTE)
    assert release(post) == 1
    assert (the_alert(post)["held"], tickets(post)) == (None, 1)
    assert release(post) == 0


def test_a_clearing_that_was_killed_before_its_commit_changes_nothing(post: Post) -> None:
    silence(post, 30 * MINUTE)
    leak(post, 0)
    post.run()
    clear(post, 8, committed=False)
    post.read(9, 62)
    post.run(kill=True)
    found = the_alert(post)
    assert (found["state"], found["held"], found["reopened"]) == ("open", "silence", 0)


def test_a_one_shot_shelf_is_over_when_its_alert_is_cleared_so_that_it_is_heard_when_it_is_still_bad(
    post: Post,
) -> None:
    leak(post, 0)
    post.run()
    with writing(post.engine) as connection:
        number, now = the_alert(post)["id"], post.clock.now()
        shelve(connection, number, "LEAD-1", "leader", now + 30 * MINUTE, "标定", now, one_shot=True, life_safety=True)
    post.clock.advance(SECOND)
    clear(post, 8)
    post.read(9, 62)
    post.run()
    found = the_alert(post)
    assert (found["state"], found["held"], found["reopened"]) == ("open", None, 1)
