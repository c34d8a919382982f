"""Tells an outside address that the platform is well: when it hears nothing any more, it rings for us."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError

from alerts.bounded import BoundedClient
from core.clock import MINUTE, SECOND, Clock
from core.journal import START, Offset

FILE = "heartbeat.json"
_TIMEOUT = 10.0  # s, in all
_JOURNAL_LATE = MINUTE
_DETECTION_LATE = 2 * MINUTE
_SENDER_LATE = 3 * MINUTE
_log = structlog.get_logger()


class Pulses:
    """When each sender last finished a turn, µs; threads write, the heartbeat reads."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}

    def expect(self, name: str, now: int) -> None:
        """A sender that starts at `now`."""
        self._at[name] = now

    def beat(self, name: str, now: int) -> None:
        """A turn ended."""
        self._at[name] = now

    def late(self, now: int) -> list[str]:
        """The senders that have not finished a turn for minutes."""
        return sorted(name for name, at in self._at.items() if now - at > _SENDER_LATE)


class Passage:
    """Whether detection goes on, whichever process has it: how far it is stands in the database that all share.

    A tick a second goes from ingest through detection, which notes its place twice a minute: one that stays the same is
    a standstill. It is judged by this process's own clock: those of two machines may differ.
    """

    def __init__(self) -> None:
        self._place: Offset | None = None
        self._since = 0

    def stands_still(self, place: Offset, now: int) -> bool:
        """`place` is what detection has applied, START while there has never been any in this database.

        >>> passage = Passage()
        >>> [passage.stands_still(Offset(0, n), at * MINUTE) for n, at in ((5, 0), (5, 3), (6, 4))]
        [False, True, False]
        """
        if place != self._place or now < self._since:
            self._place, self._since = place, now
        return place != START and now - self._since > _DETECTION_LATE


class Vitals(NamedTuple):
    """What must be well.

    `unsure`: tickets whose next step can't be counted on (None: not known yet). `journalled`: the newest record (µs)
    of the journal that this process fills, None where it fills none. `detecting`: whether what is measured comes
    through detection, here or elsewhere. `stuck`: senders that stand still.
    """

    unsure: float | None
    journalled: int | None
    detecting: bool
    stuck: list[str]


def why_silent(vitals: Vitals, now: int) -> str:
    """The named reason for not beating; empty when all is well."""
    if vitals.unsure is None:
        return "escalation_not_audited_yet"
    if vitals.unsure:
        return "escalation_unsure"
    if vitals.journalled is not None and now - vitals.journalled > _JOURNAL_LATE:
        return "journal_stands_still"
    if not vitals.detecting:
        return "detection_stands_still"
    return f"senders_stand_still: {', '.join(vitals.stuck)}" if vitals.stuck else ""


class Beat(NamedTuple):
    """How the last try ended: `why` is empty when the address took it, `taken_at` when it last did (µs; 0: never)."""

    at: int
    taken_at: int
    why: str


class Heartbeat:
    """One worker of the dispatch role. Its failure is logged and kept in the state folder for `shouwang doctor`."""

    def __init__(self, url: str, every: int, state: Path, clock: Clock, vitals: Callable[[int], Vitals]) -> None:
        self._url, self._every, self._file = url, every, state / FILE
        self._clock, self._vitals = clock, vitals
        self._taken_at = 0

    def run(self, ending: threading.Event) -> None:
        """Beat until `ending`."""
        kept = last_beat(self._file.parent)
        self._taken_at = kept.taken_at if kept else 0
        with BoundedClient(total_s=_TIMEOUT, timeout=_TIMEOUT) as client:
            while not ending.wait(self._every / SECOND):
                self.step(client, self._clock.now())

    def step(self, client: httpx.Client, now: int) -> Beat:
        """Beat once if all is well; what became of it."""
        why = self._why_silent(now) or self._tell(client)
        if why:
            _log.warning("no heartbeat", why=why)
        else:
            self._taken_at = now
        beat = Beat(now, self._taken_at, why)
        self._keep(beat)
        return beat

    def _why_silent(self, now: int) -> str:
        try:
            return why_silent(self._vitals(now), now)
        except SQLAlchemyError:
            return "database_does_not_answer"

    def _tell(self, client: httpx.Client) -> str:
        """Post; why the address did not take it. Its text never holds the address, which may be a secret."""
        try:
            answer = client.post(self._url, content=b"")
        except httpx.HTTPError as error:
            return f"address_does_not_answer: {type(error).__name__}"
        return "" if answer.is_success else f"address_refuses: HTTP {answer.status_code}"

    def _keep(self, beat: Beat) -> None:
        """On a full disk `doctor` finds an old note, while the address still hears that all is well."""
        draft = self._file.with_suffix(".new")
        try:
            draft.write_text(json.dumps(beat._asdict()), encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            _log.warning("heartbeat not kept", why=str(error))


def last_beat(state: Path) -> Beat | None:
    """How the last try ended, None when there was none or its note can't be read."""
    try:
        kept: Mapping[str, object] = json.loads((state / FILE).read_text(encoding="utf-8"))
        return Beat(int(str(kept["at"])), int(str(kept["taken_at"])), str(kept["why"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
