"""The real process: a ticket that nobody accepts goes up at the promised times, whatever is killed in between.

The clock is scripted: the test sets it to just after each promised moment.
"""

import random
import time
from collections.abc import Iterator
from datetime import date
from datetime import time as TimeOfDay
from pathlib import Path

import pytest

from core.clock import MINUTE, SECOND
from shouwang.demo import scripted_clock
from shouwang.settings import Role
from tests.e2e.scripted_platform import FileClock, ScriptedProcess
from tests.e2e.town_under_fire import Records
from tests.servers import accepts, free_port, wait_until
from tests.shouwang import small_platform
from tests.shouwang.small_platform import found_town, gateway, measure, small_settings

pytestmark = pytest.mark.long

LATE = 20 * SECOND
"""So late may a step run: a process starts for some seconds."""
_STATIONS = (
    "code,name,name_en,lng,lat,checkpoint,phone,service_grids\nS1,综合执法1站,Station 1,120.415,31.445,0,13900000100,\n"
)
_TEAMS = "code,name,grid\nT-G02,第2网格巡查队,G02\nT-G01,第1网格巡查队,G01\n"
_PEOPLE = (
    "code,name,role,phone,wecom_userid,team,station,shift,skills\n"
    "OWN,本格,patroller,13900000101,,T-G02,,all,\n"
    "NEXT,邻格,patroller,13900000102,,T-G01,,all,\n"
    "STATION,执法员,officer,13900000103,,,S1,all,\n"
    "LEADER,值班领导,leader,13900000104,,,,all,\n"
    "CENTRE,调度员,dispatcher,13900000105,,,,all,\n"
)
_CONTACTS = "owner_kind,owner,channel,address\n" + "".join(
    f"person,{code},phone,{code}\n" for code in ("OWN", "NEXT", "STATION", "LEADER", "CENTRE")
)
PROMISED = [(2, "NEXT"), (4, "STATION"), (5, "LEADER"), (7, "CENTRE"), (12, "CENTRE")]
"""Minutes after the dispatch of a 紧急 ticket, and who hears then."""


