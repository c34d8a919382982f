"""`shouwang status`: how far everybody is, and what is open."""

from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection, func, select

from alerts.stalled import Stalled, stalled
from alerts.tables import alert, notice, ticket
from core.clock import DAY, SECOND, SystemClock, local
from core.database import reading
from core.journal import Offset
from core.sqlite_journal import SqliteJournal
from devices.device_types import load_device_types
from devices.gateways import list_gateways
from devices.registry import load_registry
from grafana.words import Words
from ingest.clocks import OFF
from ingest.dead_letters import totals
from ingest.gateway_figures import list_gateway_reports
from shouwang.cli_broker import broker_address
from shouwang.diagnosis import database_is_missing, heartbeat_finding
from shouwang.reasons import why_away
from shouwang.settings import Settings
from shouwang.short_session import dropped_messages
from shouwang.terminal import ConfigOption, LanguageOption, fail, out, settings_from
from shouwang.wiring import CONSUMERS, open_database, open_journal

_GIGABYTE = 2**30
_SHOWN = 8  # gateways and reasons


def status(config: ConfigOption = None, language: LanguageOption = "") -> None:
    """How far each consumer is, how full the journal is, and what is open."""
    settings = settings_from(config)
    if database_is_missing(settings):
        raise fail(
            "还没有数据库：请运行 shouwang init，或用 --config 指明设置文件。\n"
            "there is no database yet: run `shouwang init`, or name the settings file with --config"
        )
    words = Words("en" if (language or settings.language) == "en" else "zh")
    engine, clock = open_database(settings), SystemClock()
    registry_id = load_registry(engine, load_device_types(settings.device_types)).id
    table = Table(show_header=False)
    journal = open_journal(settings, registry_id)
    for row in _of_journal(journal, words):
        table.add_row(*row)
    journal.close()
    table.add_row(words.either("消息代理", "broker"), _broker(settings, words))
    with reading(engine) as connection:
        for row in _of_desk(connection, words, clock.now()):
            table.add_row(*row)
    _, what, text = heartbeat_finding(settings, clock).said(words.language)
    table.add_row(what, escape(text))
    engine.dispose()
    out.print(table)


def _of_journal(journal: SqliteJournal, words: Words) -> list[tuple[str, str]]:
    use, head = journal.use(), journal.head()
    at = journal.last_time()
    last = f"{local(at):%Y-%m-%d %H:%M:%S}" if at else words.either("从未", "never")
    consumers = words.family("consumer")
    behind = ", ".join(f"{consumers[name]} {_behind(head, journal.acknowledged(name))}" for name in CONSUMERS)
    dropped = ", ".join(f"{consumers.get(name, name)} {count}" for name, count in use.dropped_readings.items() if count)
    size, none = f"{use.bytes / _GIGABYTE:.2f} GB", words.either("无", "none")
    zh, en = (
        f"{size}，占配额 {use.share:.0%}，{use.records} 条",
        f"{size}, {use.share:.0%} of its quota, {use.records} records",
    )
    return [
        (words.either("日志", "journal"), words.either(zh, en)),
        (words.either("最后一条", "last record"), last),
        (words.either("尚未读取（条）", "behind (records)"), behind),
        (words.either("丢弃的读数", "dropped readings"), dropped or none),
    ]


def _of_desk(connection: Connection, words: Words, now: int) -> list[tuple[str, str]]:
    open_alerts = connection.scalar(select(func.count()).select_from(alert).where(alert.c.state == "open")) or 0
    tickets = select(ticket.c.status, func.count()).group_by(ticket.c.status)
    notices = select(notice.c.state, func.count()).where(notice.c.created_at > now - DAY).group_by(notice.c.state)
    shut = [row.code for row in list_gateways(connection) if row.disabled_at]
    off = {row.gateway: -row.clock_off_s for row in list_gateway_reports(connection) if row.clock_off_s}
    wrong = [f"{gateway} {by:+.0f} s" for gateway, by in off.items() if abs(by) * SECOND >= OFF]
    reasons = words.family("reject_reason")
    refused = [
        f"{row.gateway} {reasons.get(row.reason, row.reason)} {row.messages}" for row in totals(connection, now - DAY)
    ]
    states = {name.removeprefix("state_"): said for name, said in words.family("platform").items()}
    rows = [
        (("停用的网关", "gateways shut out"), shut),
        (("时钟不准", "clocks off"), wrong),
        (("未恢复的报警", "open alerts"), [str(open_alerts)]),
        (("工单", "tickets"), _counted(connection.execute(tickets).all(), words.family("status"))),
        (("通知，24 小时", "notices, 24 h"), _counted(connection.execute(notices).all(), states)),
        (("没有发出的通知", "notices not sent"), _not_sent(stalled(connection, now), words)),
        (("拒收，24 小时", "rejects, 24 h"), refused[:_SHOWN]),
    ]
    return [(words.either(*what), ", ".join(found) or words.either("无", "none")) for what, found in rows]


def _counted(rows: object, names: dict[str, str]) -> list[str]:
    return [f"{names.get(code, code)} {count}" for code, count in rows]  # type: ignore[attr-defined]


def _not_sent(still: Stalled | None, words: Words) -> list[str]:
    if still is None:
        return []
    since = f"{local(still.since):%Y-%m-%d %H:%M:%S}"
    zh = f"{still.waiting} 条，自 {since} 起：没有进程在发送"
    return [words.either(zh, f"{still.waiting} since {since}: no sender sends")]


def _broker(settings: Settings, words: Words) -> str:
    """Whether the broker dropped messages that gateways thought safe."""
    address = broker_address(settings)
    if address is None:
        return words.either("内置", "embedded")
    try:
        dropped = dropped_messages(address)
    except OSError as error:
        why = why_away(error)
        zh, en = f"[red]连不上[/]：{escape(why.zh)}", f"[red]can't be used[/]: {escape(why.en)}"
        return words.either(zh, en)
    if dropped is None:
        return words.either("不告知丢弃了多少", "does not tell what it dropped")
    if not dropped:
        return words.either("启动以来没有丢弃", "dropped nothing since it started")
    zh = f"[red]启动以来丢弃了 {dropped} 条消息[/]：排队超过上限；shouwang broker export --hold-mb 写出更大的上限"
    en = (
        f"[red]dropped {dropped} messages since it started[/]: more waited for a client than it may hold for one; "
        "`shouwang broker export --hold-mb` writes settings that hold more"
    )
    return words.either(zh, en)


def _behind(head: Offset, offset: Offset) -> int:
    return max(0, head.n - offset.n)
