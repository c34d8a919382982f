"""What the doctor says of dispatch: rosters, ways, senders, holidays, and what other platforms refused."""

from sqlalchemy import Connection

from alerts.outside_refusals import refused_outside
from alerts.rosters import teams_without_roster
from alerts.routes import count_routes
from alerts.stalled import stalled
from alerts.town_view import load_town_view
from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE, local
from shouwang.settings import Settings

Said = tuple[str, bool, str, str]
"""What was looked at, whether it is good, and the words in English and Chinese."""
_AHEAD = 45 * DAY  # the State Council publishes the next year in November


def dispatch_findings(connection: Connection, settings: Settings, now: int) -> list[Said]:
    """The state of rosters, routes, senders and the calendar, and of what goes to and from other platforms."""
    town = load_town_view(connection)
    without = teams_without_roster(connection, town, now, settings.desk.policies().dispatch.shifts)
    count, newest = count_routes(connection)
    found = [_rosters(without, len(town.patrol_of)), _routes(settings, count, newest, now), _senders(connection, now)]
    found.append(calendar_finding(settings.desk.policies().calendar, now))
    return [*found, _outside(connection, now)] if settings.outside else found


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


def _senders(connection: Connection, now: int) -> Said:
    found = stalled(connection, now)
    if found is None:
        return "senders", True, "no notice waits that somebody should have sent", "没有滞留的通知"
    minutes = (now - found.since) // MINUTE
    text = f"{found.waiting} notices wait, for up to {minutes} min, and none went out in the last minute"
    return (
        *("senders", False, f"{text}: does a process with the role dispatch run?"),
        f"{found.waiting} 条通知滞留，最久 {minutes} 分钟，近一分钟没有发出：dispatch 进程在运行吗？",
    )


def calendar_finding(calendar: WorkCalendar, now: int) -> Said:
    """Whether it is known which days are worked: deadlines and routing need it before they come."""
    years = (local(now).year, local(now + _AHEAD).year)
    unknown = next((year for year in years if not calendar.knows(year)), None)
    if unknown is None:
        text = f"holidays and shifted workdays of {years[-1]} are known"
        return "calendar", True, text, f"{years[-1]} 年的放假和调休安排已知"
    text = f"the holidays of {unknown} are not known, its weekends alone count: install a newer chinesecalendar"
    zh = f"不知道 {unknown} 年的放假和调休安排，只按周末计：请升级 chinesecalendar，或写入"
    return "calendar", False, f"{text}, or write [desk.calendar.overrides]", f"{zh} [desk.calendar.overrides]"


def _outside(connection: Connection, now: int) -> Said:
    found = refused_outside(connection, now)
    if not found:
        return "outside", True, "nothing was refused in the last 7 days", "近 7 天没有被拒的往来"
    newest, count = found[0], len(found)
    hours, what = (now - newest.at) // HOUR, f"{newest.status} {newest.why}"
    outwards = newest.way == "out"
    who = f"{newest.system} refused a move" if outwards else f"we refused {newest.system}"
    whom = f"{newest.system} 拒收工单动态" if outwards else f"本平台拒收 {newest.system} 的请求"
    return (
        *("outside", False),
        f"{count} requests were refused in the last 7 days; the newest {hours} h ago: {who} with {what};"
        " the console's page of channels lists them",
        f"近 7 天有 {count} 次被拒，最近一次在 {hours} 小时前：{whom}（{what}）；见控制台“通知通道”页",
    )
