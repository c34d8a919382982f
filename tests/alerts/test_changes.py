"""A page that follows changes by id misses none, whichever transaction commits first."""

from threading import Event, Thread

from sqlalchemy import Engine, delete

from alerts import event_tables
from alerts.changes import Change, Happened, changes_after, last_change, record_changes
from alerts.one_writer import hold_desk
from core.database import reading, writing


def test_ids_go_on_without_a_gap_and_come_back_in_order(engine: Engine) -> None:
    with writing(engine) as connection:
        assert record_changes(connection, 5, [Happened("alert", 7, {"a": 1}), Happened("ticket", 8, {})]) == 2
        assert record_changes(connection, 6, []) == 0
        assert record_changes(connection, 6, [Happened("notice", 9, {})]) == 3
    with reading(engine) as connection:
        assert changes_after(connection, 0, 1) == [Change(1, 5, "alert", 7, {"a": 1})]
        assert [change.id for change in changes_after(connection, 1, 10)] == [2, 3]
        assert last_change(connection) == 3


def test_the_counter_needs_no_row_beforehand(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(delete(event_tables.change_counter))
        assert last_change(connection) == 0
        assert record_changes(connection, 5, [Happened("alert", 7, {})]) == 1


def test_a_rollback_takes_its_ids_back(engine: Engine) -> None:
    with engine.connect() as connection:
        record_changes(connection, 5, [Happened("alert", 7, {})])
        connection.rollback()
    with writing(engine) as connection:
        assert record_changes(connection, 6, [Happened("alert", 8, {})]) == 1


def test_a_later_id_never_shows_before_an_earlier_one(engine: Engine) -> None:
    """The second transaction waits for the first one's commit before it gets an id."""
    second_done = Event()

    def second() -> None:
        with writing(engine) as connection:
            record_changes(connection, 2, [Happened("alert", 2, {})])
        second_done.set()

    with writing(engine) as connection:
        record_changes(connection, 1, [Happened("alert", 1, {})])
        thread = Thread(target=second)
        thread.start()
        assert not second_done.wait(0.3)
        with reading(engine) as page:
            assert changes_after(page, 0, 10) == []
    thread.join()
    with reading(engine) as page:
        assert [change.id_of for change in changes_after(page, 0, 10)] == [1, 2]


def test_the_desk_is_held_by_one_transaction_at_a_time(engine: Engine) -> None:
    held = Event()

    def second() -> None:
        with writing(engine) as connection:
            hold_desk(connection)
        held.set()

    with writing(engine) as connection:
        hold_desk(connection)
        thread = Thread(target=second)
        thread.start()
        assert not held.wait(0.3)
    thread.join()
    assert held.is_set()
