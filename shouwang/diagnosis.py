"""What `shouwang doctor` looks at: each finding says what is, and what to do when it is not good."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError

from alerts.auditor import audit
from console.evidence_work import can_make
from core.clock import MINUTE, SECOND, Clock
from core.database import open_engine, reading
from core.journal import JournalError
from core.sqlite_journal import SqliteJournal
from detectors.rules import RuleErrors, load_packs
from devices.device_types import CatalogueError, DeviceType, load_device_types
from devices.registry import Registry, RegistryError, load_registry
from ingest.mqtt import SILENT, BrokerAddress, refusal_of
from ingest.routes import Routes
from ingest.store import StoreError
from shouwang.channel_settings import TEMPLATED, ChannelSettings
from shouwang.dispatch_findings import dispatch_findings
from shouwang.findings import Finding, Standing
from shouwang.heartbeat import last_beat
from shouwang.migrate import Standing as Schema
from shouwang.migrate import schema_state
from shouwang.picture_work import can_draw
from shouwang.reaching import end_of_certificate
from shouwang.reasons import why_away, why_no_store
from shouwang.settings import Settings
from shouwang.stores import look_at_store
from shouwang.wiring import open_journal

_GIGABYTE = 2**30
_EXTRAS = {"wecom_app": ("cryptography", "defusedxml"), "apprise": ("apprise",)}
_HERE = ("127.0.0.1", "localhost", "::1")


def diagnose(settings: Settings, clock: Clock) -> list[Finding]:
    """Look at everything; what depends on something broken is left out."""
    findings = [_state(settings), _disk(settings), _broker(settings), _store(settings), *_channels(settings)]
    types, finding = _types(settings)
    findings += [finding, _rules(settings, types)] if types else [finding]
    schema = _database(settings)
    findings.append(schema)
    if types and schema.standing is Standing.GOOD:
        registry, finding = _registry(settings, types)
        findings.append(finding)
        if registry:
            findings += [*_registrations(registry), *_journal(settings, registry, clock)]
        findings += [_escalation(settings, clock), *_dispatch(settings, clock)]
    findings.append(heartbeat_finding(settings, clock))
    if not can_make():
        text = "tickets take no photos and have no evidence pack: pip install 'shouwang[reports]'"
        zh = "工单收不了照片，也出不了证据包：请 pip install 'shouwang[reports]'"
        findings.append(Finding("reports", Standing.DOUBTFUL, text, zh))
    return findings


def _good(what: str, text: str, zh: str = "") -> Finding:
    return Finding(what, Standing.GOOD, text, zh)


def _state(settings: Settings) -> Finding:
    folder = settings.state
    if not folder.is_dir():
        return Finding(
            "state folder",
            Standing.BROKEN,
            f"{folder} is missing: run `shouwang init`",
            f"{folder} 不存在：请运行 shouwang init",
        )
    if not os.access(folder, os.W_OK):
        return Finding(
            "state folder",
            Standing.BROKEN,
            f"{folder} is not writable for this user: mend its owner",
            f"本用户不能写 {folder}：请改正属主",
        )
    return _good("state folder", str(folder))


def _disk(settings: Settings) -> Finding:
    place = settings.state if settings.state.exists() else settings.state.absolute().parent
    free = shutil.disk_usage(place).free
    needed = settings.journal.quota_bytes + settings.journal.reserve_bytes
    text, zh = f"{free / _GIGABYTE:.1f} GB free", f"{place} 剩余 {free / _GIGABYTE:.1f} GB"
    if free < settings.journal.reserve_bytes:
        return Finding(
            "disk",
            Standing.BROKEN,
            f"{text}, less than journal.reserve_gb: free some",
            f"{zh}，少于 journal.reserve_gb：请清理",
        )
    if free < needed:
        most = f"{needed / _GIGABYTE:.0f} GB"
        text, zh = f"{text}; the journal alone may grow to {most}", f"{zh}；仅日志就可能长到 {most}，请扩盘"
        return Finding("disk", Standing.DOUBTFUL, text, zh)
    return _good("disk", text, zh)


def _broker(settings: Settings) -> Finding:
    url = settings.broker.get_secret_value()
    if urlsplit(url).scheme == "embedded":
        text = "embedded: for trying out; in service use Mosquitto or EMQX"
        return Finding("broker", Standing.DOUBTFUL, text, "内置，只供试用：正式运行请用 Mosquitto 或 EMQX")
    address = BrokerAddress.parse(url)
    place = f"{address.host}:{address.port}"
    try:
        if address.tls:
            end_of_certificate(address.host, address.port, address.ca)
        refusal = refusal_of(address)
    except OSError as error:
        why = why_away(error)
        text, zh = f"{place} can't be used: {why.en}", f"{place} 连不上：{why.zh}"
        return Finding("broker", Standing.BROKEN, text, zh)
    if refusal == SILENT:
        why = why_away(TimeoutError())
        return Finding("broker", Standing.BROKEN, f"{place}: {why.en}", f"{place} {why.zh}")
    if refusal:
        text = f"{place} does not let {address.username or 'nobody'} in: {refusal}"
        zh = f"{place} 不让 {address.username or '匿名'} 连（{refusal}）"
        zh = f"{zh}：请改正 broker 里的用户名和口令，或 broker_password"
        text = f"{text}; mend the user and password in `broker`, or broker_password"
        return Finding("broker", Standing.BROKEN, text, zh)
    if not address.tls and address.host not in _HERE:
        text = f"{address.host}: passwords cross the network in clear; use mqtts"
        return Finding("broker", Standing.DOUBTFUL, text, f"{address.host}：口令在网上明文传输，请改用 mqtts")
    return _good("broker", f"{place} lets the platform in", f"{place} 允许平台连接")


def _store(settings: Settings) -> Finding:
    try:
        text = look_at_store(settings)
    except StoreError as error:
        why = why_no_store(error)
        return Finding("store", Standing.BROKEN, f"{error}: {why.en}", f"{why.zh}（{error}）")
    address = settings.influx
    if address and urlsplit(address.base).scheme == "http" and urlsplit(address.base).hostname not in _HERE:
        zh = f"{text}：令牌在网上明文传输，请改用 influx+https"
        text = f"{text}: the token crosses the network in clear; use influx+https"
        return Finding("store", Standing.DOUBTFUL, text, zh)
    return _good("store", text)


def _channels(settings: Settings) -> Iterator[Finding]:
    if not settings.channels:
        text = "none: nobody would be told; add one under [channels.NAME]"
        yield Finding("channels", Standing.BROKEN, text, "一个也没有，谁也通知不到：请在 [channels.名称] 下添加")
    for name, channel in settings.channels.items():
        yield Finding(f"channel {name}", *_channel(channel, settings.demo))
    if not can_draw() and any(channel.kind.startswith("wecom_") for channel in settings.channels.values()):
        text, zh = "notices go without curves: pip install", "通知不带曲线图：请 pip install"
        yield Finding("pictures", Standing.DOUBTFUL, f"{text} 'shouwang[reports]'", f"{zh} 'shouwang[reports]'")


def _channel(channel: ChannelSettings, demo: bool) -> tuple[Standing, str, str]:
    wanted = () if channel.kind == "wecom_app" and not channel.calls_back else _EXTRAS.get(channel.kind, ())
    missing = [module for module in wanted if find_spec(module) is None]
    if missing:
        lacks = ", ".join(missing)
        text = f"{channel.kind} lacks {lacks}: pip install 'shouwang[notify]'"
        return Standing.BROKEN, text, f"{channel.kind} 缺少 {lacks}：请 pip install 'shouwang[notify]'"
    match channel.kind:
        case "wecom_app" if not channel.calls_back:
            text = "its cards have no buttons until token and aes_key of its callback are set"
            return Standing.DOUBTFUL, text, "未设置回调的 token 和 aes_key，卡片上没有按钮"
        case kind if kind in TEMPLATED and not channel.takes_receipts:
            text = f"{kind}: nothing proves arrival until token is set for its receipts"
            return Standing.DOUBTFUL, text, f"{kind}：未设置回执的 token，无法证实送达"
        case "email" if channel.mail_server.security == "none":
            text = "email: handed in without encryption; use smtps:// or smtp://"
            return Standing.DOUBTFUL, text, "邮件未加密投递，请用 smtps:// 或 smtp://"
        case "phone" if not demo:
            text = "shows messages on a page of the console only: add wecom_robot or webhook for service"
            return Standing.DOUBTFUL, text, "消息只显示在控制台的网页上：正式运行请添加 wecom_robot 或 webhook 等"
    return Standing.GOOD, channel.kind, ""


def _types(settings: Settings) -> tuple[dict[str, DeviceType], Finding]:
    try:
        types = load_device_types(settings.device_types)
    except CatalogueError as error:
        return {}, Finding("device types", Standing.BROKEN, str(error), f"文件有误，请改正：{error}")
    return types, _good("device types", ", ".join(sorted(types)))


def _rules(settings: Settings, types: dict[str, DeviceType]) -> Finding:
    try:
        count = len(load_packs(settings.rules, types).rules)
        return _good("rules", f"{count} rules", f"{count} 条")
    except RuleErrors as error:
        return Finding("rules", Standing.BROKEN, str(error), f"文件有误，请改正后运行 shouwang rules check：{error}")


def database_is_missing(settings: Settings) -> bool:
    """Whether the database would be a file, and there is none."""
    url = make_url(settings.database_url)
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


def _database(settings: Settings) -> Finding:
    if database_is_missing(settings):
        return Finding(
            "database", Standing.BROKEN, "there is none yet: run `shouwang init`", "还没有：请运行 shouwang init"
        )
    engine = open_engine(settings.database_url)
    try:
        schema = schema_state(engine)
    except DatabaseError as error:
        said = str(error.orig).partition("\n")[0]
        if engine.dialect.name == "sqlite":
            return Finding("database", Standing.BROKEN, f"can't be read ({said})", f"无法读取（{said}）")
        zh = f"没有应答（{said}）：它在运行吗？地址、用户、口令对吗？"
        text = f"does not answer ({said}): does it run, are its address, user and password right?"
        return Finding("database", Standing.BROKEN, text, zh)
    finally:
        engine.dispose()
    if schema.standing is Schema.CURRENT:
        name = engine.dialect.name
        return _good("database", f"{name}, schema {schema.revision}", f"{name}，结构版本 {schema.revision}")
    text = f"schema {schema.revision} is {schema.standing.value}, this program's is {schema.wanted}"
    zh, do = f"结构版本 {schema.revision}，本程序要 {schema.wanted}", "升级程序，或恢复升级前的备份"
    if schema.standing in (Schema.OLDER, Schema.EMPTY):
        text, do = f"{text}: stop the platform and run `shouwang upgrade`", "停下平台，运行 shouwang upgrade"
    return Finding("database", Standing.BROKEN, text, f"{zh}：请{do}")


def _registry(settings: Settings, types: dict[str, DeviceType]) -> tuple[Registry | None, Finding]:
    engine = open_engine(settings.database_url)
    try:
        registry = load_registry(engine, types)
    except RegistryError as error:
        return None, Finding("town", Standing.BROKEN, str(error), f"读不出来：{error}")
    finally:
        engine.dispose()
    gateways = registry.town_gateways
    text = f"{len(gateways)} gateways, {registry.town_devices} devices"
    zh = f"网关 {len(gateways)} 台，设备 {registry.town_devices} 台"
    if not registry.town_devices:
        zh = f"{zh}：请运行 shouwang town import 目录"
        return registry, Finding("town", Standing.DOUBTFUL, f"{text}: `shouwang town import FOLDER`", zh)
    locked = sum(not gateway.password_hash for gateway in gateways)
    if locked:
        text += f"; {locked} gateways have no password and can't connect: `shouwang town password GATEWAY`"
        zh += f"；{locked} 台网关没有口令，连不上：请运行 shouwang town password 网关"
        return registry, Finding("town", Standing.DOUBTFUL, text, zh)
    return registry, _good("town", text, zh)


def _registrations(registry: Registry) -> Iterator[Finding]:
    """Gateways whose format, options or topics can't work: nothing but version 1 is heard of them."""
    for gateway, problem in Routes(registry).problems.items():
        yield Finding(f"gateway {gateway}", Standing.BROKEN, problem, f"登记有误，请改正：{problem}")


