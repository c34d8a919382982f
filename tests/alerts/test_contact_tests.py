"""Test messages to oneself: by the outbox with a drill's mark, by one channel alone, not too often, written down."""

import pytest
from sqlalchemy import insert, update

from alerts import tables
from alerts.channels import Outcome
from alerts.claims import outgoing_notice
from alerts.contact_tests import GAP, MOST_IN_AN_HOUR, WINDOW, ContactTest, tried_by, try_contact
from alerts.drills import drills, run_due
from alerts.owners import Owner
from alerts.refusals import DrillRefused
from alerts.sender import Sender
from alerts.texts import headline
from alerts.town_view import load_town_view
from core.clock import HOUR, SECOND
from core.database import reading, writing
from tests.alerts.desk_scene import RULES, Scene
from tests.alerts.notices.notice_rows import ScriptedChannel


def ask(scene: Scene, who: str = "DISP-1", channel: str = "phone") -> ContactTest:
    with writing(scene.engine) as connection:
        return try_contact(connection, scene.town, who, channel, scene.clock.now(), scene.settings)


def last(scene: Scene, who: str = "DISP-1") -> ContactTest:
    with reading(scene.engine) as connection:
        return tried_by(connection, who)[0]


def test_it_goes_to_oneself_by_the_outbox_with_its_mark(scene: Scene) -> None:
    made = ask(scene)
    assert (made.channel, made.state, made.error) == ("phone", "queued", "")
    (sent,) = scene.notices
    assert (sent["recipient"], sent["address"], sent["cause"], sent["life_safety"]) == (
        "DISP-1",
        "DISP-1",
        "test",
        False,
    )
    assert sent["due_at"] == scene.clock.now()
    for language, words in (
        ("zh", ("【演练】", "测试消息", "无需处置")),
        ("en", ("[DRILL]", "Test message", "nothing to do")),
    ):
        line = headline(outgoing_notice(sent, scene.clock.now()), language)  # type: ignore[arg-type]
        assert all(word in line for word in words), line
    (about,) = scene.tickets
    assert (about["source"], about["number"]) == ("drill", made.ticket)
    with reading(scene.engine) as connection:
        assert drills(connection) == [], "it is no drill that is held again"


def test_it_wakes_who_asked_for_it_in_their_quiet_hours(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        connection.execute(update(tables.person).values(quiet_hours="00:00-23:59"))
    ask(scene)
    assert [each["due_at"] for each in scene.notices] == [scene.clock.now()]


def test_who_tested_what_stands_in_the_log(scene: Scene) -> None:
    ask(scene, "LEAD-1")
    (row,) = scene.rows(tables.ticket_log)
    assert (row["who"], row["action"], row["at"]) == ("LEAD-1", "drill", scene.clock.now())


def test_its_link_answered_ends_it(scene: Scene) -> None:
    ask(scene)
    scene.clock.advance(9 * SECOND)
    scene.move("accept", "DISP-1")
    assert last(scene).answered_at == scene.clock.now()
    with writing(scene.engine) as connection:
        assert run_due(connection, scene.town, RULES, scene.clock.now(), scene.settings) == 1
    assert [(each["status"], each["result"]) for each in scene.tickets] == [("closed", "test")]


def test_unanswered_it_is_over_in_minutes(scene: Scene) -> None:
    ask(scene)
    with writing(scene.engine) as connection:
        assert run_due(connection, scene.town, RULES, scene.clock.advance(WINDOW), scene.settings) == 1
    assert [each["status"] for each in scene.tickets] == ["closed"]


def test_a_failure_is_told_with_the_providers_reason_and_nobody_else_hears(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        second = {"owner_kind": "person", "owner": "DISP-1", "channel": "mail", "address": "a@b.example"}
        connection.execute(insert(tables.contact).values(second))
        scene.town = load_town_view(connection)
    ask(scene)
    channel = ScriptedChannel("phone", answers=[Outcome("failed", "93000", "the robot was stopped: bot disabled")])
    sender = Sender(scene.engine, [channel], scene.clock, Owner("test", "localhost", 1, scene.clock.now()))
    sender.step(scene.clock.now())
    found = last(scene)
    assert (found.state, found.error) == ("failed", "refused_for_good 93000 the robot was stopped: bot disabled")
    assert len(scene.notices) == 1, "another channel would hide what one wants to know"


def test_not_too_often(scene: Scene) -> None:
    ask(scene, "LEAD-1")
    for _ in range(MOST_IN_AN_HOUR):
        ask(scene)
        with pytest.raises(DrillRefused, match="tested_just_now"):
            ask(scene)
        scene.clock.advance(GAP)
    with pytest.raises(DrillRefused) as refused:
        ask(scene)
    assert refused.value.text_en == f"Tested too often: again in {(HOUR - MOST_IN_AN_HOUR * GAP) // SECOND} s"
    scene.clock.advance(HOUR)
    assert ask(scene).state == "queued"


def test_only_an_own_contact(scene: Scene) -> None:
    for who, channel, reason in (("root", "phone", "no_person_behind"), ("DISP-1", "sms", "no_such_contact")):
        with pytest.raises(DrillRefused, match=reason):
            ask(scene, who, channel)
    assert scene.notices == scene.tickets == []
