"""Quiet hours: they may cross midnight, and nothing grave waits for their end."""

import pytest
from sqlalchemy import Engine, update

from alerts.notices import enqueue
from alerts.quiet_hours import QuietHoursError, parse_quiet_hours, quiet_until
from alerts.tables import person
from alerts.unsent import expire, refuse_unknown
from core.clock import HOUR
from core.database import writing
from tests.alerts.desk_scene import at_local
from tests.alerts.notices.notice_rows import notices, put_ticket, put_town, to_person, to_robot

NIGHT = "22:00-06:00"


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, "2026-09-21 21:59:59", None),
        (NIGHT, "2026-09-21 22:00", "2026-09-22 06:00"),
        (NIGHT, "2026-09-22 00:00", "2026-09-22 06:00"),
        (NIGHT, "2026-09-22 05:59:59", "2026-09-22 06:00"),
        (NIGHT, "2026-09-22 06:00", None),
        ("12:30-14:00", "2026-09-22 13:00", "2026-09-22 14:00"),
        ("12:30-14:00", "2026-09-22 23:00", None),
        ("", "2026-09-22 23:00", None),
    ],
)
def test_they_end_when_they_end(hours: str, now: str, until: str | None) -> None:
    assert quiet_until(hours, at_local(now)) == at_local(until or now)


@pytest.mark.parametrize("text", ["22-06", "22:00-22:00", "24:00-06:00", "22:60-06:00", "22:00-06:00 "])
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(QuietHoursError):
        parse_quiet_hours(text)


@pytest.mark.parametrize(
    ("severity", "life_safety", "waits"), [(3, False, True), (2, False, True), (4, False, False), (2, True, False)]
)
def test_only_what_is_not_urgent_waits(engine: Engine, severity: int, life_safety: bool, waits: bool) -> None:
    now = at_local("2026-09-21 23:00")
    with writing(engine) as connection:
        put_town(connection)
        connection.execute(update(person).where(person.c.code == "P-02").values(quiet_hours="23:00-05:00"))
        row = put_ticket(connection, severity=severity, life_safety=life_safety)
        to = [to_person("P-01"), to_person("P-02"), to_robot()]
        enqueue(connection, row, None, to, "dispatched", now, now, quiet_hours=NIGHT)
    due = {each.recipient: each.due_at for each in notices(engine)}
    mine, own = (at_local("2026-09-22 06:00"), at_local("2026-09-22 05:00")) if waits else (now, now)
    assert due == {"P-01": mine, "P-02": own, "T-01": now}


@pytest.mark.parametrize(("severity", "waits"), [(3, True), (4, False)])
@pytest.mark.parametrize("own", ["", "23:00-05:00"], ids=["the town's", "their own"])
def test_what_is_told_instead_waits_too_unless_it_is_urgent(
    engine: Engine, severity: int, waits: bool, own: str
) -> None:
    now = at_local("2026-09-21 21:59")
    with writing(engine) as connection:
        put_town(connection)
        connection.execute(update(person).where(person.c.code == "P-01").values(quiet_hours=own))
        row = put_ticket(connection, severity=severity, life_safety=False)
        enqueue(connection, row, None, [to_person("P-01", "app")], "dispatched", now, now, quiet_hours=NIGHT)
        later = at_local("2026-09-21 23:01")
        assert refuse_unknown(connection, ["phone"], later) == 1
    first, instead = notices(engine)
    assert (first.state, first.due_at) == ("failed", now)
    until = at_local("2026-09-22 05:00" if own else "2026-09-22 06:00") if waits else later
    assert (instead.channel, instead.due_at, instead.next_try_at) == ("phone", until, until)
    assert instead.not_after > until


@pytest.mark.parametrize(("cause", "said"), [("not_accepted", 1), ("returned", 3)])
def test_what_is_repeated_through_the_night_is_said_once_at_its_end(engine: Engine, cause: str, said: int) -> None:
    now = at_local("2026-09-21 23:00")
    with writing(engine) as connection:
        put_town(connection)
        row = put_ticket(connection, severity=3, life_safety=False, dispatched_at=now)
        for each in range(3):
            later = now + each * HOUR
            enqueue(connection, row, None, [to_person()], cause, later, later, occasion=later, quiet_hours=NIGHT)
        expire(connection, at_local("2026-09-22 06:00"))
    assert [each.state for each in notices(engine)][-said:] == ["queued"] * said
    assert [each.error for each in notices(engine)][:-said] == ["superseded"] * (3 - said)


def test_what_is_repeated_by_day_goes_out_each_time(engine: Engine) -> None:
    now = at_local("2026-09-21 10:00")
    with writing(engine) as connection:
        put_town(connection)
        row = put_ticket(connection, severity=3, life_safety=False, dispatched_at=now)
        for occasion in range(2):
            enqueue(connection, row, None, [to_person()], "not_accepted", now, now, occasion=occasion)
        assert expire(connection, now) == []