class Town:
    """A town with somebody of every rank, the files of its processes, and what its database says."""

    def __init__(self, folder: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        sheets = {"stations.csv": _STATIONS, "teams.csv": _TEAMS, "people.csv": _PEOPLE, "contacts.csv": _CONTACTS}
        monkeypatch.setattr(small_platform, "_MORE", {**small_platform._MORE, **sheets})
        start = scripted_clock(TimeOfDay(10), date(2026, 9, 21))
        (folder / "clock").write_text("0")
        self.folder, self.clock = folder, FileClock(folder / "clock")
        self.clock.set(start.now())
        self.settings = small_settings(folder, **({"database": database} if database else {}))
        self.passwords = found_town(self.settings, self.clock)
        self.records = Records(self.settings.database_url)

    def process(self, name: str = "state", roles: tuple[Role, ...] = (), **more: object) -> ScriptedProcess:
        """A process of this town; another `name` is another state folder."""
        state = self.folder / name
        state.mkdir(exist_ok=True)
        given = {
            "state": str(state),
            "database": self.settings.database_url,
            "broker": self.settings.broker.get_secret_value(),
            "canary_s": 0,
            "console": {"port": free_port()},
            **more,
        }
        return ScriptedProcess(given, state, self.folder / "clock", roles)

    def leak(self) -> int:
        """A gas leak is published; when its ticket was sent."""

        port = int(self.settings.broker.get_secret_value().rpartition(":")[2])
        wait_until(lambda: accepts(port), "the broker", 60)
        sent = "SELECT count(*) FROM ticket WHERE dispatched_at IS NOT NULL"
        with gateway(self.settings, "GW-1", self.passwords["GW-1"]) as client:
            measure(client, "GAS-1", 80.0, self.clock.now())
            wait_until(lambda: self.records.one(sent) >= 1, "the ticket of a leak", 60)
        return self.records.one("SELECT dispatched_at FROM ticket WHERE id = 1")

    def heard(self) -> list[tuple[float, str]]:
        """Who was told that nobody accepted the leak, and how many minutes after the dispatch.

        A device that said it once is silent from then on: that is another ticket.
        """
        found = self.records.rows(
            "SELECT notice.created_at - ticket.dispatched_at, recipient FROM notice "
            "JOIN ticket ON ticket.id = notice.ticket WHERE cause = 'not_accepted' AND ticket.id = 1 ORDER BY notice.id"
        )
        return [(int(late) / MINUTE, who) for late, who in found]

    def wait_heard(self, count: int) -> None:
        wait_until(lambda: len(self.heard()) >= count, f"{count} who were told", 60)

    def check(self, promised: list[tuple[int, str]], at: int) -> None:
        """Everybody heard once, in turn, when it was promised, and the messages went out."""
        heard = self.heard()
        assert [who for _, who in heard] == [who for _, who in promised]
        for (late, who), (minute, _) in zip(heard, promised, strict=True):
            assert minute <= late <= minute + LATE / MINUTE, f"{who} heard after {late:.2f} min instead of {minute}"
        ran = self.records.rows("SELECT due_at, did FROM escalation_run WHERE ticket = 1 ORDER BY id")
        assert [(int(due) - at) / MINUTE for due, _ in ran] == [minute for minute, _ in promised]
        assert all(did in ("notify", "repeat") for _, did in ran)
        sent = "SELECT count(*) FROM notice WHERE ticket = 1 AND cause = 'not_accepted' AND state = 'accepted'"
        wait_until(lambda: self.records.one(sent) == len(promised), "every message", 30)


@pytest.fixture
def town(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    made = Town(tmp_path, getattr(request, "param", ""), monkeypatch)
    yield made
    made.records.close()


@pytest.mark.timeout(240)
def test_nobody_accepts_and_all_hear_in_turn_through_a_kill(town: Town) -> None:
    platform = town.process()
    platform.start()
    try:
        at = town.leak()
        for place, (minute, _) in enumerate(PROMISED, 1):
            if place == 2:
                platform.kill()
            town.clock.set(at + minute * MINUTE)
            if place == 2:
                platform.start()
            town.wait_heard(place)
        town.check(PROMISED, at)
    finally:
        platform.stop()


@pytest.mark.timeout(240)
def test_a_downtime_over_several_steps_runs_the_latest_one_alone(town: Town) -> None:
    platform = town.process()
    platform.start()
    try:
        at = town.leak()
        platform.kill()
        town.clock.set(at + 5 * MINUTE)
        platform.start()
        town.wait_heard(1)
        assert [who for _, who in town.heard()] == ["LEADER"]
        did = town.records.rows("SELECT step, did FROM escalation_run WHERE ticket = 1 ORDER BY step")
        assert did == [(0, "skipped"), (1, "skipped"), (2, "notify")]
    finally:
        platform.stop()


def two_processes(town: Town, kills: int) -> None:
    """Two dispatch roles on one database, one of them killed while a step is due; each step runs once all the same."""
    chance = random.Random(5)
    first, second = town.process(), town.process("second", ("dispatch",))
    first.start()
    try:
        at, lives = town.leak(), 0
        repeats = [(minute, "CENTRE") for minute in range(17, 12 + 5 * max(0, kills - len(PROMISED)) + 1, 5)]
        promised = [*PROMISED, *repeats]
        for place, (minute, _) in enumerate(promised, 1):
            if place <= kills + 1:
                second.start()
                lives += 1
                wait_until(lambda: second.starts("desk clock") == lives, "the second process", 60)  # noqa: B023
            town.clock.set(at + minute * MINUTE)
            if place <= kills:
                time.sleep(chance.uniform(0, 1.2))
                second.kill()
            town.wait_heard(place)
        town.check(promised, at)
    finally:
        second.stop()
        first.stop()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_processes_one_killed_sixty_times(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(tmp_path, postgres_database, monkeypatch)
    try:
        two_processes(town, 60)
    finally:
        town.records.close()


@pytest.fixture
def postgres_database(postgres) -> Iterator[str]:  # type: ignore[no-untyped-def]
    """An empty database on PostgreSQL."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)
