"""What the doctor says of dispatch: whether rosters tell who is on duty, and how distances are measured."""

from sqlalchemy import Connection

from alerts.rosters import teams_without_roster
from alerts.routes import count_routes
from alerts.town_view import load_town_view
from core.clock import HOUR
from shouwang.settings import Settings

Said = tuple[str, bool, str, str]
"""What was looked at, whether it is good, and the words in English and Chinese."""


def dispatch_findings(connection: Connection, settings: Settings, now: int) -> list[Said]:
    """The state of rosters and routes."""
    town = load_town_view(connection)
    without = teams_without_roster(connection, town, now, settings.desk.policies().dispatch.shifts)
    count, newest = count_routes(connection)
    return [_rosters(without, len(town.patrol_of)), _routes(settings, count, newest, now)]


def _rosters(without: list[str], teams: int) -> Said:
    if not teams:
        text = "there is no patrol: every ticket goes to the stations and the desk"
        return "rosters", False, text, "没有巡查队：所有工单都派到执法站和调度台"
    if without:
        text = f"{len(without)} of {teams} patrols have none today, such as {without[0]}: all of a grid hear by day"
        zh = f"{teams} 个巡查队中有 {len(without)} 个今天没有排班，如 {without[0]}：白天会通知全队"
        text, zh = f"{text}; import duty.csv, or give people their shifts", f"{zh}；请导入 duty.csv 或设置班次"
        return "rosters", False, text, zh
    text = f"{teams} patrols, each with a roster or shifts of its own"
    return "rosters", True, text, f"{teams} 个巡查队，都有排班或班次"


def _routes(settings: Settings, count: int, newest: int | None, now: int) -> Said:
    routing = settings.routing
    if not routing.url.get_secret_value():
        text = "straight lines: a routing service (routing.url) would tell real ways"
        return "routes", True, text, "按直线距离：设置 routing.url 可按实际道路"
    if newest is None:
        text = "the service told none yet: does a process with the role dispatch run?"
        return "routes", False, text, "路径服务还没有给出路程：dispatch 进程在运行吗？"
    hours = (now - newest) // HOUR
    text = f"{count} ways, told {hours} h ago"
    return "routes", hours <= 2 * routing.every_h, text, f"{count} 条，{hours} 小时前更新"
