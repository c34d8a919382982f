"""Who is on duty now, by grid, station and desk; and the grids of which no roster tells."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from alerts.duty import DutyMoment, DutySpan, DutyState
from alerts.responders import LivePosition, Responder, duty_state
from alerts.rosters import Rosters, teams_without_roster
from alerts.tables import duty
from alerts.town_view import Person, TownView
from console.access import Dispatcher, Given
from console.api import answer
from console.board import names_of
from console.dossier import Row, rows
from console.pages import pages_of
from console.services import Services
from core.clock import DAY, MINUTE
from core.database import reading
from devices import tables as places

router = APIRouter()
FRESH = 30 * MINUTE
"""µs for which a position weighs in dispatch."""
_ROWS = 300
_KINDS = ("leader", "dispatcher", "station", "team")
_Code = Annotated[str, Query(max_length=20)]


class OnPost(NamedTuple):
    """One person, whether they are on duty and until when by the roster, and what they have in hand."""

    person: Person
    state: DutyState
    until: int | None
    load: int
    channels: tuple[str, ...]
    position: LivePosition | None


class Post(NamedTuple):
    """A grid's patrol, a station or the desk. `rosterless`: nothing tells who is on duty, so all hear by day."""

    kind: str
    code: str
    names: tuple[str, str]
    people: list[OnPost]
    rosterless: bool = False
    village: str = ""

    @property
    def on(self) -> int:
        """How many are on duty."""
        return sum(each.state.on for each in self.people)

    @property
    def on_duty(self) -> list[OnPost]:
        """Those who are on duty."""
        return [each for each in self.people if each.state.on]


@router.get("/roster", include_in_schema=False)
def roster_page(request: Request, services: Given, _: Dispatcher, village: _Code = "", post: _Code = "") -> Response:
    """Every post in a line with who is on duty now, those without anybody first.

    Of a village whoever is on duty, of one post everybody, with the roster's rows of the next two days.
    """
    with reading(services.engine) as connection:
        now = services.clock.now()
        posts = posts_now(connection, services, now)
        shown = [each for each in posts if village in ("", each.village) and post in ("", each.code)]
        villages = names_of(connection, places.village, sorted({each.village for each in posts}))
        planned = _planned(connection, now, shown if village or post else None)
    context: dict[str, Any] = {
        "posts": shown,
        "all_posts": sorted(posts, key=lambda each: (_KINDS.index(each.kind), each.code)),
        "villages": villages,
        "village": village,
        "post": post,
        "empty": [each for each in posts if not each.on],
        "rosterless": [each for each in posts if each.rosterless],
        "planned": planned,
        "people": services.town().people,
        "fresh": FRESH,
        "shift": DutyMoment(now, services.desk.dispatch.shifts).shift,
    }
    return pages_of(request).render(request, "roster.html", **context)


@router.get("/api/v1/roster", tags=["console"])
def roster(services: Given, _: Dispatcher) -> Response:
    """Everybody by post and whether they are on duty; without phone numbers and addresses."""
    with reading(services.engine) as connection:
        now = services.clock.now()
        posts = posts_now(connection, services, now)
    told = [
        {
            **{"kind": each.kind, "code": each.code, "on": each.on, "rosterless": each.rosterless},
            "people": [
                {"code": one.person.code, "on": one.state.on, "reason": one.state.reason, "load": one.load}
                for one in each.people
            ],
        }
        for each in posts
    ]
    return answer({"now": now, "posts": told})


def posts_now(connection: Connection, services: Services, now: int) -> list[Post]:
    """The posts of the town, those where nobody is on duty first."""
    town, hours = services.town(), services.desk.dispatch.shifts
    rosters = Rosters(connection, town.contacts, now)
    rosters.read(town.people.values())
    without = set(teams_without_roster(connection, town, now, hours))

    def people(who: Iterable[Person]) -> list[OnPost]:
        found = [_on_post(each, now, duty_state(each, now, hours)) for each in rosters.of(who)]
        return sorted(found, key=lambda each: (not each.state.on, each.person.code))

    posts = [
        Post(
            "team",
            code,
            _grid_names(town, team.grid),
            people(town.patrol_of.get(code, ())),
            code in without,
            town.grids[team.grid].village if team.grid in town.grids else "",
        )
        for code, team in town.teams.items()
    ]
    posts += [
        Post("station", code, (each.name, each.name_en or each.name), people(town.officers_of.get(code, ())))
        for code, each in town.stations.items()
    ]
    posts += [Post(role, role, (role, role), people(town.in_role.get(role, ()))) for role in ("leader", "dispatcher")]
    return sorted(posts, key=lambda each: each.on > 0)


def _on_post(each: Responder, now: int, state: DutyState) -> OnPost:
    until = _until(each.roster, now) if state.reason == "rostered" else None
    channels = tuple(contact.channel for contact in each.contacts)
    return OnPost(each.person, state, until, each.load, channels, each.position)


def _until(spans: Iterable[DutySpan], now: int) -> int | None:
    return max((span.ends_at for span in spans if span.starts_at <= now < span.ends_at), default=None)


def _grid_names(town: TownView, code: str) -> tuple[str, str]:
    grid = town.grids.get(code)
    return (grid.name, grid.name_en or grid.name) if grid else (code, code)


def _planned(connection: Connection, now: int, posts: Sequence[Post] | None) -> list[Row]:
    """The rows of the next two days, of the people of some posts where these are given."""
    query = select(duty).where(duty.c.ends_at > now, duty.c.starts_at < now + 2 * DAY)
    if posts is not None:
        query = query.where(duty.c.person.in_([one.person.code for each in posts for one in each.people]))
    return rows(connection, query.order_by(duty.c.starts_at, duty.c.person).limit(_ROWS))
