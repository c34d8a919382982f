"""The pulse of a process: every few seconds whether each of its roles does its work, and why not.

It is kept in the state folder for health checks (`shouwang.healthy`) and told to systemd, whose watchdog starts a
process again whose own work stands still. A server that is away is a reason too, but none for a restart.
"""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from core.clock import MINUTE, SECOND, Clock
from core.database import reading
from core.journal import Journal, Offset
from core.supervisor import notify
from shouwang.healthy import Beat, pulse_file

Sign = Callable[[int], str]
"""At a moment (µs UTC): the named reason for which a role does not do its work, empty when it does."""

EVERY = 5.0  # s
TICKS_LATE = 15 * SECOND
DETECTION_LATE = MINUTE
STORE_LATE = 5 * MINUTE
STANDSTILLS = ("journal_stands_still", "detection_behind", "senders_stand_still", "console_does_not_answer")
"""Reasons that a restart may mend."""
DATABASE_AWAY = "database_does_not_answer"

_log = structlog.get_logger()


def ingest_why(connected: bool, newest: int, now: int) -> str:
    """`newest` is the time (µs) of the last record written here: a tick is written every second."""
    if now - newest > TICKS_LATE:
        return "journal_stands_still"
    return "" if connected else "broker_not_connected"


def detection_why(reached: int, newest: int) -> str:
    """`reached` is the time (µs) of the last record that went through detection, `newest` of the journal's last."""
    if not reached:
        return "detection_not_begun"
    return "detection_behind" if newest - reached > DETECTION_LATE else ""


def store_why(unread: int | None, now: int) -> str:
    """`unread` is the time (µs) of the oldest record that is not stored, None when all are."""
    return "store_behind" if unread is not None and now - unread > STORE_LATE else ""


def dispatch_why(unsure: float | None, stuck: list[str]) -> str:
    """`unsure` as the desk clock tells it, `stuck` the senders that stand still."""
    if stuck:
        return f"senders_stand_still: {', '.join(stuck)}"
    if unsure is None:
        return "escalation_not_audited_yet"
    return "escalation_unsure" if unsure else ""


def console_why(port: int) -> str:
    """Asks the console's own health page on this machine."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=3, trust_env=False)
    except httpx.HTTPError:
        return "console_does_not_answer"
    return "" if answer.is_success else f"console_answers_{answer.status_code}"


def time_behind(journal: Journal, offset: Offset) -> int | None:
    """The time (µs) of the first record behind `offset`, None when there is none."""
    found = journal.read(offset, 1)
    return found[0].time if found else None


def newest_time(journal: Journal) -> int:
    """The time (µs) of the newest record, whichever process wrote it."""
    return time_behind(journal, Offset(0, journal.head().n - 1)) or journal.last_time()


class Pulse:
    """One worker a process. `tell` hears what systemd should."""

    def __init__(
        self,
        state: Path,
        clock: Clock,
        signs: Mapping[str, Sign],
        engine: Engine,
        tell: Callable[[str], None] = notify,
    ) -> None:
        self._state, self._clock, self._signs = state, clock, signs
        self._engine, self._tell = engine, tell

    def run(self, ending: threading.Event) -> None:
        """Feel it every few seconds until `ending`."""
        self.step()
        while not ending.wait(EVERY):
            self.step()

    def step(self) -> dict[str, Beat]:
        """Feel it once: each role's reason kept, and the watchdog fed unless a role's own work stands still."""
        now = self._clock.now()
        away = DATABASE_AWAY if self._database_is_away() else ""
        # readings are taken, journalled and acknowledged without the database
        beats = {role: Beat(now, sign(now) or ("" if role == "ingest" else away)) for role, sign in self._signs.items()}
        for role, beat in beats.items():
            self._keep(role, beat)
        reasons = [f"{role}: {beat.why}" for role, beat in beats.items() if beat.why]
        self._tell(f"STATUS={'; '.join(reasons) or 'well'}")
        if away or not any(beat.why.startswith(STANDSTILLS) for beat in beats.values()):
            self._tell("WATCHDOG=1")
        return beats

    def _database_is_away(self) -> bool:
        try:
            with reading(self._engine) as connection:
                connection.execute(select(1))
        except SQLAlchemyError:
            return True
        return False

    def _keep(self, role: str, beat: Beat) -> None:
        """On a full disk the check finds an old pulse, while systemd still hears that the work is done."""
        file = pulse_file(self._state, role)
        draft = file.with_suffix(".new")
        try:
            draft.write_text(json.dumps(beat._asdict()), encoding="utf-8")
            draft.replace(file)
        except OSError as error:
            _log.warning("pulse not kept", role=role, why=str(error))