def _escalation(settings: Settings, clock: Clock) -> Finding:
    """What the auditor would say now."""
    engine = open_engine(settings.database_url)
    try:
        with reading(engine) as connection:
            found = audit(connection, clock.now(), settings.desk.policies())
    finally:
        engine.dispose()
    if not found.findings:
        zh = f"{found.tickets} 件在办工单，下一步都有着落"
        return _good("escalation", f"{found.tickets} live tickets, each with its next step", zh)
    some = ", ".join(f"{each.number} ({each.why})" for each in found.findings[:5])
    text = f"{len(found.findings)} of {found.tickets} live tickets have no next step to be counted on: {some}"
    zh = f"{found.tickets} 件在办工单中有 {len(found.findings)} 件的下一步没有着落：{some}；dispatch 进程在运行吗？"
    return Finding("escalation", Standing.BROKEN, f"{text}; does a process with the role dispatch run?", zh)


def _dispatch(settings: Settings, clock: Clock) -> Iterator[Finding]:
    engine = open_engine(settings.database_url)
    try:
        with reading(engine) as connection:
            found = dispatch_findings(connection, settings, clock.now())
    finally:
        engine.dispose()
    for what, good, text, zh in found:
        yield Finding(what, Standing.GOOD if good else Standing.DOUBTFUL, text, zh)


