"""A gateway that floods on is shut out in the registry and cut off, whatever fails on the way."""

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import OperationalError

from core.clock import ManualClock
from core.database import reading, writing
from core.journal import JournalFull
from devices.enrolment import ensure_registry
from devices.tables import gateway, registry
from ingest.disabling import Disabling


class Stand:
    def __init__(self, engine: Engine, clock: ManualClock) -> None:
        self.engine, self.clock = engine, clock
        self.told: list[str] = []
        self.refusal: Exception | None = None
        self.disabling = Disabling(engine, clock, self.changed, lambda code: self.told.append(f"cut {code}"))
        with writing(engine) as connection:
            ensure_registry(connection)
            connection.execute(insert(gateway).values(code="GW-0001", attributes={}))

    def changed(self) -> None:
        if self.refusal:
            raise self.refusal
        self.told.append("changed")

    def row(self) -> tuple[int, str, int]:
        with reading(self.engine) as connection:
            disabled_at, why = connection.execute(select(gateway.c.disabled_at, gateway.c.disabled_why)).one()
            return disabled_at, why, connection.execute(select(registry.c.version)).scalar_one()


@pytest.fixture
def stand(engine: Engine, clock: ManualClock) -> Stand:
    return Stand(engine, clock)


def test_it_is_written_told_and_cut(stand):
    version = stand.row()[2]
    stand.disabling.ask("GW-0001", "flooding for 1 min")
    assert stand.told == [], "not in the thread that asks"
    stand.disabling.step()
    assert stand.row() == (stand.clock.now(), "flooding for 1 min", version + 1)
    assert stand.told == ["changed", "cut GW-0001"]
    stand.disabling.step()
    assert len(stand.told) == 2


def test_one_that_was_retired_meanwhile_holds_up_no_other(stand):
    stand.disabling.ask("GW-7777", "flooding")
    stand.disabling.ask("GW-0001", "flooding")
    stand.disabling.step()
    assert stand.told == ["cut GW-7777", "changed", "cut GW-0001"]


@pytest.mark.parametrize("refusal", [JournalFull("full"), OperationalError("select", {}, Exception("down"))])
def test_what_fails_is_done_again(stand, refusal):
    stand.disabling.ask("GW-0001", "flooding")
    stand.refusal = refusal
    stand.disabling.step()
    assert stand.told == []
    stand.refusal = None
    stand.disabling.step()
    assert stand.told == ["changed", "cut GW-0001"]
    assert stand.row()[1] == "flooding"
