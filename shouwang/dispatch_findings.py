"""What the doctor says of dispatch: whether rosters tell who is on duty, and how distances are measured."""

from sqlalchemy import Connection

from alerts.rosters import teams_without_roster
from alerts.routes import count_routes
from alerts.town_view import load_town_view
from core.clock import HOUR
from shouwang.settings import Settings

Said = tuple[str, bool, str]
"""What was looked at, whether it is good, and the words."""


def dispatch_findings(connection: Connection, settings: Settings, now: int) -> list[Said]:
    """The state of rosters and routes."""
    town = load_town_view(connection)
    without = teams_without_roster(connection, town, now, settings.desk.policies().dispatch.shifts)
    count, newest = count_routes(connection)
    return [_rosters(without, len(town.patrol_of)), _routes(settings, count, newest, now)]


def _rosters(without: list[str], teams: int) -> Said:
    if not teams:
        return "rosters", False, "there is no patrol: every ticket goes to the stations and the desk"
    if without:
        text = f"{len(without)} of {teams} patrols have none today, such as {without[0]}: all of a grid hear by day"
        return "rosters", False, f"{text}; import duty.csv, or give people their shifts"
    return "rosters", True, f"{teams} patrols, each with a roster or shifts of its own"


def _routes(settings: Settings, count: int, newest: int | None, now: int) -> Said:
    routing = settings.routing
    if not routing.url.get_secret_value():
        return "routes", True, "straight lines: a routing service (routing.url) would tell real ways"
    if newest is None:
        return "routes", False, "the service told none yet: does a process with the role dispatch run?"
    hours = (now - newest) // HOUR
    text = f"{count} ways, told {hours} h ago"
    return "routes", hours <= 2 * routing.every_h, text
