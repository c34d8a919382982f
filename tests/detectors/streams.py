"""Random streams of readings, ticks and controls, as hypothesis strategies."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from core.clock import SECOND
from core.journal import Offset, Record, RecordKind
from detectors.rules import RuleSet
from detectors.words import Severity
from devices.registry import Registry
from ingest.words import Block, Connected, Event, Lost, Quality, Rearm, encode
from tests.detectors.stage import START, Device, registry_of, with_rules

DEVICES = [
    Device("GAS-1", "gas"),
    Device("GAS-2", "gas", state="commissioning"),
    Device("ELE-1", "electrical", "GW-2"),
    Device("NOI-1", "noise"),
    Device("TRF-1", "traffic", "GW-2"),
    Device("SMK-1", "smoke", "GW-2"),
]
TOWN: Registry = registry_of(DEVICES)
SERIES = len(TOWN.device)

BRISK: RuleSet = with_rules(
    1,
    gas__leak={"limits": {Severity.WARNING: 10.0, Severity.ALARM: 25.0, Severity.CRITICAL: 50.0}, "recovery": 8.0},
    traffic__congestion={"dwell": 20 * SECOND},
    electrical__cable_temperature={"over_range": Severity.CRITICAL, "dwell": 3 * SECOND},
    electrical__cable_rise={"window": 60 * SECOND, "limits": {Severity.WARNING: 10.0, Severity.ALARM: 40.0}},
)
"""The packs with dwells short enough for a random stream to pass them."""

VALUES = st.sampled_from([0.0, 5.0, 8.0, 9.0, 10.0, 19.0, 20.0, 24.0, 25.0, 49.0, 50.0, 62.0, 81.0, 120.0, 400.0])
QUALITIES = st.sampled_from(
    [0, 0, 0, 0, 0, *(int(q) for q in (Quality.AGED, Quality.OUT_OF_RANGE, Quality.DISORDERED, Quality.TIME_REPLACED))]
)
Reading = tuple[int, int, int, float, int]


@st.composite
def readings(draw: st.DrawFn, values: st.SearchStrategy[float] = VALUES) -> tuple[str, Any]:
    """Several readings of one moment: (series, µs before the stream's time, received later by µs, value, quality)."""
    row = st.tuples(
        st.integers(0, SERIES - 1),
        st.sampled_from([0, 0, 0, 1, 40, -1800]),
        st.sampled_from([0, 1, 9]),
        values,
        QUALITIES,
    )
    return "read", draw(st.lists(row, min_size=1, max_size=6))


EVENTS = st.tuples(
    st.just("event"),
    st.sampled_from(
        [
            ("device", "SMK-1", "smoke_alarm", {"active": True}),
            ("device", "SMK-1", "smoke_alarm", {"active": False}),
            ("device", "SMK-1", "call_point", {}),
            ("gateway", "GW-1", "status", {"online": True}),
            ("gateway", "GW-2", "status", {"online": False}),
            ("gateway", "GW-2", "status", {"online": True}),
            ("gateway", "GW-2", "clock", {"active": True, "value": 640.0, "limit": 300.0}),
            ("gateway", "GW-2", "clock", {"active": False, "value": 4.0, "limit": 300.0}),
            ("gateway", "GW-1", "shut_out", {"active": True}),
            ("device", "GAS-1", "status", {"online": False}),
            ("device", "GAS-1", "status", {"online": True}),
            ("device", "ELE-1", "status", {"online": False}),
            ("device", "SMK-1", "status", {"online": False}),
            ("device", "GAS-2", "status", {"online": False}),
            ("platform", "journal", "journal_quota", {"active": True, "value": 83.0, "limit": 80.0}),
            ("platform", "journal", "journal_quota", {"active": False, "value": 12.0, "limit": 80.0}),
        ]
    ),
)
REARMS = st.sampled_from(
    [
        ("device", "GAS-1", "gas.leak"),
        ("device", "SMK-1", "smoke.alarm"),
        ("device", "GAS-1", "device.silence"),
        ("gateway", "GW-2", "gateway.offline"),
        ("gateway", "GW-2", "gateway.clock"),
        ("platform", "journal", "platform.journal_quota"),
    ]
)
TICKS = st.tuples(st.just("tick"), st.none())
CONTROLS = st.one_of(
    st.tuples(st.just("lost"), st.none()),
    st.tuples(st.just("connected"), st.none()),
    st.tuples(st.just("rearm"), REARMS),
)
STEPS = st.sampled_from([0, 1, 1, 2, 5, 30, 95])


def moves(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[int, tuple[str, Any]]]]:
    """A stream: (seconds that pass, what comes then)."""
    return st.lists(st.tuples(STEPS, st.one_of(*kinds)), min_size=1, max_size=40)


def block_at(now: int, rows: Sequence[Reading]) -> Block:
    """The block of `readings` at the stream's time."""
    at = [now - before * SECOND for _, before, _, _, _ in rows]
    received = [now + later * SECOND for _, _, later, _, _ in rows]
    return Block.of([row[0] for row in rows], at, received, [row[3] for row in rows], [row[4] for row in rows])


def records_of(stream: Sequence[tuple[int, tuple[str, Any]]]) -> list[Record]:
    """The journal of a stream."""
    now, records = START, []
    for passed, (kind, what) in stream:
        now += passed * SECOND
        records.append(Record(Offset(0, len(records) + 1), now, *_entry(kind, what, now)))
    return records


def _entry(kind: str, what: Any, now: int) -> tuple[RecordKind, bytes]:
    match kind:
        case "read":
            return RecordKind.BLOCK, block_at(now, what).to_bytes()
        case "event":
            subject, code, name, attributes = what
            return RecordKind.EVENT, encode(Event(subject, code, name, now, now, attributes))
        case "lost":
            return RecordKind.CONTROL, encode(Lost(now))
        case "connected":
            return RecordKind.CONTROL, encode(Connected(now))
        case "rearm":
            return RecordKind.CONTROL, encode(Rearm(*what))
        case _:
            return RecordKind.TICK, b""
