"""A desk whose gateway has silent devices, whose sites can lose power, and where alerts are quieted."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Engine, insert

from alerts import quieting, tables
from alerts.desk import Applied, apply_detections
from alerts.matching import Matcher
from alerts.moves import clear_alert_by_hand
from alerts.quiet_limits import Asked
from alerts.releasing import release_due
from alerts.settings import DEFAULTS, DeskSettings
from alerts.town_view import load_town_view
from alerts.words import Row
from core.clock import HOUR
from core.database import writing
from core.journal import Offset
from detectors.rules import RuleSet
from detectors.words import Detection, Found, Severity
from devices import tables as town
from ingest.words import Rearm
from tests.alerts import desk_scene
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, Scene, rule

OF_KIND = {"silence": "silence", "gateway": "gateway", "frozen": "frozen"}
RULES = RuleSet(
    1,
    {
        **{code: replace(each, kind=OF_KIND.get(code, each.kind)) for code, each in desk_scene.RULES.rules.items()},
        "frozen": replace(rule("frozen", "device"), kind="frozen"),
        "power": rule("power", "power"),
        "rise": rule("rise", "electrical", Severity.CRITICAL),
    },
)
SITES = 30


class QuietScene(Scene):
    """The desk's scene with these rules, a second gateway, and `SITES` more sites 1 km apart with a device each."""

    def __init__(self, engine: Engine, settings: DeskSettings = DEFAULTS) -> None:
        super().__init__(engine, settings)
        with writing(engine) as connection:
            sites = [
                {
                    "code": f"S{n}",
                    "kind": "site",
                    "name": f"S{n}",
                    "lng": LNG + 0.01 * n,
                    "lat": LAT - 2_000 * METRE_NORTH,
                }
                for n in range(SITES)
            ]
            connection.execute(insert(town.site), [{**site, "grid": "G17"} for site in sites])
            connection.execute(insert(town.gateway), [{"code": "GW-0002", "site": "S0"}])
            device = {"type": "gas", "gateway": "GW-0002", "state": "in_service"}
            connection.execute(
                insert(town.device), [{**device, "code": f"S{n}-1", "site": f"S{n}"} for n in range(SITES)]
            )
            connection.execute(
                insert(tables.contact),
                [{"owner_kind": "station", "owner": "ST1", "channel": "robot", "address": "group"}],
            )
            self.town = load_town_view(connection)

    def detection(self, device: str, *args: Any, **more: Any) -> Detection:
        found = super().detection(device, *args, **more)
        if device in self.town.sites:
            found = replace(found, subject=found.subject._replace(kind="site"))
        return found

    def apply(self, found: list[Found], consumer: str = "safety") -> Applied:
        with writing(self.engine) as connection:
            return self.apply_in(connection, found, consumer)

    def apply_in(self, connection: Connection, found: list[Found], consumer: str = "safety") -> Applied:
        upto, now = Offset(0, self.n), self.clock.now()
        return apply_detections(connection, self.town, RULES, consumer, found, upto, now, self.settings)

    def release(self) -> int:
        with writing(self.engine) as connection:
            return self.release_in(connection)

    def release_in(self, connection: Connection) -> int:
        return release_due(connection, self.town, RULES, self.clock.now(), self.settings)

    def shelve(
        self, alert: int = 1, span: int = HOUR, who: str = "DISP-1", role: Any = "dispatcher", **more: Any
    ) -> Row:
        with writing(self.engine) as connection:
            now = self.clock.now()
            return quieting.shelve(connection, alert, who, role, now + span, "换探头", now, **more)

    def quiet(
        self,
        *matchers: Matcher,
        kind: Any = "silence",
        span: int = HOUR,
        begin: int = 0,
        role: Any = "leader",
        **more: Any,
    ) -> Row:
        now = self.clock.now()
        asked = Asked(kind, tuple(matchers), now + begin, now + begin + span, "检修", **more)
        with writing(self.engine) as connection:
            return quieting.set_quiet(connection, asked, "LEAD-1", role, now)

    def end(self, number: int, role: Any = "dispatcher") -> Row:
        with writing(self.engine) as connection:
            return quieting.end_quiet(connection, number, "DISP-1", role, self.clock.now())

    def clear(self, alert: int) -> Rearm:
        with writing(self.engine) as connection:
            return clear_alert_by_hand(connection, alert, "DISP-1", self.clock.now(), self.town, self.settings)

    def alert_of(self, subject: str) -> Row:
        """The newest alert of a subject."""
        return [alert for alert in self.alerts if alert["subject_id"] == subject][-1]

    def holds(self) -> Sequence[tuple[str, str | None]]:
        """Each open alert's subject and what holds it."""
        return [(alert["subject_id"], alert["held"]) for alert in self.alerts if alert["state"] == "open"]
