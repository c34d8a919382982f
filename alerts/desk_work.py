"""One transaction of the desk: what it works with and what it has done so far."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from alerts.changes import Happened, record_changes
from alerts.escalation_rows import schedule
from alerts.holding import Holding
from alerts.notices import enqueue
from alerts.request_rows import drop_moot
from alerts.rosters import Rosters
from alerts.settings import DeskSettings
from alerts.timers import follow
from alerts.town_view import TownView
from alerts.words import Recipient, Row
from detectors.rules import Rule


@dataclass
class DeskWork:
    """The caller's transaction, the town, the rules and the moment; `done` counts, `happened` waits for its ids.

    `occasion` tells apart the notices of what people may do to a ticket again. `storms` are those under way by hazard,
    as far as they were asked for; `closing` is what is left to the transaction's end.
    """

    connection: Connection
    town: TownView
    now: int
    settings: DeskSettings
    rules: Mapping[str, Rule] = field(default_factory=dict)
    occasion: int = 0
    happened: list[Happened] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    changed: set[int] = field(default_factory=set)
    storms: dict[str, Row | None] = field(default_factory=dict)
    growing: dict[int, Any] = field(default_factory=dict)
    closing: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def holding(self) -> Holding:
        """What holds alerts at this moment."""
        return Holding(self.connection, self.town, self.rules, self.settings.inhibitors, self.now)

    @cached_property
    def rosters(self) -> Rosters:
        """What is known of people at this moment."""
        return Rosters(self.connection, self.town.contacts, self.now)

    def alert_changed(self, alert: Row, action: str) -> None:
        """Tell pages what an alert is now."""
        kept = ("state", "severity", "level", "life_safety", "paged", "hazard", "site", "ticket", "held")
        told = {"action": action, **{name: alert[name] for name in kept}}
        told |= {
            name: alert[name] for name in ("value", "limit") if alert[name] is not None and math.isfinite(alert[name])
        }
        self.happened.append(Happened("alert", alert["id"], told))

    def ticket_changed(self, ticket: Row, action: str) -> None:
        """Tell pages what a ticket is now; every change comes by here, so that its next step is scheduled."""
        self.changed.add(ticket["id"])
        kept = (
            *("number", "status", "severity", "life_safety", "hazard", "site", "team", "station"),
            *("category", "grid", "done_by"),
        )
        self.happened.append(
            Happened("ticket", ticket["id"], {"action": action, **{name: ticket[name] for name in kept}})
        )

    def notify(self, ticket: Row, alert: Row | None, recipients: Sequence[Recipient], cause: str, due_at: int) -> None:
        """Put notices into the outbox, in the words of the alert's rule."""
        rule = self.rules.get(alert["rule"]) if alert else None
        self.done["notices"] += enqueue(
            self.connection,
            ticket,
            alert,
            recipients,
            cause,
            self.now,
            due_at,
            rule=rule,
            occasion=self.occasion,
            quiet_hours=self.settings.quiet_hours,
        )

    def finish(self) -> None:
        """Schedule what follows for the tickets that changed, give ids to what happened: the transaction's last."""
        for close in self.closing:
            close()
        self.closing.clear()
        self.growing.clear()
        follow(self.connection, self.changed, self.now, self.settings)
        drop_moot(self.connection, self.changed, self.now)
        schedule(self.connection, self.changed, self.now, self.settings)
        self.changed.clear()
        record_changes(self.connection, self.now, self.happened)
        self.happened.clear()
