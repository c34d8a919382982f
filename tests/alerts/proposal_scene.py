"""Hand-made histories of judged alerts, and a store that knows their readings."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, insert

from alerts.proposals import Judged
from alerts.tables import alert, ticket
from core.clock import DAY, MINUTE
from detectors.rule import Rule
from detectors.rules import RuleSet, record_version
from detectors.words import Severity
from devices import tables as town

WARNING, ALARM = Severity.WARNING, Severity.ALARM
NOW = 1_790_000_000_000_000
_NUMBERS = count(1)


def noise(**more: Any) -> Rule:
    """A rule of no danger: a warning from 60, an alarm from 90."""
    fields: dict[str, Any] = {
        "id": "noise.day",
        "kind": "threshold",
        "device_types": ("noise",),
        "limits": {WARNING: 60.0, ALARM: 90.0},
        "recovery": 55.0,
        "hazard": "noise",
        "category": "环境保护",
        "title_zh": "噪声超标",
        "title_en": "Too loud",
        "advice_zh": "带声级计",
        "advice_en": "bring a meter",
        "basis": "K",
        "metric": "leq",
        "unit": "dB",
        "dwell": MINUTE,
    }
    return Rule(**(fields | more))


def judged(label: str, worst: float | None, lasted: int = 10 * MINUTE, **more: Any) -> Judged:
    """One judged alert of its own ticket, an hour ago."""
    number = next(_NUMBERS)
    fields: dict[str, Any] = {
        "alert": number,
        "ticket": f"T{number}",
        "device": "N1",
        "site": "S1",
        "label": label,
        "cause": "works" if label == "false" else "",
        "onset": NOW - DAY,
        "at": NOW - DAY // 2,
        "lasted": lasted,
        "worst": worst,
    }
    return Judged(**(fields | more))


class History:
    """A town of three noise meters at two sites under one rule; `readings` are the peaks that were put."""

    def __init__(self, connection: Connection, *rules: Rule) -> None:
        self.peaks: dict[tuple[int, int], float] = {}
        rows = {
            town.registry: [{"one": 1, "id": "r", "version": 1, "next_series": 0}],
            town.village: [{"code": "V1", "name": "村"}],
            town.site: [{"code": c, "kind": "site", "name": c, "lng": 120.4, "lat": 31.4} for c in ("S1", "S2")],
            town.gateway: [{"code": "GW", "site": "S1"}],
            town.device: [
                {"code": c, "type": "noise", "gateway": "GW", "site": s, "state": "in_service"}
                for c, s in (("N1", "S1"), ("N2", "S1"), ("N3", "S2"))
            ],
        }
        for table, values in rows.items():
            connection.execute(insert(table), values)
        self.record(connection, *(rules or (noise(),)))

    def record(self, connection: Connection, *rules: Rule) -> int:
        """Put rules in force."""
        self.version = record_version(connection, RuleSet(0, {rule.id: rule for rule in rules}), "t", "t", NOW)
        return self.version

    def put(
        self, connection: Connection, label: str, worst: float, device: str = "N1", at: int = NOW - DAY, **more: Any
    ) -> str:
        """One alert that lasted ten minutes, its ticket closed an hour later; the ticket's number."""
        number, false = f"T{next(_NUMBERS)}", label == "false"
        row = {"number": number, "source": "iot", "title": "t", "hazard": "noise", "category": "环境保护"}
        row |= {"severity": 2, "life_safety": False, "reported_at": at, "updated_at": at, "closed_at": at + 60 * MINUTE}
        row |= {"status": "false_alarm" if false else "closed", "result": "false_alarm" if false else "handled"}
        row |= {"result_cause": more.pop("cause", "works") if false else ""}
        ticket_id = connection.execute(insert(ticket).values(**row).returning(ticket.c.id)).scalar_one()
        series = {"N1": 1, "N2": 2, "N3": 3}[device]
        onset = at + len(self.peaks)
        row = {"subject_kind": "device", "subject_id": device, "rule": "noise.day", "onset": onset, "state": "closed"}
        row |= {
            "severity": 2,
            "level": 0,
            "hazard": "noise",
            "category": "环境保护",
            "life_safety": False,
            "paged": True,
        }
        row |= dict.fromkeys(("at", "received_at", "journalled_at", "journal_n", "opened_at", "updated_at"), onset)
        row |= {"closed_at": onset + 10 * MINUTE, "series": series, "site": "S2" if device == "N3" else "S1"}
        connection.execute(insert(alert).values(**row, ticket=ticket_id, rules_version=self.version, **more))
        self.peaks[series, onset] = worst
        return number

    def readings(self, series: int, since: int, until: int) -> tuple[Sequence[int], Sequence[float]]:
        """The peak a minute behind the onset, and quiet at the end."""
        return [since, since + MINUTE, until - 1], [60.0, self.peaks[series, since], 40.0]
