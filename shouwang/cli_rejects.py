"""`shouwang rejects`: what the gate refused; list, show, enrol whose it is, and send through the gate again."""

from typing import Annotated

import typer
from rich.table import Table

from core.clock import HOUR, SystemClock, local
from core.database import reading, writing
from devices.device_types import load_device_types
from devices.enrolment import NewDevice
from ingest.dead_letter_writer import ask_for_replay
from ingest.dead_letters import list_dead_letters, refused_again, replayable, totals
from ingest.dead_letters import show as show_letter
from ingest.strangers import StrangerRefused, enrol_stranger, fitting, measured, stranger_of
from shouwang.announcing import announce_registry
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="Dead letters: messages that were refused.")

GatewayOption = Annotated[str | None, typer.Option(help="Only this gateway's.")]
ReasonOption = Annotated[str | None, typer.Option(help="Only those refused for this reason.")]
ContainsOption = Annotated[str | None, typer.Option(help="Only those with this text, such as a device's name.")]


@app.command("list")
@telling_errors
def list_(
    config: ConfigOption = None,
    gateway: GatewayOption = None,
    reason: ReasonOption = None,
    contains: ContainsOption = None,
    hours: Annotated[float, typer.Option(help="How far back.")] = 24,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """The newest dead letters, and how many there were of each kind."""
    engine = open_database(settings_from(config))
    since = SystemClock().now() - int(hours * HOUR)
    with reading(engine) as connection:
        letters = list_dead_letters(connection, gateway, reason, since, limit, contains)
        counts = totals(connection, since, gateway, reason)
        again = refused_again(connection, letters)
    table = Table("id", "received", "gateway", "reason", "detail", "replayed")
    for letter in letters:
        received = f"{local(letter.received_at):%m-%d %H:%M:%S}"
        replayed = f"again {again[letter.id]}" if letter.id in again else "yes" if letter.replayed_at else ""
        table.add_row(str(letter.id), received, letter.gateway, letter.reason, letter.detail, replayed)
    out.print(table)
    for total in counts:
        out.print(f"{total.gateway} {total.reason}: {total.messages} messages, {total.readings} readings", markup=False)


@app.command()
@telling_errors
def show(letter: int, config: ConfigOption = None) -> None:
    """One dead letter with its whole payload."""
    engine = open_database(settings_from(config))
    with reading(engine) as connection:
        found = show_letter(connection, letter)
    if found is None:
        raise fail(f"there is no dead letter {letter}")
    for name in ("topic", "gateway", "reason", "detail", "readings"):
        out.print(f"{name:9} {getattr(found, name)}", markup=False, highlight=False)
    out.print(f"received  {local(found.received_at).isoformat()}", highlight=False)
    out.print(found.payload.decode("utf-8", errors="backslashreplace"), markup=False, highlight=False, soft_wrap=True)


@app.command()
@telling_errors
def replay(
    letters: Annotated[list[int] | None, typer.Argument(help="Ids; none: all that the options select.")] = None,
    config: ConfigOption = None,
    gateway: GatewayOption = None,
    reason: ReasonOption = None,
    contains: ContainsOption = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
) -> None:
    """Send dead letters through the gate again, in their order, with their own time of receipt.

    The running platform does it within seconds; one that is stopped does it when it starts.
    """
    if not (letters or gateway or reason or contains or every):
        raise fail("name the letters, a --gateway, a --reason, a text that they contain, or --all")
    engine = open_database(settings_from(config))
    with writing(engine) as connection:
        chosen = set(letters or (number for number, _ in replayable(connection, gateway, reason, contains=contains)))
        now = SystemClock().now()
        refused = sorted(number for number in chosen if not ask_for_replay(connection, [number], now))
    out.print(f"{len(chosen) - len(refused)} to be replayed")
    if refused:
        raise fail(f"can't be replayed, unknown, too large, or only a sample of many: {', '.join(map(str, refused))}")


@app.command("enrol")
@telling_errors
def enrol_(
    letter: Annotated[int, typer.Argument(help="A letter that was refused as unknown_device.")],
    type_: Annotated[str, typer.Option("--type", help="The device's type.")],
    site: Annotated[str, typer.Option(help="The code of the site where it stands.")],
    config: ConfigOption = None,
    code: Annotated[str | None, typer.Option(help="Its code here; without one its name in the letter.")] = None,
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    state: Annotated[str, typer.Option(help="commissioning or in_service.")] = "in_service",
    replay_: Annotated[bool, typer.Option("--replay/--no-replay", help="Replay its letters, in their order.")] = True,
) -> None:
    """Enrol the unknown device that a letter is about, and send its letters through the gate again.

    Under another code it keeps the letter's name as its alias, by which its gateway goes on to spell it.
    """
    settings = settings_from(config)
    types = load_device_types(settings.device_types)
    with writing(open_database(settings)) as connection:
        found = show_letter(connection, letter)
        stranger = stranger_of(found) if found else None
        if stranger is None:
            raise fail(f"letter {letter} is about no unknown device")
        new = NewDevice(code or stranger.name, type_, stranger.gateway, site, name, state=state)
        names = measured(connection, stranger)
        try:
            _, asked = enrol_stranger(connection, types, stranger, new, SystemClock().now(), replay_)
        except StrangerRefused as refused:
            fits = ", ".join(fit.type for fit in fitting(types, names)[:3])
            raise fail(f"{refused}; by what it measures it may be: {fits}" if fits else str(refused)) from refused
    announce_registry(settings)
    out.print(f"{new.code} enrolled, {asked} letters to be replayed", highlight=False)
