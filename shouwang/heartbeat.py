"""Tells an outside address that the platform is well: when it hears nothing any more, it rings for us."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import structlog

from core.clock import MINUTE, SECOND, Clock

FILE = "heartbeat.json"
_TIMEOUT = 10.0  # s
_JOURNAL_LATE = MINUTE
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


class Vitals(NamedTuple):
    """What must be well: tickets whose next step can't be counted on (None: not known yet), the journal's newest
    record (µs), and senders that stand still."""

    unsure: float | None
    journalled: int
    stuck: list[str]


def why_silent(vitals: Vitals, now: int) -> str:
    """The named reason for not beating; empty when all is well."""
    if vitals.unsure is None:
        return "escalation_not_audited_yet"
    if vitals.unsure:
        return "escalation_unsure"
    if now - vitals.journalled > _JOURNAL_LATE:
        return "journal_stands_still"
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
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client:
            while not ending.wait(self._every / SECOND):
                self.step(client, self._clock.now())

    def step(self, client: httpx.Client, now: int) -> Beat:
        """Beat once if all is well; what became of it."""
        why = why_silent(self._vitals(now), now) or self._tell(client)
        if why:
            _log.warning("no heartbeat", why=why)
        else:
            self._taken_at = now
        beat = Beat(now, self._taken_at, why)
        self._keep(beat)
        return beat

    def _tell(self, client: httpx.Client) -> str:
        """Post; why the address did not take it. Its text never holds the address, which may be a secret."""
        try:
            answer = client.post(self._url, content=b"")
        except httpx.HTTPError as error:
            return f"address_does_not_answer: {type(error).__name__}"
        return "" if answer.is_success else f"address_refuses: HTTP {answer.status_code}"

    def _keep(self, beat: Beat) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(beat._asdict()), encoding="utf-8")
        draft.replace(self._file)


def last_beat(state: Path) -> Beat | None:
    """How the last try ended, None when there was none or its note can't be read."""
    try:
        kept: Mapping[str, object] = json.loads((state / FILE).read_text(encoding="utf-8"))
        return Beat(int(str(kept["at"])), int(str(kept["taken_at"])), str(kept["why"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
