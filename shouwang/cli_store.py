"""`shouwang store`: what the readings store needs before its first use."""

import typer

from shouwang.stores import prepare_store
from shouwang.terminal import ConfigOption, out, settings_from, telling_errors

app = typer.Typer(no_args_is_help=True, help="The readings store.")


@app.callback()
def store() -> None:
    """The readings store."""


@app.command()
@telling_errors
def init(config: ConfigOption = None) -> None:
    """Make the buckets for readings and roll-ups, their retention and their names for InfluxQL; again changes nothing.

    For an InfluxDB 2.x the token in `store` must be one that may make buckets, such as an all-access token.
    """
    for line in prepare_store(settings_from(config)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
