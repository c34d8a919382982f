"""What holds alerts, as one transaction knows it: the quiets and the alerts that inhibit, read when first asked for."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from sqlalchemy import Connection, select

from alerts.inhibition import Inhibitor, Source, Sources, may_be_source, may_be_target
from alerts.matching import labels_of
from alerts.quiet_decisions import Hold, Quiet, decide_hold
from alerts.quieting import active_quiets, end_one_shots
from alerts.rows import rows
from alerts.tables import alert
from alerts.town_view import TownView
from alerts.words import PLATFORM, Row
from core.clock import MINUTE
from detectors.rule import Rule

GRACE = 5 * MINUTE
"""µs for which what an alert inhibited stays held after its end: a gateway's devices need time to speak again."""
_NO_SOURCES = Sources(())
_NEEDED = ("id", "rule", "hazard", "category", "severity", "subject_kind", "subject_id", "site", "grid")


class Holding:
    """Decides on alerts of one transaction, and keeps up with what that transaction opens and closes."""

    def __init__(
        self,
        connection: Connection,
        town: TownView,
        rules: Mapping[str, Rule],
        inhibitors: Sequence[Inhibitor],
        now: int,
    ) -> None:
        self._connection, self._town, self._rules = connection, town, rules
        self._inhibitors, self._now = inhibitors, now

    @cached_property
    def quiets(self) -> list[Quiet]:
        """What may hold an alert at this moment."""
        return active_quiets(self._connection, self._now)

    @cached_property
    def sources(self) -> Sources:
        """The open alerts that may inhibit others; what was only recorded inhibits nothing."""
        rules = [code for code, rule in self._rules.items() if may_be_source(self._inhibitors, _of_rule(rule))]
        if not rules:
            return Sources(self._inhibitors)
        columns = [alert.c[name] for name in (*_NEEDED, "held", "held_by")]
        opened = select(*columns).where(alert.c.state == "open", alert.c.paged, alert.c.rule.in_(rules))
        return Sources(self._inhibitors, [self._source(row) for row in rows(self._connection, opened)])

    def decide(self, about: Row) -> Hold | None:
        """What holds an alert now; one that is only recorded needs no hold."""
        grave = about["life_safety"]
        if not about["paged"] or (grave and not self.quiets):
            return None
        labels = labels_of(about, self._town, self._rules)
        asked = not grave and may_be_target(self._inhibitors, labels)
        return decide_hold(labels, grave, self.quiets, self.sources if asked else _NO_SOURCES, self._now, about["id"])

    def may_hold_others(self, about: Row) -> bool:
        """Whether an alert, once it is open, could be what holds another one."""
        return may_be_source(self._inhibitors, labels_of(about, self._town, self._rules))

    def lingering(self, about: Row) -> Hold | None:
        """The hold of an alert that was inhibited, for a while after what inhibited it has ended."""
        if about["held"] != "inhibited" or about["life_safety"] or not about["paged"]:
            return None
        ended = select(alert.c.closed_at).where(alert.c.id == about["held_by"], alert.c.state == "closed")
        closed_at = self._connection.execute(ended).scalar()
        if closed_at is None or not 0 <= self._now - closed_at < GRACE:
            return None
        return Hold("inhibited", about["held_by"], "time_to_recover", closed_at + GRACE)

    def opened(self, about: Row) -> None:
        """An alert opened, was paged, or its hold changed."""
        if about["paged"] and "sources" in self.__dict__:
            self.sources.add(self._source(about))

    def closed(self, about: Row, who: str = PLATFORM) -> None:
        """An alert closed: it inhibits nothing that opens from now on, and its one-shot shelf is over."""
        if "sources" in self.__dict__:
            self.sources.drop(about["id"])
        if any(quiet.one_shot for quiet in self.quiets):
            labels = labels_of(about, self._town, self._rules)
            over = end_one_shots(self._connection, self.quiets, labels, who, self._now)
            self.quiets[:] = [quiet for quiet in self.quiets if quiet.id not in over]

    def _source(self, row: Row) -> Source:
        by = row["held_by"] if row["held"] == "inhibited" else None
        return Source(row["id"], labels_of(row, self._town, self._rules), by)


def _of_rule(rule: Rule) -> dict[str, str]:
    return {"rule": rule.id, "kind": rule.kind, "hazard": rule.hazard, "category": rule.category}
