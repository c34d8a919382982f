"""What the doctor says of dispatch: rosters, distances, whether anybody sends, and what other platforms refused."""

from sqlalchemy import Connection

from alerts.outside_refusals import refused_outside
from alerts.rosters import teams_without_roster
from alerts.routes import count_routes
from alerts.stalled import stalled
from alerts.town_view import load_town_view
from core.clock import HOUR, MINUTE
from shouwang.settings import Settings

Said = tuple[str, bool, str]
"""What was looked at, whether it is good, and the words."""


def dispatch_findings(connection: Connection, settings: Settings, now: int) -> list[Said]:
    """The state of rosters, routes and senders, and of what goes to and fro between us and other platforms."""
    town = load_town_view(connection)
    without = teams_without_roster(connection, town, now, settings.desk.policies().dispatch.shifts)
    count, newest = count_routes(connection)
    found = [_rosters(without, len(town.patrol_of)), _routes(settings, count, newest, now), _senders(connection, now)]
    return [*found, _outside(connection, now)] if settings.outside else found


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


def _senders(connection: Connection, now: int) -> Said:
    found = stalled(connection, now)
    if found is None:
        return "senders", True, "no notice waits that somebody should have sent"
    text = f"{found.waiting} notices wait, for up to {(now - found.since) // MINUTE} min, and none went out in the last"
    return "senders", False, f"{text} minute: does a process with the role dispatch run?"


def _outside(connection: Connection, now: int) -> Said:
    found = refused_outside(connection, now)
    if not found:
        return "outside", True, "nothing was refused in the last 7 days"
    newest = found[0]
    who = f"{newest.system} refused a move" if newest.way == "out" else f"we refused {newest.system}"
    text = f"{len(found)} requests were refused in the last 7 days; the newest {(now - newest.at) // HOUR} h ago"
    return (
        "outside",
        False,
        f"{text}: {who} with {newest.status} {newest.why}; the console's page of channels lists them",
    )
