"""The dispatch role: the senders of each channel, the desk clock and the heartbeat, as named work."""

from collections.abc import Callable, Iterator, Mapping
from threading import Event as Signal

from sqlalchemy import Connection, Engine

from alerts.channels import Channel
from alerts.desk_work import DeskWork
from alerts.drills import run_due as hold_drills
from alerts.moves import resume_due
from alerts.one_writer import hold_desk
from alerts.owners import this_process
from alerts.releasing import release_due
from alerts.sender import Sender
from alerts.settings import DeskSettings
from alerts.still_bad import raise_again
from alerts.timers import mark_overdue
from alerts.town_view import TownView
from core.clock import HOUR, SECOND, Clock
from core.database import reading
from core.journal import Journal
from core.metrics import Metrics
from detectors.rules import RuleSet
from ingest.applied import read_applied
from ingest.store import ReadingStore
from shouwang.escalating import Chore, DeskClock
from shouwang.heartbeat import Heartbeat, Passage, Pulses, Vitals
from shouwang.kept_secrets import link_key
from shouwang.osrm import Osrm
from shouwang.picture_work import picturing
from shouwang.present import rules_of, town_of
from shouwang.routing import Routing
from shouwang.senders import make_channel, refusing, sending
from shouwang.settings import Settings
from shouwang.telling import tellers
from shouwang.watch import SafetyWatch

Work = Callable[[Signal], None]
_LOOK_AGAIN = 10  # s; a second that is missed is made up for by the next


def _resume(connection: Connection, town: TownView, _rules: RuleSet, now: int, settings: DeskSettings) -> None:
    resume_due(connection, town, now, settings)


def _mark_overdue(connection: Connection, _town: TownView, _rules: RuleSet, now: int, _settings: DeskSettings) -> None:
    hold_desk(connection)
    mark_overdue(connection, now)


def _raise_again(connection: Connection, town: TownView, rules: RuleSet, now: int, settings: DeskSettings) -> None:
    if now // SECOND % _LOOK_AGAIN == 0:
        raise_again(DeskWork(connection, town, now, settings, rules.rules))


CHORES: tuple[Chore, ...] = (release_due, _resume, _mark_overdue, hold_drills, _raise_again)
"""What time alone brings about beside escalation, in this order."""


class DispatchRole:
    """What the role is made of; nothing runs before its work does.

    Pictures are sent where there is a `store`. `journal` is the one that this process fills, None where another
    process, maybe of another machine, takes the readings in.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        journal: Journal | None,
        clock: Clock,
        metrics: Metrics,
        store: ReadingStore | None = None,
    ) -> None:
        self._store = store
        self._settings, self._engine, self._journal, self._clock = settings, engine, journal, clock
        self._pulses, self._passage = Pulses(), Passage()
        desk = settings.desk.policies()
        self.desk_clock = DeskClock(engine, clock, metrics, town_of(engine), rules_of(engine), desk, CHORES)

    def works(self) -> Iterator[tuple[str, Work]]:
        """Each worker by name, in the order of their start."""
        adapters = self._adapters()
        yield from self._senders(adapters)
        yield from self._pictures(list(adapters.values()))
        yield "unknown channels", refusing(self._engine, list(self._settings.channels), self._clock)
        yield "desk clock", self.desk_clock.run
        heartbeat = self._settings.heartbeat
        if url := heartbeat.url.get_secret_value():
            every = int(heartbeat.every_s * SECOND)
            yield "heartbeat", Heartbeat(url, every, self._settings.state, self._clock, self._vitals).run

        if url := self._settings.routing.url.get_secret_value():
            yield "routes", self._routing(url).run
        yield from tellers(self._settings.outside, self._engine, self._clock)

    def _routing(self, url: str) -> Routing:
        told, near = self._settings.routing, self._settings.desk.policies().dispatch.neighbours
        service = Osrm(url, told.profile, told.most)
        return Routing(self._engine, self._clock, town_of(self._engine), service, near, int(told.every_h * HOUR))

    def _adapters(self) -> dict[str, Channel]:
        """One for all senders of a channel: they share its connection and its access token."""
        told = self._settings
        return {
            name: make_channel(name, channel, self._engine, told.console.address, told.language)
            for name, channel in told.channels.items()
        }

    def _pictures(self, adapters: list[Channel]) -> Iterator[tuple[str, Work]]:
        if self._store is None:
            return
        work = picturing(self._engine, adapters, self._store, self._clock, self._settings.language)
        if work:
            yield "pictures", work

    def _senders(self, adapters: Mapping[str, Channel]) -> Iterator[tuple[str, Work]]:
        """As many a channel as its settings say, so that a slow provider holds up no other."""
        clock, key = self._clock, link_key(self._settings.state)
        for name, channel in self._settings.channels.items():
            for place in range(channel.senders):
                thread = name if place == 0 else f"{name} {place + 1}"
                me = this_process("dispatch", clock.now(), thread)
                sender = Sender(self._engine, [adapters[name]], clock, me, key)
                yield f"channel {thread}", self._pulsing(thread, sender)

    def _pulsing(self, name: str, sender: Sender) -> Work:
        def work(ending: Signal) -> None:
            self._pulses.expect(name, self._clock.now())
            sending(_Pulsing(sender, lambda now: self._pulses.beat(name, now)), self._clock)(ending)

        return work

    def _vitals(self, now: int) -> Vitals:
        with reading(self._engine) as connection:
            place = read_applied(connection, SafetyWatch.consumer)
        journalled = self._journal.last_time() if self._journal else None
        detecting = not self._passage.stands_still(place, now)
        return Vitals(self.desk_clock.unsure(), journalled, detecting, self.stuck_senders(now))

    def stuck_senders(self, now: int) -> list[str]:
        """The senders that have not finished a turn for minutes."""
        return self._pulses.late(now)


class _Pulsing:
    """A sender whose turns are noted as they end."""

    def __init__(self, sender: Sender, beat: Callable[[int], None]) -> None:
        self._sender, self._beat = sender, beat

    def turn(self, now: int) -> int:
        """A turn of the sender."""
        done = self._sender.turn(now)
        self._beat(now)
        return done

    def finish(self) -> None:
        """Its last record."""
        self._sender.finish()
