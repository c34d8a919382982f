"""The one composition root: settings in, a platform of started and stopped parts out, in a straight line."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import Event as Signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, select

from alerts.categories import ensure_categories
from alerts.event_writer import EventWriter
from console.services import Restored, Services, no_figures
from core.clock import DAY, HOUR, SECOND, Clock
from core.database import open_engine, reading, writing
from core.journal import Entry, Offset, RecordKind
from core.lifecycle import Cleanup, Lifecycle, Part, Worker
from core.metrics import Metrics
from core.sqlite_journal import Quota, SqliteJournal
from detectors.compiling import compile_kernels
from devices.canary import reserve_canary
from devices.device_types import DeviceType, load_device_types
from devices.enrolment import ensure_registry
from devices.registry import Registry, load_registry
from ingest.dead_letter_writer import DeadLetterWriter, Replays
from ingest.disabling import Disabling
from ingest.gate import Gate
from ingest.gateway_figures import GatewayFigures
from ingest.mqtt import BrokerAddress, BrokerSession, Inbox, Receipt
from ingest.pipeline import Outlets, Pipeline
from ingest.registry_reader import RegistryReader
from ingest.rollups import RollUps
from ingest.store import ReadingStore
from ingest.tables import applied
from ingest.words import Control, RegistryChanged, RulesChanged, encode
from ingest.writer import StoreWriter
from shouwang.anomalies import anomaly_watch
from shouwang.at_work import name_of
from shouwang.backtests import Backtests
from shouwang.canary import Canary, Hop, Passage, Standing
from shouwang.channel_facts import channel_facts
from shouwang.cutting import Standings
from shouwang.dispatch_role import DispatchRole
from shouwang.doors import doors_of
from shouwang.escalating import DeskClock
from shouwang.housekeeping import Housekeeping
from shouwang.learning import Learning
from shouwang.metrics_page import MetricsPage
from shouwang.migrate import SchemaRefused, ensure_schema
from shouwang.present import registry_version, rules_of, town_of
from shouwang.pulse import (
    Pulse,
    Sign,
    console_why,
    detection_why,
    dispatch_why,
    ingest_why,
    newest_time,
    store_why,
    time_behind,
)
from shouwang.restored import last_restore, refuse_half_restored
from shouwang.role_lock import RoleLocks
from shouwang.rules_at_start import Refused, rules_at_start
from shouwang.settings import ROLES, Role, Settings
from shouwang.stores import kept_for, open_points, open_readings
from shouwang.unannounced import Unannounced
from shouwang.watch import SafetyWatch
from shouwang.web import WebServer

if TYPE_CHECKING:
    from ingest.embedded_broker import Check

CONSUMERS = (
    Pipeline.consumer,
    StoreWriter.consumer,
    SafetyWatch.consumer,
    DeadLetterWriter.consumer,
    RollUps.consumer,
)
"""Whom the journal keeps records for."""
_WAIT_FOR_STORE = frozenset({StoreWriter.consumer, RollUps.consumer})
"""Those that a store that is down holds up: at the journal's quota they lose what is oldest, and nobody else."""


@dataclass
class Platform:
    """Everything that was put together. `lifecycle` starts and stops it; the rest is there to be looked at."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    engine: Engine
    journal: SqliteJournal
    types: Mapping[str, DeviceType]
    lifecycle: Lifecycle
    store: ReadingStore | None = None
    session: BrokerSession | None = None
    web: WebServer | None = None
    watch: SafetyWatch | None = None
    desk_clock: DeskClock | None = None
    canary: Canary | None = None

    def control(self, control: Control) -> None:
        """Journal a control record."""
        append_control(self.journal, control, self.clock)


def open_database(settings: Settings, name: str = "") -> Engine:
    """The database, made if it is empty, with its registry. Raises SchemaRefused for another schema than this one."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_engine(settings.database_url, name)
    try:
        ensure_schema(engine)
    except SchemaRefused:
        engine.dispose()
        raise
    with writing(engine) as connection:
        ensure_registry(connection)
        ensure_categories(connection)
        if settings.canary_s:
            reserve_canary(connection)
    return engine


