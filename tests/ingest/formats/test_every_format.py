"""What every convention must hold; a new one is tested by standing in FORMATS and having an example."""

import json
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from ingest.formats import FORMATS
from ingest.formats.items import Answer, Happened, Item, Measured, Reach, Refused, Remember
from ingest.formats.options import OptionsRefused
from ingest.words import Message
from tests.ingest.formats.examples import EXAMPLES, GATEWAY

_NOW = 1_790_000_100 * SECOND
_JOURNAL = msgspec.msgpack.Encoder().encode
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
every = pytest.mark.parametrize("name", sorted(FORMATS))


def test_every_format_has_an_example() -> None:
    assert sorted(EXAMPLES) == sorted(FORMATS)


@every
def test_the_example_is_understood(name: str) -> None:
    kinds = [type(item) for items in _run(name, EXAMPLES[name].messages) for item in items]

    assert Measured in kinds


@every
@settings(deadline=None)
@given(st.data())
def test_any_bytes_become_items(name: str, data: st.DataObject) -> None:
    topics = [topic for topic, _ in EXAMPLES[name].messages]
    payloads = st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode())
    messages = data.draw(st.lists(st.tuples(st.sampled_from(topics), payloads), max_size=4))

    _run(name, messages)


@every
@settings(deadline=None)
@given(st.data())
def test_damaged_messages_become_items(name: str, data: st.DataObject) -> None:
    messages = [(topic, _damaged(data, payload)) for topic, payload in EXAMPLES[name].messages]

    _run(name, data.draw(st.permutations(messages)))


def _damaged(data: st.DataObject, payload: bytes) -> bytes:
    """Some bytes changed, put in, cut off or doubled."""
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(payload)))
        length = data.draw(st.integers(0, 3))
        payload = payload[:place] + data.draw(st.binary(max_size=3)) + payload[place + length :]
    return data.draw(st.sampled_from([payload, payload + payload, payload[: len(payload) // 2]]))


def _run(name: str, messages: Sequence[tuple[str, bytes]], options: Any = None) -> list[list[Item]]:
    """Each message's items, checked; what is remembered goes through the journal on the way to the next."""
    dialect, memory, found = FORMATS[name](GATEWAY, EXAMPLES[name].options if options is None else options), None, []
    for number, (topic, payload) in enumerate(messages):
        message = Message(topic, payload, _NOW + number * SECOND)
        before = deepcopy(memory)
        items = dialect.decode(message, memory)
        assert memory == before, "a memory was changed"
        assert _comparable(items) == _comparable(dialect.decode(message, memory)), "twice the same is not the same"
        for item in items:
            _check(item)
        for item in items:
            if isinstance(item, Remember):
                memory = item.memory
                packed = dialect.pack(memory)
                assert dialect.pack(dialect.unpack(packed)) == packed
        found.append(items)
    return found


def _comparable(items: Sequence[Item]) -> str:
    """Equal for equal items, NaN too."""
    return repr(items)


def _check(item: Item) -> None:
    assert isinstance(item, get_args(Item))
    match item:
        case Measured():
            assert item.device
            assert item.values
            assert all(isinstance(metric, str) for metric in item.values)
            assert all(isinstance(value, int | float) for value in item.values.values())
            assert all(isinstance(float(value), float) for value in item.values.values())
            _check_time(item.t)
            _JOURNAL([item.device, *item.values])
        case Happened() | Reach():
            assert item.device
            _check_time(item.t)
            _JOURNAL([item.device, item.attributes if isinstance(item, Happened) else {}])
        case Refused():
            assert item.reason.isidentifier()
            assert item.readings >= 0
            assert len(item.detail) <= 1_000
            _JOURNAL(item)
        case Answer():
            assert not set(item.topic) & set("+#\0")


def _check_time(t: object) -> None:
    assert t is None or (isinstance(t, int | float) and not isinstance(t, bool))


_WRITERS = [name for name in sorted(FORMATS) if hasattr(FORMATS[name](GATEWAY, EXAMPLES[name].options), "encode")]


@pytest.mark.parametrize("name", _WRITERS)
def test_what_writes_also_reads_what_it_wrote(name: str) -> None:
    dialect: Any = FORMATS[name](GATEWAY, {**EXAMPLES[name].options, "fields": {}})
    items = [
        Measured("A", {"gas_lel": 3.25}, 1_790_000_000_000),
        Measured("B", {"on": 1, "laeq": 51.5}, 1_790_000_001_000),
    ]

    memory, read = None, list[Item]()
    for topic, payload in dialect.encode(items):
        for item in dialect.decode(Message(topic, payload, _NOW), memory):
            memory = item.memory if isinstance(item, Remember) else memory
            read.append(item)

    assert _readings(read) == _readings(items)


def _readings(items: Sequence[Item]) -> dict[tuple[str, str, float | None], float]:
    measured = [item for item in items if isinstance(item, Measured)]
    return {(item.device, metric, item.t): value for item in measured for metric, value in item.values.items()}


@every
def test_every_faulty_option_is_named(name: str) -> None:
    for options in EXAMPLES[name].faulty:
        with pytest.raises(OptionsRefused) as refused:
            FORMATS[name](GATEWAY, options)
        assert all(": " in problem for problem in refused.value.problems)


@every
@settings(deadline=None)
@given(st.data())
def test_any_options_are_taken_or_refused_by_name(name: str, data: st.DataObject) -> None:
    keys = sorted({key for faulty in EXAMPLES[name].faulty for key in faulty} | {"fields", *EXAMPLES[name].options})
    options = {**EXAMPLES[name].options, **data.draw(st.dictionaries(st.sampled_from(keys), _JSON, max_size=3))}
    with suppress(OptionsRefused):
        FORMATS[name](GATEWAY, options)
        _run(name, EXAMPLES[name].messages, options)


@every
def test_a_topic_filter_is_its_own(name: str) -> None:
    for topic in FORMATS[name](GATEWAY, EXAMPLES[name].options).topics:
        assert topic[0] not in "+#$"
