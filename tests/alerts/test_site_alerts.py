"""From readings to tickets: what several sensors of a site say together joins the ticket of what each of them said."""

import msgspec
from sqlalchemy import select

from alerts.desk import Applied, apply_detections
from alerts.moves import clear_alert_by_hand
from alerts.tables import alert, notice, ticket, ticket_log
from core.database import reading, writing
from core.journal import Offset, RecordKind
from detectors.words import Detection, Found, Severity
from ingest.words import encode
from tests.alerts.desk_scene import Scene
from tests.detectors.linked import SPREAD, only
from tests.detectors.stage import Device, Stage, short

FIRE = msgspec.structs.replace(
    SPREAD, id="site.fire", limits={Severity.CRITICAL: 1.0}, hazard="smoke", life_safety_from=Severity.NOTICE
)
RULES = only(FIRE, also=("gas.leak",))


class Town:
    """A detector whose detections the scene's desk takes, record by record."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.stage = Stage.of(*(Device(f"PLANT-{n}", "gas", site="PLANT") for n in (1, 2)), rules=RULES)

    def take(self, found: list[Detection]) -> Applied:
        offset = Offset(0, self.stage.n)
        now = self.scene.clock.now()
        with writing(self.scene.engine) as connection:
            given = [Found(offset, now, each) for each in found]
            return apply_detections(connection, self.scene.town, RULES, "safety", given, offset, now)

    def leak(self, device: str, at: float, value: float = 30.0) -> Applied:
        return self.take([each for later in (0, 20) for each in self.stage.read(at + later, value, device)])

    def tick(self, at: float) -> Applied:
        return self.take(self.stage.tick(at))


def test_a_compound_joins_its_members_ticket_and_raises_it(scene: Scene) -> None:
    town = Town(scene)
    assert town.leak("PLANT-1", 0).tickets == 1
    town.leak("PLANT-2", 30)
    (before,) = scene.tickets
    assert (before["hazard"], before["severity"]) == ("gas", Severity.ALARM)
    told = len(scene.notices)

    assert town.tick(51).joined == 1
    (after,) = scene.tickets
    assert (after["id"], after["severity"], after["life_safety"]) == (before["id"], Severity.CRITICAL, True)
    assert after["done_by"] < before["done_by"]
    assert len(scene.notices) > told
    assert [(row["subject_kind"], row["subject_id"], row["state"], row["ticket"]) for row in scene.alerts] == [
        ("device", "PLANT-1", "open", after["id"]),
        ("device", "PLANT-2", "open", after["id"]),
        ("site", "PLANT", "open", after["id"]),
    ]
    assert scene.alerts[-1]["site"] == "PLANT"
    with reading(scene.engine) as connection:
        reasons = connection.execute(select(notice.c.ticket).distinct()).scalars().all()
        assert reasons == [connection.execute(select(ticket.c.id)).scalar_one()]


def test_an_accepted_ticket_hears_of_it_too(scene: Scene) -> None:
    town = Town(scene)
    town.leak("PLANT-1", 0)
    town.leak("PLANT-2", 30)
    scene.move("accept", "G17-01")
    told = len(scene.notices)
    town.tick(51)
    assert len(scene.notices) > told
    assert (scene.rows(ticket_log)[-1]["action"], scene.rows(ticket_log)[-1]["reason"]) == (
        "alert_joined",
        "its_members_ticket",
    )


def test_its_end_leaves_the_members_and_one_closed_by_hand_comes_again(scene: Scene) -> None:
    town = Town(scene)
    town.leak("PLANT-1", 0)
    town.leak("PLANT-2", 30)
    town.tick(51)
    number = scene.alerts[-1]["id"]
    with writing(scene.engine) as connection:
        rearm = clear_alert_by_hand(connection, number, "DISP-1", scene.clock.now(), scene.town)
    assert (rearm.kind, rearm.id, rearm.rule) == ("site", "PLANT", "site.fire")
    town.take(town.stage.apply(RecordKind.CONTROL, encode(rearm), 52))
    assert town.tick(53).reopened == 1
    assert scene.alerts[-1]["state"] == "open"

    town.take(town.stage.read(60, 0.0, "PLANT-1"))
    assert town.tick(61).cleared == 1
    with reading(scene.engine) as connection:
        still = connection.execute(select(alert.c.subject_id).where(alert.c.state == "open")).scalars().all()
    assert still == ["PLANT-2"]
    assert [short(each)[0] for each in town.stage.found if each.subject.kind == "site"] == [
        "OPENED",
        "OPENED",
        "CLEARED",
    ]
