"""What people do in the two minutes: they work off the tickets, report one by hand; and a gateway sends nonsense."""

from paho.mqtt import publish
from sqlalchemy import Engine, select

from alerts.manual_tickets import Report, report
from alerts.moves import move
from alerts.tables import person, ticket
from alerts.town_view import load_town_view
from core.clock import Clock
from core.database import reading, writing

DISPATCHER = "D-01"
_BY_HAND = ("verify", "register", "dispatch")


def work_off(engine: Engine, clock: Clock) -> None:
    """A patroller of each team accepts, arrives and handles what its team was sent; a report takes the whole way."""
    with writing(engine) as connection:
        site = connection.scalar(select(ticket.c.site).where(ticket.c.site.is_not(None)).limit(1))
        town = load_town_view(connection)
        made = report(connection, town, Report("路面破损", "城市管理", site=site), clock.now(), "patrol", DISPATCHER)
        for action in _BY_HAND:
            move(connection, town, made["id"], action, DISPATCHER, clock.now())
    with reading(engine) as connection:
        members = {row.team: row.code for row in connection.execute(select(person.c.team, person.c.code)) if row.team}
        sent = connection.execute(select(ticket.c.id, ticket.c.team).where(ticket.c.status == "dispatched")).all()
    for row in sent:
        if who := members.get(row.team):
            with writing(engine) as connection:
                for action in ("accept", "arrive", "handle"):
                    move(connection, town, row.id, action, who, clock.now())
    with writing(engine) as connection:
        for action in ("check", "close"):
            move(connection, town, made["id"], action, DISPATCHER, clock.now())


def send_nonsense(port: int, gateway: str, password: str) -> None:
    """A message that no gate takes."""
    sign_in = {"username": gateway, "password": password}
    publish.single(f"sw/v1/{gateway}/telemetry", b"nonsense", qos=1, hostname="127.0.0.1", port=port, auth=sign_in)


LOUD = """\
overrides:
  - {rule: noise.level, device: NOI-0004, limits: {warning: 21}, recovery: 20, dwell: 1s}
  - {rule: noise.level_night, device: NOI-0004, limits: {warning: 21}, recovery: 20, dwell: 1s}
"""
"""Rules by which one street is always too loud, so that something of the environment is exceeded."""
