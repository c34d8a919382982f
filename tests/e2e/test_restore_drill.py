"""The restore drill: a real platform is backed up as it runs, loses everything or its database, and goes on.

Tickets and their numbers go on without a gap or a double; what was told is not told again.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.hushing import NOTICES_OFF
from core.clock import MILLISECOND, SystemClock
from shouwang.backup import Made, make_backup
from shouwang.restore import Done, restore
from shouwang.restored import Position
from shouwang.settings import Settings
from tests.e2e.test_kill import alerts_and_tickets_stand_once
from tests.e2e.town_under_fire import PlatformProcess, Publisher, Records, make_town
from tests.servers import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
_NOTICE = re.compile(r"通知 (\d+)")
_LEAKS = 14
_TICKETS = "SELECT number, site, hazard, reported_at FROM ticket ORDER BY id"


class Scene:
    """A town whose detectors leak by turns, its platform, and what it left behind when it died."""

    def __init__(self, folder: Path, database: str, broker: int, robot: tuple[int, Path]) -> None:
        self.folder, self.database, self._broker, self._robot = folder, database, broker, robot
        self.state = folder / "state"
        leaking, quiet = make_town(self.state, database)
        self.publisher = Publisher(broker, leaking, quiet)
        self.platform = self.process(self.state)
        self.records = Records(database or f"sqlite:///{self.state / 'shouwang.db'}")

    def process(self, state: Path) -> PlatformProcess:
        """A platform on this folder."""
        return PlatformProcess(state, self._broker, self._robot[0], self.database, canary_s=0)

    def live(self) -> Made:
        """Run until there are some tickets, back up meanwhile, run on until there are more, and be killed."""
        self.platform.listen()
        self.publisher.start()
        self._until(3)
        made = make_backup(Settings(state=self.state, database=self.database), None, self.folder / "kept", _now())
        self._until(self.tickets() + 3)
        time.sleep(0.5)  # what was just told is on its way
        self.platform.kill()
        return made

    def tickets(self) -> int:
        """How many there are."""
        return self.records.one("SELECT count(*) FROM ticket WHERE hazard = 'gas'")

    def _until(self, count: int) -> None:
        wait_until(lambda: self.tickets() >= count, f"{count} tickets", 60)

    def heard(self) -> list[int]:
        """The notices that the robot heard of, in their order; one message may list several."""
        lines = [line for line in self._robot[1].read_text().splitlines() if json.loads(line)["msgtype"] != "image"]
        return [int(number) for line in lines for number in _NOTICE.findall(line)]

    def restore(self, made: Made, state: Path, journal: Position) -> Done:
        """Restore into this folder, over what is there, and look at that from now on."""
        self.records.close()
        self.platform.end()
        done = restore(Settings(state=state, database=self.database), made.file, _now(), journal, force=True)
        self.records = Records(self.database or f"sqlite:///{state / 'shouwang.db'}")
        self.platform = self.process(state)
        return done

    def settle(self) -> None:
        """No more leaks: wait for the end of each, and stop."""
        wait_until(lambda: len(self.publisher.leaks) > _LEAKS, "enough leaks", 60)
        self.publisher.stop()
        open_ = "SELECT count(*) FROM alert WHERE rule = 'gas.leak' AND state = 'open'"
        wait_until(lambda: self.caught_up() and not self.records.one(open_), "the end of every alert", 120)
        assert self.platform.stop() < 10

    def caught_up(self) -> bool:
        """Whether the newest leak that the publisher ended has its alert."""
        code, t = max(self.publisher.leaks, key=lambda leak: leak[1])
        found = f"SELECT count(*) FROM alert WHERE subject_id = '{code}' AND onset / {MILLISECOND} = {t}"
        return self.records.one(found) == 1

    def close(self) -> None:
        """Leave nothing running, however the test ended."""
        if self.publisher.publishing:
            self.publisher.stop()
        self.platform.end()
        self.records.close()


def _now() -> int:
    return SystemClock().now()


@pytest.fixture
def scene(empty_database_url, mosquitto, robot, tmp_path) -> Iterator[Scene]:
    database = empty_database_url if empty_database_url.startswith("postgresql") else ""
    scene = Scene(tmp_path, database, mosquitto().port, robot)
    yield scene
    scene.close()


def numbers_follow(records: Records) -> list[str]:
    """Ticket numbers of each day from 1 on without a gap; they are all distinct."""
    numbers = [number for (number,) in records.rows("SELECT number FROM ticket ORDER BY id")]
    given: dict[str, list[int]] = {}
    for number in numbers:
        day, sequence = number.split("-")
        given.setdefault(day, []).append(int(sequence))
    assert all(day == list(range(1, len(day) + 1)) for day in given.values()), numbers
    return numbers


@pytest.mark.parametrize(
    "empty_database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)], indirect=True
)
def test_a_lost_database_is_made_again_from_backup_and_journal_and_nobody_is_told_twice(scene: Scene) -> None:
    made = scene.live()
    before = scene.records.rows(_TICKETS)
    messages = len(scene.heard())
    done = scene.restore(made, scene.state, "replay")
    assert done.own_journal, "the machine's own journal reaches further than the backup's"
    kept = len(scene.records.rows(_TICKETS))
    assert kept < len(before), "the backup is older than what was lost"
    scene.platform.start()
    wait_until(lambda: len(scene.records.rows(_TICKETS)) >= len(before), "the lost tickets", 60)
    again = [row for row in scene.records.rows(_TICKETS) if row[0] <= before[-1][0]]
    assert [(number, site) for number, site, *_ in again] == [(number, site) for number, site, *_ in before]
    scene.settle()
    alerts_and_tickets_stand_once(scene.records, scene.publisher)
    numbers_follow(scene.records)
    quiet = dict(scene.records.rows(f"SELECT id, ticket FROM notice WHERE error = '{NOTICES_OFF}'"))
    lost = scene.records.rows(f"SELECT id FROM ticket WHERE number IN {tuple(row[0] for row in before[kept:])}")
    assert {number for (number,) in lost} <= set(quiet.values()), "each ticket that was made again says why it is quiet"
    heard = scene.heard()[messages:]
    assert heard, "what happened after the restore was told as always"
    assert not quiet.keys() & set(heard), "what was replayed was told"


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
def test_another_machine_goes_on_at_the_journals_head(scene: Scene) -> None:
    made = scene.live()
    lost = scene.records.rows(_TICKETS)
    state = scene.folder / "elsewhere" / "state"
    done = scene.restore(made, state, "head")
    assert not done.own_journal
    before = scene.records.rows(_TICKETS)
    assert 3 <= len(before) < len(lost)
    assert before == lost[: len(before)], "tickets are those of the backup"
    heard = len(scene.heard())
    scene.platform.start()
    wait_until(lambda: scene.tickets() > len(before), "a new ticket", 60)
    scene.settle()
    assert scene.records.rows(_TICKETS)[: len(before)] == before
    numbers_follow(scene.records)
    doubled = "SELECT subject_id, rule, onset FROM alert GROUP BY subject_id, rule, onset HAVING count(*) > 1"
    assert not scene.records.rows(doubled)
    assert scene.heard()[heard:], "people are told of what happens from now on"
