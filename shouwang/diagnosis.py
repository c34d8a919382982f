"""What `shouwang doctor` looks at: each finding says what is, and what to do when it is not good."""

import os
import shutil
from collections.abc import Iterator
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
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
from ingest.mqtt import BrokerAddress, refusal_of
from ingest.routes import Routes
from ingest.store import StoreError
from shouwang.channel_settings import TEMPLATED, ChannelSettings
from shouwang.dispatch_findings import dispatch_findings
from shouwang.heartbeat import last_beat
from shouwang.migrate import Standing as Schema
from shouwang.migrate import schema_state
from shouwang.picture_work import can_draw
from shouwang.settings import Settings
from shouwang.stores import look_at_store
from shouwang.wiring import open_journal

_GIGABYTE = 2**30
_EXTRAS = {"wecom_app": ("cryptography", "defusedxml"), "apprise": ("apprise",)}
_HERE = ("127.0.0.1", "localhost", "::1")


class Standing(Enum):
    """How a finding stands."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BROKEN = "broken"


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    standing: Standing
    text: str


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
    findings.append(_heartbeat(settings, clock))
    if not can_make():
        text = "tickets take no photos and have no evidence pack: pip install 'shouwang[reports]'"
        findings.append(Finding("reports", Standing.DOUBTFUL, text))
    return findings


def _good(what: str, text: str) -> Finding:
    return Finding(what, Standing.GOOD, text)


def _state(settings: Settings) -> Finding:
    folder = settings.state
    if not folder.is_dir():
        return Finding("state folder", Standing.BROKEN, f"{folder} is missing: run `shouwang init`")
    if not os.access(folder, os.W_OK):
        return Finding("state folder", Standing.BROKEN, f"{folder} is not writable for this user: mend its owner")
    return _good("state folder", str(folder))


def _disk(settings: Settings) -> Finding:
    place = settings.state if settings.state.exists() else settings.state.absolute().parent
    free = shutil.disk_usage(place).free
    needed = settings.journal.quota_bytes + settings.journal.reserve_bytes
    text = f"{free / _GIGABYTE:.1f} GB free"
    if free < settings.journal.reserve_bytes:
        return Finding("disk", Standing.BROKEN, f"{text}, less than journal.reserve_gb: free some")
    if free < needed:
        return Finding("disk", Standing.DOUBTFUL, f"{text}; the journal alone may grow to {needed / _GIGABYTE:.0f} GB")
    return _good("disk", text)


def _broker(settings: Settings) -> Finding:
    url = settings.broker.get_secret_value()
    if urlsplit(url).scheme == "embedded":
        return Finding("broker", Standing.DOUBTFUL, "embedded: for trying out; in service use Mosquitto or EMQX")
    try:
        address = BrokerAddress.parse(url)
        refusal = refusal_of(address)
    except ValueError as error:
        return Finding("broker", Standing.BROKEN, str(error))
    except OSError as error:
        return Finding("broker", Standing.BROKEN, f"{address.host}:{address.port} does not answer: {error}")
    if refusal:
        text = f"{address.host}:{address.port} does not let {address.username or 'nobody'} in: {refusal}"
        return Finding("broker", Standing.BROKEN, f"{text}; mend the user and password in `broker`")
    if not address.tls and address.host not in _HERE:
        return Finding("broker", Standing.DOUBTFUL, f"{address.host}: passwords cross the network in clear; use mqtts")
    return _good("broker", f"{address.host}:{address.port} lets the platform in")


def _store(settings: Settings) -> Finding:
    try:
        text = look_at_store(settings)
    except StoreError as error:
        return Finding("store", Standing.BROKEN, str(error))
    address = settings.influx
    if address and urlsplit(address.base).scheme == "http" and urlsplit(address.base).hostname not in _HERE:
        return Finding("store", Standing.DOUBTFUL, f"{text}: the token crosses the network in clear; use influx+https")
    return _good("store", text)


def _channels(settings: Settings) -> Iterator[Finding]:
    if not settings.channels:
        yield Finding("channels", Standing.BROKEN, "none: nobody would be told; add one under [channels.NAME]")
    for name, channel in settings.channels.items():
        standing, text = _channel(channel, settings.demo)
        yield Finding(f"channel {name}", standing, text)
    if not can_draw() and any(channel.kind.startswith("wecom_") for channel in settings.channels.values()):
        yield Finding("pictures", Standing.DOUBTFUL, "notices go without curves: pip install 'shouwang[reports]'")


def _channel(channel: ChannelSettings, demo: bool) -> tuple[Standing, str]:
    wanted = () if channel.kind == "wecom_app" and not channel.calls_back else _EXTRAS.get(channel.kind, ())
    missing = [module for module in wanted if find_spec(module) is None]
    if missing:
        return Standing.BROKEN, f"{channel.kind} lacks {', '.join(missing)}: pip install 'shouwang[notify]'"
    match channel.kind:
        case "webhook" if not channel.secret.get_secret_value():
            return Standing.BROKEN, "a webhook needs a secret to sign with"
        case "wecom_app" if not channel.calls_back:
            return Standing.DOUBTFUL, "its cards have no buttons until token and aes_key of its callback are set"
        case kind if kind in TEMPLATED and not channel.takes_receipts:
            return (
                Standing.DOUBTFUL,
                f"{kind}: nothing proves arrival until token is set for its receipts",
            )
        case "email" if channel.mail_server.security == "none":
            return Standing.DOUBTFUL, "email: handed in without encryption; use smtps:// or smtp://"
        case "phone" if not demo:
            text = "shows messages on a page of the console only: add wecom_robot or webhook for service"
            return Standing.DOUBTFUL, text
    return Standing.GOOD, channel.kind


def _types(settings: Settings) -> tuple[dict[str, DeviceType], Finding]:
    try:
        types = load_device_types(settings.device_types)
    except CatalogueError as error:
        return {}, Finding("device types", Standing.BROKEN, str(error))
    return types, _good("device types", ", ".join(sorted(types)))


def _rules(settings: Settings, types: dict[str, DeviceType]) -> Finding:
    try:
        return _good("rules", f"{len(load_packs(settings.rules, types).rules)} rules")
    except RuleErrors as error:
        return Finding("rules", Standing.BROKEN, str(error))


def database_is_missing(settings: Settings) -> bool:
    """Whether the database would be a file, and there is none."""
    url = make_url(settings.database_url)
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


def _database(settings: Settings) -> Finding:
    if database_is_missing(settings):
        return Finding("database", Standing.BROKEN, "there is none yet: run `shouwang init`")
    engine = open_engine(settings.database_url)
    try:
        schema = schema_state(engine)
    except DatabaseError as error:
        return Finding("database", Standing.BROKEN, f"does not answer: {error.orig}")
    finally:
        engine.dispose()
    if schema.standing is Schema.CURRENT:
        return _good("database", f"{engine.dialect.name}, schema {schema.revision}")
    text = f"schema {schema.revision} is {schema.standing.value}, this program's is {schema.wanted}"
    return Finding("database", Standing.BROKEN, text)


def _registry(settings: Settings, types: dict[str, DeviceType]) -> tuple[Registry | None, Finding]:
    engine = open_engine(settings.database_url)
    try:
        registry = load_registry(engine, types)
    except RegistryError as error:
        return None, Finding("town", Standing.BROKEN, str(error))
    finally:
        engine.dispose()
    gateways = registry.town_gateways
    text = f"{len(gateways)} gateways, {registry.town_devices} devices"
    if not registry.town_devices:
        return registry, Finding("town", Standing.DOUBTFUL, f"{text}: `shouwang town import FOLDER`")
    locked = sum(not gateway.password_hash for gateway in gateways)
    if locked:
        text += f"; {locked} gateways have no password and can't connect: `shouwang town password GATEWAY`"
        return registry, Finding("town", Standing.DOUBTFUL, text)
    return registry, _good("town", text)


def _registrations(registry: Registry) -> Iterator[Finding]:
    """Gateways whose format, options or topics can't work: nothing but version 1 is heard of them."""
    for gateway, problem in Routes(registry).problems.items():
        yield Finding(f"gateway {gateway}", Standing.BROKEN, problem)


