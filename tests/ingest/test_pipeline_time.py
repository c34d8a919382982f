"""The pipeline on a scripted clock, without a broker: ticks, losses, a refusing journal, a database that is down."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from core.clock import HOUR, MILLISECOND, MINUTE, SECOND, ManualClock
from core.journal import START, Entry, JournalError, JournalFull, Offset, Record, RecordKind
from core.metrics import Metrics
from core.sqlite_journal import SqliteJournal
from devices.registry import GatewayRow, Registry
from ingest.admission import Admission
from ingest.batch import Judged
from ingest.gate import Gate
from ingest.gateway_figures import GatewayFigures
from ingest.mqtt import Arrival, Inbox, Receipt
from ingest.pipeline import Outlets, Pipeline
from ingest.registry_reader import RegistryReader
from ingest.words import (
    Block,
    Connected,
    Control,
    Lost,
    Message,
    Quality,
    RegistryChanged,
    Remembered,
    RulesChanged,
    decode_control,
    decode_event,
    decode_reject,
    encode,
)
from tests.ingest.test_gate import small_registry


class Refusing(SqliteJournal):
    """Raises `refusal` for readings while there is one, and lets `on_refusal` change the world."""

    refusal: JournalError | None = None

    def append(self, entries: Sequence[Entry], now: int) -> Offset:
        if self.refusal and any(entry.kind is RecordKind.BLOCK for entry in entries):
            self.on_refusal()
            if self.refusal:
                raise self.refusal
        return super().append(entries, now)

    def on_refusal(self) -> None:
        pass


class Line:
    """A pipeline whose arrivals a test hands in."""

    def __init__(self, folder: Path, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.journal = Refusing(folder / "journal.db", "town", ["gate"])
        self.inbox, self.acknowledged = Inbox(), list[Receipt]()
        self.registry: Registry | Exception = small_registry()
        self.gate = Gate(small_registry())
        self.reader = RegistryReader(self.load_registry, self.gate.admission)
        self.metrics = Metrics()
        self.subscribed, self.disabled = list[Sequence[str]](), list[tuple[str, str]]()
        self.pipeline = Pipeline(
            self.inbox,
            self.gate,
            self.journal,
            self.clock,
            self.metrics,
            folder / "gate.snapshot",
            Outlets(self.acknowledged.extend, lambda *_: None, self.subscribed.append, self.disable),
            self.reader,
            GatewayFigures(create_engine("sqlite://"), self.clock),
        )

    def disable(self, gateway: str, why: str) -> None:
        self.disabled.append((gateway, why))

    def load_registry(self) -> Registry:
        if isinstance(self.registry, Exception):
            raise self.registry
        return self.registry

    def connected(self) -> "Line":
        self.pipeline.resume()
        self.inbox.put(Arrival(Connected(self.clock.now()), None))
        self.pipeline.step()
        return self

    def message(self, value: float, at: int | None = None) -> None:
        now = self.clock.now()
        payload = msgspec.json.encode({"t": (now if at is None else at) // MILLISECOND, "values": {"gas_lel": value}})
        message = Message("sw/v1/GW-0001/GAS-0001/telemetry", payload, now)
        self.inbox.put(Arrival(message, Receipt(0, len(self.acknowledged) + 1, 1)))

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(SECOND)
            if self.reader._asked.is_set():
                self.reader.read()
            self.pipeline.step()

    def records(self, *kinds: RecordKind) -> list[Record]:
        return [record for record in self.journal.read(START, 100_000) if record.kind in kinds]

    def controls(self) -> list[Control]:
        return [decode_control(record.payload) for record in self.records(RecordKind.CONTROL)]

    def qualities(self) -> list[int]:
        blocks = [Block.from_bytes(record.payload) for record in self.records(RecordKind.BLOCK)]
        return [int(quality) for block in blocks for quality in block.quality]


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ingest.pipeline._REFUSED_PAUSE", 0.0)
    line = Line(tmp_path)
    yield line.connected()
    line.journal.close()


def test_a_start_journals_the_loss_as_of_the_last_tick_whatever_was_written_since(line: Line, tmp_path: Path) -> None:
    """A start announces rules and registry first, and other processes write too: neither means that we listened."""
    line.seconds(5)
    last = line.clock.now()
    line.clock.advance(30 * MINUTE)
    line.journal.append([Entry(RecordKind.CONTROL, encode(RulesChanged(1)))], line.clock.now())
    line.journal.close()
    again = Line(tmp_path, line.clock).connected()
    assert again.controls()[-2:] == [Lost(last), Connected(line.clock.now())]
    again.message(60.0, at=last + MINUTE)
    again.pipeline.step()
    assert again.qualities() == [Quality.GOOD], "published while we were down: not aged by that"
    again.journal.close()


def test_ticks_go_on_when_the_clock_is_set_back(line: Line) -> None:
    line.seconds(3)
    line.clock.advance(-HOUR)
    before = len(line.records(RecordKind.TICK))
    line.seconds(10)
    ticks = line.records(RecordKind.TICK)[before:]
    assert len(ticks) == 10
    assert ticks[-1].time - ticks[0].time > 8 * SECOND


def test_a_gap_between_ticks_is_a_loss(line: Line) -> None:
    """The machine slept, or its clock was set forward: nobody was silent then."""
    line.seconds(3)
    last = line.clock.now()
    line.clock.advance(HOUR)
    line.pipeline.step()
    assert line.controls()[-2:] == [Lost(last), Connected(line.clock.now())]
    line.seconds(3)
    assert len(line.controls()) == 4, "told once"


def test_no_gap_is_told_within_a_loss(line: Line) -> None:
    line.inbox.put(Arrival(Lost(line.clock.now()), None))
    line.pipeline.step()
    line.clock.advance(HOUR)
    line.pipeline.step()
    assert isinstance(line.controls()[-1], Lost)


@pytest.mark.parametrize("refusal", [JournalFull("full"), JournalError("database is locked")])
def test_a_journal_that_takes_no_readings_is_a_loss_until_it_does(line: Line, refusal: JournalError) -> None:
    line.seconds(3)
    begun, waited = line.clock.now(), []

    def pass_time() -> None:
        waited.append(line.clock.advance(MINUTE))
        assert line.acknowledged == []
        if len(waited) == 20:
            line.journal.refusal = None

    line.journal.refusal, line.journal.on_refusal = refusal, pass_time  # type: ignore[method-assign]
    line.message(9.0)
    line.pipeline.step()
    assert len(line.acknowledged) == 1
    assert len(line.records(RecordKind.BLOCK)) == 1
    assert len(line.records(RecordKind.TICK)) >= 19, "time goes on"
    losses = [control for control in line.controls() if isinstance(control, Lost)]
    assert losses[-1] == Lost(begun + MINUTE)
    assert line.controls()[-1] == Connected(line.clock.now())
    line.message(9.0, at=begun + 2 * MINUTE)
    line.pipeline.step()
    assert line.qualities()[-1] == Quality.GOOD, "what the broker held meanwhile isn't aged by it"


def test_an_end_while_the_journal_refuses_acknowledges_and_saves_nothing(line: Line) -> None:
    line.seconds(1)
    kept = (line.pipeline._state).read_bytes()
    line.journal.refusal, line.journal.on_refusal = JournalFull("full"), line.pipeline._ending.set  # type: ignore[method-assign]
    line.message(9.0)
    with pytest.raises(JournalFull):
        line.pipeline.run(line.pipeline._ending)
    assert line.acknowledged == []
    assert line.pipeline._state.read_bytes() == kept


def test_a_database_that_is_down_holds_up_no_reading(line: Line) -> None:
    newer = small_registry()
    newer.state[0] = "retired"
    line.registry = OperationalError("select", {}, Exception("connection refused"))
    line.journal.append([Entry(RecordKind.CONTROL, encode(RegistryChanged(2)))], line.clock.now())
    line.message(9.0)
    line.pipeline.step()
    line.seconds(3)
    assert len(line.acknowledged) == 1
    line.registry = newer
    line.seconds(12)
    line.message(9.0)
    line.pipeline.step()
    assert len(line.records(RecordKind.REJECT)) == 1, "and the registry is followed when it is back"


def test_a_newer_registry_brings_its_topics(line: Line) -> None:
    newer = small_registry()
    newer.gateways["GW-0002"] = GatewayRow(1, "GW-0002", "senml", "", 0, "", 0, {"topic": ["senml/gw2"]})
    line.registry = newer
    line.journal.append([Entry(RecordKind.CONTROL, encode(RegistryChanged(2)))], line.clock.now())
    line.seconds(3)
    assert [list(topics)[-1] for topics in line.subscribed] == ["senml/gw2"]


def small_bursts(line: Line) -> None:
    """Every gateway may send 2,000 messages at once and 50 a second."""
    line.gate.load(Admission.of(small_registry(), 50, 2_000))


def test_a_flood_is_journalled_once_a_second_counted_and_ends_with_the_gateway_shut_out(line: Line) -> None:
    """What is shed is acknowledged: the broker must not hold it."""
    small_bursts(line)
    for _ in range(20):
        for _ in range(2_000):
            line.message(1.0)
        line.pipeline.step()
        line.seconds(1)
    rejects = [decode_reject(record.payload) for record in line.records(RecordKind.REJECT)]
    assert {reject.reason for reject in rejects} == {"flood"}
    assert len(rejects) <= len(line.records(RecordKind.TICK))
    assert sum(reject.messages for reject in rejects) == 40_000 - len(line.qualities())
    assert len(line.acknowledged) == 40_000
    assert 4_000 < len(line.qualities()) < 10_000
    shed = line.metrics.registry.get_sample_value("shouwang_shed_messages_total", {"level": "shut"})
    assert shed == 40_000 - len(line.qualities())
    events = [decode_event(record.payload) for record in line.records(RecordKind.EVENT)]
    assert [(event.id, event.type, event.attributes["active"]) for event in events] == [("GW-0001", "flooding", True)]


def test_a_gateway_that_floods_on_is_asked_to_be_shut_out(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.floods._PATIENCE", {True: 10 * SECOND, False: SECOND})
    small_bursts(line)
    for _ in range(20):
        for _ in range(1_000):
            line.message(1.0)
        line.pipeline.step()
        line.seconds(1)
    assert [gateway for gateway, _ in line.disabled] == ["GW-0001"]
    types = [decode_event(record.payload).type for record in line.records(RecordKind.EVENT)]
    assert types == ["flooding", "shut_out"]


def test_qos_0_is_counted_apart(line: Line) -> None:
    line.message(1.0)
    sent, receipt = line.inbox.take(1, 0)[0]
    assert isinstance(sent, Message)
    line.inbox.put(Arrival(msgspec.structs.replace(sent, qos=0), receipt))
    line.message(2.0)
    line.pipeline.step()
    counted = line.metrics.registry.get_sample_value
    assert (counted("shouwang_readings_qos0_total"), counted("shouwang_readings_total")) == (1, 2)
    assert counted("shouwang_readings_at_least_once_total") == 0


def test_the_same_state_comes_from_the_snapshot_and_from_the_whole_journal(line: Line, tmp_path: Path) -> None:
    values: list[Any] = [(1.0, 0), (2.0, 20 * MINUTE), (3.0, SECOND), (4.0, -MINUTE)]
    for value, ahead in values:
        line.message(value, at=line.clock.now() + ahead)
        line.seconds(1)
    again = Gate(small_registry())
    for record in line.journal.read(START, 10_000):
        again.replay(record)
    assert again._newest.tolist() == line.gate._newest.tolist()
    assert (again.outages, again.ticked) == (line.gate.outages, line.gate.ticked)


def test_a_batch_on_which_something_failed_is_held_and_done_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, failures = line.gate.judge, [OSError("for the test")]
    monkeypatch.setattr(line.gate, "judge", lambda messages: _raise(failures.pop()) if failures else judge(messages))
    line.message(7.0)
    with pytest.raises(OSError, match="for the test"):
        line.pipeline.step()
    assert line.acknowledged == []
    line.message(8.0)
    run_again(line)
    assert len(line.acknowledged) == 2
    assert len(line.qualities()) == 2


def test_a_message_that_nobody_foresaw_is_a_dead_letter_and_stops_nobody(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = line.gate.judge

    def failing(messages: Sequence[Message]) -> Any:
        if any(b"666" in message.payload for message in messages):
            raise ZeroDivisionError("unforeseen")
        return judge(messages)

    monkeypatch.setattr(line.gate, "judge", failing)
    for value in (7.0, 666.0, 8.0):
        line.message(value)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run_again(line)
    run_again(line)
    (reject,) = [decode_reject(record.payload) for record in line.records(RecordKind.REJECT)]
    assert (reject.reason, reject.detail) == ("internal_error", "ZeroDivisionError: unforeseen")
    assert len(line.qualities()) == 2
    assert len(line.acknowledged) == 3


def test_what_a_message_left_and_cannot_be_written_stops_nobody_either(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpackable(judged: Judged) -> list[Remembered]:
        return _raise(OverflowError("too large to be packed")) if 66.0 in judged.block.value else []

    monkeypatch.setattr(line.gate, "remembered", unpackable)
    for value in (7.0, 66.0, 8.0):
        line.message(value)
    for _ in range(2):
        with pytest.raises(OverflowError):
            run_again(line)
    run_again(line)
    (reject,) = [decode_reject(record.payload) for record in line.records(RecordKind.REJECT)]
    assert (reject.reason, reject.detail) == ("internal_error", "OverflowError: too large to be packed")
    assert len(line.qualities()) == 2
    assert len(line.acknowledged) == 3


def _raise(error: Exception) -> Any:
    raise error


def run_again(line: Line) -> None:
    """As the supervisor does after a failure, until the inbox is empty."""
    ending = threading.Event()
    ending.set()
    line.pipeline.run(ending)