def open_journal(settings: Settings, registry_id: str) -> SqliteJournal:
    """The journal of the state folder. Raises RegistryMismatch."""
    kept = settings.journal
    quota = Quota(kept.quota_bytes, kept.reserve_bytes, int(kept.replay_hours * HOUR), _WAIT_FOR_STORE)
    return SqliteJournal(settings.state / "journal.db", registry_id, CONSUMERS, quota)


def append_control(journal: SqliteJournal, control: Control, clock: Clock) -> None:
    """Write one control record."""
    journal.append([Entry(RecordKind.CONTROL, encode(control))], clock.now())


def build(
    settings: Settings, clock: Clock, roles: Collection[Role] = ROLES, gateways: "Check | None" = None
) -> Platform:
    """Put a platform together for these roles; nothing runs until its lifecycle starts.

    Raises PartFailed when another process runs one of the roles on the same state folder. `gateways` checks credentials
    at the embedded broker instead of the registered ones.
    """
    types = load_device_types(settings.device_types)
    refuse_half_restored(settings.state)
    engine = open_database(settings, name_of(roles))
    locks = RoleLocks(settings.state)
    locks.take(roles)
    metrics = Metrics()
    registry = load_registry(engine, types)
    journal = open_journal(settings, registry.id)
    began = rules_at_start(engine, settings.rules, types, clock.now())
    parts: list[Part] = [
        Cleanup("role locks", locks.release),
        Cleanup("database", engine.dispose),
        Cleanup("journal", journal.close),
    ]
    platform = Platform(settings, clock, metrics, engine, journal, types, Lifecycle(parts))
    wire = _Wiring(platform, parts, lambda: load_registry(engine, types), gateways, Refused(engine, began))
    if "store" in roles or (settings.influx and not {"console", "dispatch"}.isdisjoint(roles)):
        wire.open_store("store" in roles)
    wire.begin(registry, began.version)
    if "detect" in roles:
        wire.detect()
    if "store" in roles:
        wire.write_store()
    if "dispatch" in roles:
        wire.dispatch(takes_readings="ingest" in roles)
    wire.keep_house(platform.store if "store" in roles else None)
    if "console" in roles:
        wire.serve_console(live="ingest" in roles)
    if "ingest" in roles:
        wire.ingest(registry)
    wire.feel(roles)
    if settings.metrics.port:
        parts.append(MetricsPage(metrics.registry, settings.metrics.host, settings.metrics.port))
    return platform


