"""Accounts, sessions and passwords, on both databases; slowing down of guesses."""

import pytest
from sqlalchemy import Engine, select

from console.accounts import (
    AccountRefused,
    account_of,
    authenticate,
    change_password,
    close_session,
    create_account,
    open_session,
)
from console.tables import account, session
from console.throttle import LONGEST, Throttle
from core.clock import DAY, HOUR, SECOND
from core.database import writing

NOW = 1_790_000_000 * SECOND
GOOD = "a-long-password"


def test_a_password_is_kept_only_as_a_hash_and_opens_a_session(engine: Engine) -> None:
    with writing(engine) as connection:
        create_account(connection, "disp", "dispatcher", GOOD, now=NOW)
        assert GOOD not in str(connection.execute(select(account)).all())
        who = authenticate(connection, "disp", GOOD)
        assert who is not None
        token, expires = open_session(connection, who, NOW)
        assert token not in str(connection.execute(select(session)).all())
        assert account_of(connection, token, NOW) == who
        assert account_of(connection, token, expires) is None
        close_session(connection, token)
        assert account_of(connection, token, NOW) is None


@pytest.mark.parametrize(("name", "password"), [("disp", "wrong-password"), ("nobody", GOOD), ("disp", "")])
def test_a_wrong_name_or_password_opens_nothing(engine: Engine, name: str, password: str) -> None:
    with writing(engine) as connection:
        create_account(connection, "disp", "dispatcher", GOOD, now=NOW)
        assert authenticate(connection, name, password) is None


@pytest.mark.parametrize(
    ("name", "role", "password", "reason"),
    [
        ("disp", "dispatcher", GOOD, "account.taken"),
        ("new", "king", GOOD, "account.role"),
        ("new", "admin", "short", "password.short"),
    ],
)
def test_an_account_that_can_not_be_is_refused(
    engine: Engine, name: str, role: str, password: str, reason: str
) -> None:
    with writing(engine) as connection:
        create_account(connection, "disp", "dispatcher", GOOD, now=NOW)
        with pytest.raises(AccountRefused, match=reason):
            create_account(connection, name, role, password, now=NOW)


def test_changing_the_password_ends_every_session_and_the_one_time_state(engine: Engine) -> None:
    with writing(engine) as connection:
        create_account(connection, "disp", "dispatcher", GOOD, must_change=True, now=NOW)
        who = authenticate(connection, "disp", GOOD)
        assert who is not None
        assert who.must_change
        token, _ = open_session(connection, who, NOW)
        change_password(connection, who, GOOD, "another-password")
        assert account_of(connection, token, NOW) is None
        again = authenticate(connection, "disp", "another-password")
        assert again is not None
        assert not again.must_change


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [("wrong", "another-password", "password.wrong"), (GOOD, "short", "password.short"), (GOOD, GOOD, "password.same")],
)
def test_a_password_that_can_not_be_is_refused(engine: Engine, old: str, new: str, reason: str) -> None:
    with writing(engine) as connection:
        create_account(connection, "disp", "dispatcher", GOOD, now=NOW)
        who = authenticate(connection, "disp", GOOD)
        assert who is not None
        with pytest.raises(AccountRefused, match=reason):
            change_password(connection, who, old, new)


def test_expired_sessions_are_swept_and_a_patroller_stays_signed_in_longer(engine: Engine) -> None:
    with writing(engine) as connection:
        create_account(connection, "disp", "dispatcher", GOOD, now=NOW)
        create_account(connection, "g01", "patroller", GOOD, now=NOW)
        for name, span in (("disp", 12 * HOUR), ("g01", 7 * DAY)):
            who = authenticate(connection, name, GOOD)
            assert who is not None
            assert open_session(connection, who, NOW)[1] == NOW + span
        disp = authenticate(connection, "disp", GOOD)
        assert disp is not None
        open_session(connection, disp, NOW + DAY)
        kept = connection.execute(select(session.c.account, session.c.created_at)).all()
        assert sorted(map(tuple, kept)) == [("disp", NOW + DAY), ("g01", NOW)]


def test_guessing_becomes_slow_and_success_forgives() -> None:
    throttle = Throttle()
    for _ in range(4):
        throttle.failed("name disp", NOW)
    assert throttle.wait("name disp", NOW) == 0
    waits = []
    for _ in range(14):
        throttle.failed("name disp", NOW)
        waits.append(throttle.wait("name disp", NOW))
    assert waits == sorted(waits)
    assert waits[0] == SECOND
    assert waits[-1] == LONGEST
    assert throttle.wait("name other", NOW) == 0
    assert throttle.wait("name disp", NOW + LONGEST) == 0
    throttle.passed("name disp")
    assert throttle.wait("name disp", NOW) == 0
