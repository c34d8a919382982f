"""The desk clock: what time alone brings about on the desk, once a second, and the auditor, once a minute."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import structlog
from sqlalchemy import Connection, Engine

from alerts.auditor import MENDED, Audit, audit, mend
from alerts.escalating import run_ticket
from alerts.escalation_rows import due_tickets
from alerts.settings import DEFAULTS, DeskSettings
from alerts.town_view import TownView
from core.clock import MINUTE, Clock
from core.database import reading, writing
from core.metrics import Metrics
from detectors.rules import RuleSet

Chore = Callable[[Connection, TownView, RuleSet, int, DeskSettings], object]
"""What is due at a moment (µs UTC), in a transaction of its own; it holds the desk itself."""

_log = structlog.get_logger()
_INTERVAL = 1.0  # s
_AUDIT_EVERY = MINUTE
_STALE = 3 * MINUTE
_AT_ONCE = 200


class DeskClock:
    """One worker a process; several may share a database: each holds the desk and looks again before it acts.

    A ticket or chore that fails keeps no other from its turn; the failure is raised last, to the supervisor.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        metrics: Metrics,
        town: Callable[[], TownView],
        rules: Callable[[], RuleSet],
        settings: DeskSettings = DEFAULTS,
        chores: Sequence[Chore] = (),
    ) -> None:
        self._engine, self._clock, self._metrics = engine, clock, metrics
        self._town, self._rules, self._settings = town, rules, settings
        self._chores = chores
        self._began: int | None = None
        self._adopted = False
        self._next_audit = 0
        self._stale_since: int | None = None
        self.last_audit: Audit | None = None

    def run(self, ending: threading.Event) -> None:
        """Once a second until `ending`."""
        self.adopt(self._clock.now())
        while not ending.wait(_INTERVAL):
            self.step(self._clock.now())

    def adopt(self, now: int) -> int:
        """Bring every ticket's next step in line with this program and its settings; how many there were.

        A ticket of a version without escalation has its clock begin now. Only at the start of a process: later it is
        the auditor's to find and to tell.
        """
        self._began = now if self._began is None else self._began
        if self._adopted:
            return 0
        with reading(self._engine) as connection:
            found = [each for each in audit(connection, now, self._settings).findings if each.why in MENDED]
        if found:
            with writing(self._engine) as connection:
                mend(connection, found, now, self._settings)
            _log.info("next steps brought in line with the settings", tickets=len(found))
        self._adopted = True
        return len(found)

    def step(self, now: int) -> None:
        """Do what is due at `now`."""
        with ExitStack() as turns:  # last in, first out
            if not 0 < self._next_audit - now <= _AUDIT_EVERY:  # due, or the clock was set back
                turns.callback(self.audit, now)
            for chore in reversed(self._chores):
                turns.callback(self._do, chore, now)
            turns.callback(self._escalate, now)

    def audit(self, now: int) -> Audit:
        """Look whether every live ticket's next step is scheduled; say and mend what is not."""
        self._next_audit = now + _AUDIT_EVERY
        with reading(self._engine) as connection:
            found = audit(connection, now, self._settings)
        self.last_audit, self._stale_since = found, None
        self._metrics.escalation_findings.set(len(found.findings))
        self._metrics.escalation_audited.set(now / 1_000_000)
        if found.findings:
            _log.error(
                "tickets whose next step is not scheduled",
                tickets={each.number: each.why for each in found.findings[:20]},
                found=len(found.findings),
                of=found.tickets,
            )
            with writing(self._engine) as connection:
                mend(connection, found.findings, now, self._settings)
        return found

    def unsure(self) -> float | None:
        """How many tickets' next steps can't be counted on, by the last audit; None while nothing is known.

        Where nobody has looked for minutes, and for one more since that was seen, at least one can't: a clock that
        was set forward is no standstill.
        """
        now = self._clock.now()
        since = self.last_audit.at if self.last_audit else self._began
        found = float(len(self.last_audit.findings)) if self.last_audit else None
        if since is None or now - since <= _STALE:
            self._stale_since = None
            return found
        self._stale_since = self._stale_since or now
        return max(1.0, found or 0.0) if now - self._stale_since >= MINUTE else found

    def _escalate(self, now: int) -> None:
        with reading(self._engine) as connection:
            numbers = due_tickets(connection, now, _AT_ONCE)
        if not numbers:
            return
        town, rules = self._town(), self._rules()
        with ExitStack() as turns:
            for number in reversed(numbers):
                turns.callback(self._do, partial(_run_ticket, number), now, town, rules)

    def _do(self, chore: Chore, now: int, town: TownView | None = None, rules: RuleSet | None = None) -> None:
        town, rules = town or self._town(), rules or self._rules()
        with writing(self._engine) as connection:
            chore(connection, town, rules, now, self._settings)


def _run_ticket(
    number: int, connection: Connection, town: TownView, rules: RuleSet, now: int, settings: DeskSettings
) -> None:
    run_ticket(connection, town, rules, number, now, settings)
