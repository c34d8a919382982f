"""`shouwang rejects`: what the gate refused; list, show, and send through the gate again."""

from typing import Annotated

import typer
from rich.table import Table

from core.clock import HOUR, SystemClock, local
from core.database import reading, writing
from ingest.dead_letter_writer import ask_for_replay
from ingest.dead_letters import list_dead_letters, replayable, totals
from ingest.dead_letters import show as show_letter
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="Dead letters: messages that were refused.")

GatewayOption = Annotated[str | None, typer.Option(help="Only this gateway's.")]
ReasonOption = Annotated[str | None, typer.Option(help="Only those refused for this reason.")]


@app.command("list")
@telling_errors
def list_(
    config: ConfigOption = None,
    gateway: GatewayOption = None,
    reason: ReasonOption = None,
    hours: Annotated[float, typer.Option(help="How far back.")] = 24,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """The newest dead letters, and how many there were of each kind."""
    engine = open_database(settings_from(config))
    since = SystemClock().now() - int(hours * HOUR)
    with reading(engine) as connection:
        letters = list_dead_letters(connection, gateway, reason, since, limit)
        counts = totals(connection, since)
    table = Table("id", "received", "gateway", "reason", "detail", "replayed")
    for letter in letters:
        received = f"{local(letter.received_at):%m-%d %H:%M:%S}"
        replayed = "yes" if letter.replayed_at else ""
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
    every: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
) -> None:
    """Send dead letters through the gate again, in their order, with their own time of receipt.

    The running platform does it within seconds; one that is stopped does it when it starts.
    """
    if not (letters or gateway or reason or every):
        raise fail("name the letters, a --gateway, a --reason, or --all")
    engine = open_database(settings_from(config))
    with writing(engine) as connection:
        chosen = set(letters or (number for number, _ in replayable(connection, gateway, reason)))
        now = SystemClock().now()
        refused = sorted(number for number in chosen if not ask_for_replay(connection, [number], now))
    out.print(f"{len(chosen) - len(refused)} to be replayed")
    if refused:
        raise fail(f"can't be replayed, unknown or cut as oversize: {', '.join(map(str, refused))}")
