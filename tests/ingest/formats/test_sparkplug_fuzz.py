"""Whatever a Sparkplug topic brings: no exception, no value under another's name, and a memory that survives."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from ingest.formats.items import Answer, Item, Measured, Reach, Refused, Remember, Status
from ingest.formats.sparkplug_b import ASK_EVERY, Node, SparkplugB
from ingest.formats.sparkplug_payload import DOUBLE, PAYLOAD, TEXT, Tag, birth, data, device_death, node_death
from ingest.words import Message

NOW = 1_790_000_000 * SECOND
T = NOW // 1000
DIALECT = SparkplugB("GW-1", {"fields": {"t": {"metric": "temp", "scale": 0.1}}})
NODE_TYPES = ("NBIRTH", "NDEATH", "NDATA", "NCMD")
DEVICE_TYPES = ("DBIRTH", "DDEATH", "DDATA", "DCMD")

topics = st.one_of(
    st.sampled_from([f"spBv1.0/shouwang/{kind}/GW-1" for kind in (*NODE_TYPES, "STATE")]),
    st.sampled_from([f"spBv1.0/shouwang/{kind}/GW-1/{device}" for kind in DEVICE_TYPES for device in ("A", "B", "")]),
)
tags = st.lists(
    st.builds(
        Tag,
        st.sampled_from(["t", "x", "bdSeq", "Node Control/Rebirth"]) | st.text(max_size=4),
        st.none() | st.booleans() | st.floats() | st.text(max_size=4),
        st.none() | st.integers(0, 2**64 - 1),
        datatype=st.just(DOUBLE),
        t=st.none() | st.integers(0, 2**64 - 1),
        historical=st.booleans(),
    ).map(lambda tag: tag._replace(datatype=TEXT) if isinstance(tag.value, str) else tag),
    max_size=5,
)
times, seqs = st.integers(0, 2**64 - 1), st.integers(0, 300)
uints = st.integers(0, 2**32 - 1)
strange = st.builds(
    PAYLOAD,
    timestamp=st.none() | times,
    seq=st.none() | seqs,
    metrics=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.binary(max_size=3) | st.just(b"bdSeq"),
                "alias": st.integers(0, 2),
                "datatype": st.integers(0, 36) | uints,
                "is_null": st.booleans(),
            }
            | {"int_value": uints, "boolean_value": st.booleans()},
        )
        | st.fixed_dictionaries({"string_value": st.binary(max_size=3)}, optional={"alias": st.integers(0, 2)})
        | st.fixed_dictionaries({"float_value": st.floats(width=32), "name": st.just(b"x")}),
        max_size=4,
    ),
).map(lambda payload: payload.SerializeToString())
payloads = st.one_of(
    strange,
    st.binary(max_size=80),
    st.builds(birth, tags, seqs, times, st.none() | st.integers(0, 300)),
    st.builds(data, tags, seqs, times),
    st.builds(node_death, st.integers(0, 3)),
    st.builds(device_death, seqs, times),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A payload with bytes changed, left out or put in."""
    payload = bytearray(draw(payloads))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(payload)))
        payload[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(payload)


def checked(items: list[Item]) -> None:
    """What every item must be, so that the gate can take it."""
    for item in items:
        assert isinstance(item, Measured | Status | Reach | Refused | Answer | Remember)
        match item:
            case Measured():
                item.device.encode()
                assert all(isinstance(value, int | float) for value in item.values.values())
            case Refused(_, detail, _, part):
                detail.encode()
                assert part is None or PAYLOAD.FromString(part) is not None
            case Remember(memory):
                kept = DIALECT.unpack(DIALECT.pack(memory))
                assert (kept.bd_seq, kept.births, kept.reached) == (memory.bd_seq, memory.births, memory.reached)


@given(st.lists(st.tuples(topics, payloads | mutated(), st.sampled_from([0, 0, NOW])), max_size=12))
@settings(max_examples=400, deadline=None)
def test_any_bytes_in_any_order_give_items_and_the_same_ones_again(heard):
    memory: Node | None = None
    answered = []
    for second, (topic, payload, replayed_from) in enumerate(heard):
        message = Message(topic, payload, NOW + second * SECOND, replayed_from=replayed_from)
        items = DIALECT.decode(message, memory)
        checked(items)
        assert repr(DIALECT.decode(message, memory)) == repr(items)
        remembered = [item.memory for item in items if isinstance(item, Remember)]
        assert not (replayed_from and remembered)
        memory = remembered[-1] if remembered else memory
        answered += [message.received_at] * sum(isinstance(item, Answer) for item in items)
    assert len(answered) <= 1 + len(heard) * SECOND // ASK_EVERY


NAMES = {"a": 1.0, "b": 2.0, "c": 3.0}
SESSIONS = ({1: "a", 2: "b", 3: "c"}, {1: "c", 2: "a", 3: "b"}, {1: "b", 2: "c"})
"""Each new session of the node has other aliases."""


def life(sessions: int, messages: int) -> list[tuple[str, bytes]]:
    """All that a node sends that connects and dies several times; each value tells its metric."""
    sent, t = list[tuple[str, bytes]](), T
    for session in range(sessions):
        declared = [Tag(name, NAMES[name], alias) for alias, name in SESSIONS[session].items()]
        sent.append(("NBIRTH/GW-1", birth([], 0, t, session)))
        sent.append(("DBIRTH/GW-1/A", birth(declared, 1, t + 1)))
        t += 2
        for seq in range(messages):
            t += 1
            sent.append(("DDATA/GW-1/A", data(declared, (seq + 2) % 256, t)))
        sent.append(("NDEATH/GW-1", node_death(session)))
        t += 10
    return sent


@given(st.data(), st.integers(1, 3), st.integers(0, 6))
@settings(max_examples=300, deadline=None)
def test_no_value_stands_under_anothers_name_whatever_is_lost_handed_out_again_or_forgotten(draws, sessions, messages):
    sent = life(sessions, messages)
    kept = [one for one in sent if one[0].startswith("NDEATH") or not draws.draw(st.booleans(), label=f"lose {one[0]}")]
    memory: Node | None = None
    place, turns = 0, 0
    while place < len(kept) and turns < 60:
        turns += 1
        topic, payload = kept[place]
        items = DIALECT.decode(Message(f"spBv1.0/shouwang/{topic}", payload, NOW + turns * SECOND), memory)
        for item in items:
            match item:
                case Measured(_, values):
                    assert values == {name: NAMES[name] for name in values}
                case Remember(after):
                    memory = after
        place += 1
        match draws.draw(st.sampled_from(["on", "on", "on", "again", "restart"])):
            case "again":
                place = max(0, place - draws.draw(st.integers(1, 6)))
            case "restart":
                memory = DIALECT.unpack(DIALECT.pack(memory)) if memory else None


def test_a_payload_of_very_many_metrics_is_one_refusal():
    payload: Any = PAYLOAD(seq=1)
    for _ in range(60_000):
        payload.metrics.add()
    topic = "spBv1.0/shouwang/DDATA/GW-1/A"
    born = DIALECT.decode(Message("spBv1.0/shouwang/DBIRTH/GW-1/A", birth([], 0, T), NOW))[-2:]
    memory = next(item.memory for item in born if isinstance(item, Remember))

    refused = DIALECT.decode(Message(topic, payload.SerializeToString(), NOW), memory)[0]

    assert isinstance(refused, Refused)
    assert (refused.reason, refused.readings, len(refused.detail) < 200) == ("no_birth", 60_000, True)