def heartbeat_finding(settings: Settings, clock: Clock) -> Finding:
    """Whether the outside address hears the platform."""
    heartbeat = settings.heartbeat
    if not heartbeat.url.get_secret_value():
        text = "none: nobody notices when the platform stands still; set heartbeat.url to an outside watch"
        zh = "未设置：平台停了没人知道。请把 heartbeat.url 设为一个外部监视地址"
        return Finding("heartbeat", Standing.DOUBTFUL, text, zh)
    last = last_beat(settings.state)
    if last is None:
        return Finding(
            "heartbeat", Standing.DOUBTFUL, "not sent yet: the role dispatch sends it", "还没有发过：由 dispatch 发送"
        )
    age = (clock.now() - last.taken_at) // MINUTE if last.taken_at else None
    taken = "never taken" if age is None else f"last taken {age} min ago"
    zh = "从未送达" if age is None else f"{age} 分钟前送达"
    if last.why:
        return Finding("heartbeat", Standing.BROKEN, f"{last.why}; {taken}", f"{zh}；没有发出：{last.why}")
    late = clock.now() - last.at > 3 * heartbeat.every_s * SECOND
    if late:
        return Finding("heartbeat", Standing.BROKEN, f"{taken}: is it running?", f"{zh}：dispatch 在运行吗？")
    return _good("heartbeat", taken, zh)