@dataclass
class _Wiring:
    """One step a role; each adds its parts in the order in which they start."""

    platform: Platform
    parts: list[Part]
    registry: Callable[[], Registry]
    gateways: "Check | None"
    refused: Refused

    def _work(self, name: str, work: Callable[[Signal], None]) -> None:
        failures = self.platform.metrics.task_failures
        self.parts.append(Worker(name, work, lambda task: failures.labels(task).inc()))

    def begin(self, registry: Registry, rules: int) -> None:
        """Go on behind what any consumer has applied; journal the versions this process starts with, for a replay."""
        p = self.platform
        with reading(p.engine) as connection:
            known = connection.scalar(select(func.max(applied.c.n))) or 0
        stored = p.store.applied().n if p.store else 0
        p.journal.start_after(Offset(0, max(known, stored)))
        self.platform.control(RegistryChanged(registry.version))
        self.platform.control(RulesChanged(rules))

    def open_store(self, written_here: bool) -> None:
        store = open_readings(self.platform.settings, self.platform.engine, written_here)
        self.platform.store = store
        self.parts.append(Cleanup("readings store", store.close))

    def detect(self) -> None:
        p = self.platform
        compile_kernels()  # before the broker is asked for a reading
        p.watch = SafetyWatch(
            p.journal,
            p.engine,
            p.clock,
            p.metrics,
            p.settings.state / "safety.snapshot",
            self.registry,
            p.settings.desk.policies(),
            restored.quiet_upto if (restored := last_restore(p.settings.state)) else 0,
        )
        self._work("safety", p.watch.run)
        self._work("unannounced rules", Unannounced(p.engine, p.control, self._followed).run)
        self._work("dead letters", DeadLetterWriter(p.journal, p.engine, p.clock).run)
        if p.settings.anomaly.enabled:
            self._work("anomalies", anomaly_watch(p.settings, p.journal, p.engine, p.clock, self.registry).run)

    def write_store(self) -> None:
        p = self.platform
        if p.store:
            rows = 20_000 if p.settings.influx else 10_000  # of a server's lines, each with about four values: 5,000
            self._work("store", StoreWriter(p.journal, p.store, p.clock, p.metrics, rows).run)
            self._work("roll-ups", RollUps(p.journal, p.store, p.clock, kept_for(p.settings)).run)
            self._work("backtests", Backtests(p.engine, p.store, p.settings, p.clock).run)
            self._work("learning", Learning(p.engine, p.store, p.clock, p.settings.learning.limits).run)
        if p.settings.influx:
            points = open_points(p.settings.influx)
            self.parts.append(Cleanup("event points", points.close))
            self._work("event points", EventWriter(p.engine, points, p.clock).run)

    def dispatch(self, takes_readings: bool) -> None:
        p = self.platform
        journal = p.journal if takes_readings else None
        role = DispatchRole(p.settings, p.engine, journal, p.clock, p.metrics, p.store)
        p.desk_clock, self.stuck_senders = role.desk_clock, role.stuck_senders
        for name, work in role.works():
            self._work(name, work)

    def keep_house(self, store: ReadingStore | None) -> None:
        p = self.platform
        keep = p.settings.keep_days * DAY
        detected = self._detected if p.watch else None
        reserve = p.settings.journal.reserve_bytes
        self.house = Housekeeping(
            p.journal,
            p.engine,
            store,
            p.clock,
            p.metrics,
            detected,
            keep,
            reserve,
            self._beats,
            p.settings.canary_s,
            self.refused.count,
            self._unsure,
        )
        self._work("housekeeping", self.house.run)

    def _followed(self) -> int:
        watch = self.platform.watch
        return watch.rules.version if watch else 0

    def _detected(self) -> int:
        watch = self.platform.watch
        return watch.reached if watch else 0

    def _unsure(self) -> float | None:
        clock = self.platform.desk_clock
        return clock.unsure() if clock else None

    def _beats(self) -> Standing | None:
        return self.platform.canary.standing() if self.platform.canary else None

    def feel(self, roles: Collection[Role]) -> None:
        """The signs of the roles that this process has."""
        signs: dict[str, Sign] = {role: self._sign(role) for role in ROLES if role in roles}
        self._work("pulse", Pulse(self.platform.settings.state, self.platform.clock, signs, self.platform.engine).run)

    def _sign(self, role: Role) -> Sign:
        p = self.platform
        journal, session, web = p.journal, p.session, p.web
        match role:
            case "ingest":
                return lambda now: ingest_why(session is not None and session.connected, journal.last_time(), now)
            case "detect":
                return lambda _: detection_why(self._detected(), newest_time(journal))
            case "store":
                return lambda now: store_why(time_behind(journal, journal.acknowledged(StoreWriter.consumer)), now)
            case "dispatch":
                return lambda now: dispatch_why(self._unsure(), self.stuck_senders(now))
            case "console":
                return lambda _: console_why(web.port if web else 0)

    def serve_console(self, live: bool) -> None:
        """`live`: readings are counted in this process, so that the console can tell their rate."""
        from console.app import create_app  # noqa: PLC0415 - half of the time that any other command takes to start

        p = self.platform
        services = Services(
            engine=p.engine,
            store=p.store,
            clock=p.clock,
            types=p.types,
            town=town_of(p.engine),
            rules=rules_of(p.engine),
            rule_folders=p.settings.rules,
            journal_control=p.control,
            desk=p.settings.desk.policies(),
            counters=self.house.figures if live else no_figures,
            keep=p.settings.keep_days * DAY,
            demo=p.settings.demo,
            base_url=p.settings.console.address,
            doors=doors_of(p.settings),
            channels=channel_facts(p.settings, p.engine),
            metrics=p.metrics.registry,
            unreadable_receipts=p.metrics.receipts_unreadable,
            restored=Restored(kept.at, kept.made_at, kept.journal == "replay")
            if (kept := last_restore(p.settings.state))
            else None,
        )
        p.web = WebServer(create_app(services), p.settings.console.host, p.settings.console.port)
        self.parts.append(p.web)

    def ingest(self, registry: Registry) -> None:
        p = self.platform
        url, reload = p.settings.broker.get_secret_value(), self.registry
        if urlsplit(url).scheme == "embedded":
            from shouwang.embedded import EmbeddedBrokerPart  # noqa: PLC0415 - amqtt, which no town loads

            broker = EmbeddedBrokerPart(url, p.settings.state, self.registry, self.gateways)
            self.parts.append(broker)
            url, reload = broker.url, broker.follow
            cut: Callable[[str], None] = broker.disable
        else:
            standings = Standings(BrokerAddress.parse(url), self.registry)
            standings.follow(registry)
            cut, reload = standings.cut, standings.read
            self._work("broker accounts", standings.run)
        limits = p.settings.ingest
        inbox, gate = Inbox(), Gate(registry, limits.gateway_messages_per_s, limits.gateway_burst)
        held = p.settings.state / "subscriptions.json"
        session = BrokerSession(BrokerAddress.parse(url), gate.routes.subscriptions, inbox, p.clock, held)
        p.metrics.broker_connected.set(0)
        p.metrics.broker_dropped.set_function(lambda: math.nan if session.dropped is None else session.dropped)
        replays, reader = Replays(p.engine, inbox, p.clock), RegistryReader(reload, gate.admission)
        figures = GatewayFigures(p.engine, p.clock)
        disabling = Disabling(p.engine, p.clock, self._registry_changed, cut)

        def acknowledge(receipts: Sequence[Receipt]) -> None:
            session.acknowledge(receipts)
            replays.acknowledge(receipts)

        outlets = Outlets(acknowledge, session.publish, session.follow, disabling.ask)
        state = p.settings.state / "gate.snapshot"
        pipeline = Pipeline(inbox, gate, p.journal, p.clock, p.metrics, state, outlets, reader, figures)
        pipeline.resume()
        p.session = session
        self._work("replays", replays.run)  # first of all, so that it ends last and marks what the pipeline drained
        self._work("gateway figures", figures.run)
        self._work("registry", reader.run)
        self._work("disabling", disabling.run)
        self._work("pipeline", pipeline.run)
        self.parts.append(session)
        if registry.canary >= 0 and p.settings.canary_s:
            self._send_canary(BrokerAddress.parse(url), registry.canary, gate)

    def _registry_changed(self) -> None:
        with reading(self.platform.engine) as connection:
            version = registry_version(connection)
        self.platform.control(RegistryChanged(version))

    def _send_canary(self, broker: BrokerAddress, series: int, gate: Gate) -> None:
        """Look for the beats at the hops that this process has."""
        p = self.platform
        passage = Passage(p.journal, lambda: gate.beat)
        hops = [Hop("journal", passage.journalled)]
        if p.watch:
            hops.append(Hop("detection", lambda: passage.detected(self._detected())))
        if store := p.store:
            hops.append(Hop("store", lambda: passage.stored(store, series)))
        p.canary = Canary(broker, p.clock, int(p.settings.canary_s * SECOND), passage.look, hops)
        self.parts.append(p.canary)
