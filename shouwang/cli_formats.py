"""`shouwang formats`: the conventions that gateways may speak, and what a payload becomes."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.clock import MILLISECOND, SystemClock, local
from devices.device_types import load_device_types
from devices.registry import load_registry
from ingest.formats import FORMATS, Dialect
from ingest.formats.items import Answer, Happened, Item, Measured, Reach, Refused, Remember, Status
from ingest.formats.options import OptionsRefused
from ingest.formats.topics import TopicPattern
from ingest.formats.v1 import SUBSCRIPTIONS
from ingest.routes import Routes
from ingest.words import Message
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, errors, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="What gateways may speak; what a payload becomes.")

_LATEST = 2**43  # ms; a time beyond it is no time


@app.command("list")
def list_() -> None:
    """The formats that a gateway's registration may name, and the topics that each has by itself."""
    table = Table("format", "what it is", "topics of a gateway GW-0001 without options")
    for name, make in FORMATS.items():
        try:
            topics = "\n".join(_filters(name, make("GW-0001", {}), "GW-0001"))
        except OptionsRefused as refused:
            topics = f"needs options: {refused.problems[0]}"
        table.add_row(name, _title(name), topics)
    out.print(table)


@app.command("try")
@telling_errors
def try_(
    name: Annotated[str, typer.Argument(help="A format, as `formats list` has it.")],
    files: Annotated[list[str], typer.Argument(help="Payloads in their order, one a file; - is standard input.")],
    topic: Annotated[
        list[str] | None, typer.Option(help="Where they were published: one for all or one for each.")
    ] = None,
    options: Annotated[str, typer.Option(help="The gateway's attributes: JSON, or @FILE.")] = "{}",
    gateway: Annotated[str, typer.Option(help="The gateway's code.")] = "GW-0001",
) -> None:
    """What payloads become: readings, events, and what is refused and why. Fails when all of it is refused."""
    dialect = _dialect(name, gateway, _options(options))
    payloads = [_payload(file) for file in files]
    topics = topic or [_assumed(name, dialect, gateway)]
    if len(topics) not in (1, len(files)):
        raise fail(f"{len(topics)} topics for {len(files)} payloads: give one for all, or one for each")
    for each in topics:
        _check_topic(each, _filters(name, dialect, gateway))
    if not topic:
        out.print(f"assumed: --topic {topics[0]}", markup=False, highlight=False, soft_wrap=True)
    places = topics * (len(payloads) if len(topics) == 1 else 1)
    items = list(_read(dialect, zip(places, payloads, strict=True)))
    _show(items)
    if items and all(isinstance(item, Refused | Answer | Remember) for item in items) and _refused(items):
        raise fail("everything was refused")


@app.command("check")
@telling_errors
def check(config: ConfigOption = None) -> None:
    """Which registered gateways can't be understood: an unknown format, bad options, a topic that another one has."""
    if not tell_problems(settings_from(config)):
        out.print("every gateway's registration can work")
        return
    raise fail("correct the gateways' sheet and import it again")


def tell_problems(settings: Settings) -> int:
    """Say on standard error which gateways' registrations can't work; how many."""
    engine = open_database(settings)
    problems = Routes(load_registry(engine, load_device_types(settings.device_types))).problems
    engine.dispose()
    for gateway, problem in problems.items():
        errors.print(f"{gateway} can't be understood: {problem}", markup=False, highlight=False, soft_wrap=True)
    return len(problems)


def _title(name: str) -> str:
    """The first line of what the format's module says of itself."""
    module = sys.modules[FORMATS[name].__module__]
    return str(module.__doc__).partition("\n")[0].rstrip(".")


def _filters(name: str, dialect: Dialect, gateway: str) -> tuple[str, ...]:
    own = tuple(pattern.replace("+", gateway, 1) for pattern in SUBSCRIPTIONS)
    return own if name == "v1" else dialect.topics


def _dialect(name: str, gateway: str, options: Mapping[str, Any]) -> Dialect:
    if name not in FORMATS:
        raise fail(f"there is no format {name}: choose from {', '.join(FORMATS)}")
    try:
        return FORMATS[name](gateway, options)
    except OptionsRefused as refused:
        raise fail("the options can't be used:\n" + "\n".join(f"  {line}" for line in refused.problems)) from refused


def _options(given: str) -> Mapping[str, Any]:
    text = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
    try:
        found = json.loads(text)
    except ValueError as error:
        raise fail(f"--options is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise fail('--options must be a JSON object, such as {"topic": "tele/{device}/SENSOR"}')
    return found


def _payload(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _assumed(name: str, dialect: Dialect, gateway: str) -> str:
    """The topic of an everyday message."""
    filters = _filters(name, dialect, gateway)
    if name == "sparkplug_b":
        return filters[1].replace("+", "DBIRTH", 1).replace("+", "DEVICE")
    return re.sub(r"event/\+$", "event/up", filters[0]).replace("+", "DEVICE").replace("#", "up")


def _check_topic(topic: str, filters: tuple[str, ...]) -> None:
    if not any(TopicPattern.of(filter_).matches(topic) for filter_ in filters):
        raise fail(f"nothing would arrive from {topic}: the gateway's topics are {', '.join(filters)}")


def _read(dialect: Dialect, messages: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
    memory = None
    for topic, payload in messages:
        for item in dialect.decode(Message(topic, payload, SystemClock().now()), memory):
            if isinstance(item, Remember):
                memory = item.memory
            yield item


def _refused(items: list[Item]) -> list[Refused]:
    return [item for item in items if isinstance(item, Refused)]


def _show(items: list[Item]) -> None:
    table = Table("", "device", "metric or event", "value", "time")
    for item in items:
        for row in _rows(item):
            table.add_row(*row)
    if table.row_count:
        out.print(table)
    for refused in _refused(items):
        values = f" ({refused.readings} readings)" if refused.readings else ""
        out.print(f"refused: {refused.reason}: {refused.detail}{values}", markup=False, highlight=False, soft_wrap=True)
    if any(isinstance(item, Remember) for item in items):
        out.print("something is remembered for the messages that follow")
    if not items:
        out.print("nothing: a message that holds no readings, such as a heartbeat")


def _rows(item: Item) -> Iterator[tuple[str, ...]]:
    match item:
        case Measured():
            for metric, value in item.values.items():
                yield "reading", item.device, metric, json.dumps(value), _when(item.t)
        case Happened():
            yield "event", item.device, item.type, json.dumps(item.attributes, ensure_ascii=False), _when(item.t)
        case Reach():
            yield "device", item.device, "", "reached" if item.online else "not reached", _when(item.t)
        case Status():
            yield "gateway", "", "", "online" if item.online else "offline", ""
        case Answer():
            yield "answer", "", item.topic, repr(item.payload)[:80], ""


def _when(t: float | None) -> str:
    if t is None:
        return "of its receipt"
    if not 0 < t < _LATEST:
        return f"{t:g} ms, not plausible"
    return local(int(t * MILLISECOND)).isoformat(sep=" ", timespec="milliseconds")