def _journal(settings: Settings, registry: Registry, clock: Clock) -> Iterator[Finding]:
    try:
        journal = open_journal(settings, registry.id)
    except JournalError as error:
        yield Finding(
            "journal", Standing.BROKEN, str(error), f"打不开，请从同一备份恢复日志和数据库，或把日志移开：{error}"
        )
        return
    yield from _looked_at(journal, clock)
    journal.close()


def _looked_at(journal: SqliteJournal, clock: Clock) -> Iterator[Finding]:
    use, last, now = journal.use(), journal.last_time(), clock.now()
    standing = Standing.DOUBTFUL if use.share >= 0.8 else Standing.GOOD
    yield Finding("journal", standing, f"{use.share:.0%} of its quota", f"占配额 {use.share:.0%}")
    if last > now + MINUTE:
        text = "the journal was written later than now: the machine's clock went back"
        yield Finding("clock", Standing.BROKEN, text, "日志里的时间比现在晚：本机时钟被拨回，请查时间同步")
    elif last and now - last > MINUTE:
        minutes = (now - last) // MINUTE
        text = f"nothing was journalled for {minutes} min: is it running?"
        yield Finding("platform", Standing.DOUBTFUL, text, f"{minutes} 分钟没有写日志：它在运行吗？")
    dropped = {name: count for name, count in use.dropped_readings.items() if count}
    if dropped:
        zh = f"到配额后丢弃了读数：{dropped}；请恢复读数库，或加大 journal.quota_gb"
        yield Finding("journal", Standing.DOUBTFUL, f"readings dropped at the quota: {dropped}", zh)