def _escalation(settings: Settings, clock: Clock) -> Finding:
    """What the auditor would say now."""
    engine = open_engine(settings.database_url)
    try:
        with reading(engine) as connection:
            found = audit(connection, clock.now(), settings.desk.policies())
    finally:
        engine.dispose()
    if not found.findings:
        return _good("escalation", f"{found.tickets} live tickets, each with its next step")
    some = ", ".join(f"{each.number} ({each.why})" for each in found.findings[:5])
    text = f"{len(found.findings)} of {found.tickets} live tickets have no next step to be counted on: {some}"
    return Finding("escalation", Standing.BROKEN, f"{text}; does a process with the role dispatch run?")


def _dispatch(settings: Settings, clock: Clock) -> Iterator[Finding]:
    engine = open_engine(settings.database_url)
    try:
        with reading(engine) as connection:
            found = dispatch_findings(connection, settings, clock.now())
    finally:
        engine.dispose()
    for what, good, text in found:
        yield Finding(what, Standing.GOOD if good else Standing.DOUBTFUL, text)


def _heartbeat(settings: Settings, clock: Clock) -> Finding:
    heartbeat = settings.heartbeat
    if not heartbeat.url.get_secret_value():
        text = "none: nobody notices when the platform stands still; set heartbeat.url to an outside watch"
        return Finding("heartbeat", Standing.DOUBTFUL, text)
    last = last_beat(settings.state)
    if last is None:
        return Finding("heartbeat", Standing.DOUBTFUL, "not sent yet: the role dispatch sends it")
    age = (clock.now() - last.taken_at) // MINUTE if last.taken_at else None
    taken = "never taken" if age is None else f"last taken {age} min ago"
    if last.why:
        return Finding("heartbeat", Standing.BROKEN, f"{last.why}; {taken}")
    late = clock.now() - last.at > 3 * heartbeat.every_s * SECOND
    return Finding("heartbeat", Standing.BROKEN, f"{taken}: is it running?") if late else _good("heartbeat", taken)


def _journal(settings: Settings, registry: Registry, clock: Clock) -> Iterator[Finding]:
    try:
        journal = open_journal(settings, registry.id)
    except JournalError as error:
        yield Finding("journal", Standing.BROKEN, str(error))
        return
    yield from _looked_at(journal, clock)
    journal.close()


def _looked_at(journal: SqliteJournal, clock: Clock) -> Iterator[Finding]:
    use, last, now = journal.use(), journal.last_time(), clock.now()
    standing = Standing.DOUBTFUL if use.share >= 0.8 else Standing.GOOD
    yield Finding("journal", standing, f"{use.share:.0%} of its quota")
    if last > now + MINUTE:
        yield Finding("clock", Standing.BROKEN, "the journal was written later than now: the machine's clock went back")
    elif last and now - last > MINUTE:
        yield Finding(
            "platform", Standing.DOUBTFUL, f"nothing was journalled for {(now - last) // MINUTE} min: is it running?"
        )
    dropped = {name: count for name, count in use.dropped_readings.items() if count}
    if dropped:
        yield Finding("journal", Standing.DOUBTFUL, f"readings dropped at the quota: {dropped}")
