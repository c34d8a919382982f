"""`shouwang store`: what the readings store needs before its first use, and a token for who only reads."""

import os
from pathlib import Path
from typing import Annotated

import typer

from shouwang.stores import prepare_store, reader_of_store
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors

app = typer.Typer(no_args_is_help=True, help="The readings store.")
_MODE = 0o640


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


@app.command()
@telling_errors
def reader(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where the token is kept, for its owner and group.")],
    config: ConfigOption = None,
) -> None:
    """Make a token that may read the readings and nothing else, for Grafana; again it stays while it works.

    For an InfluxDB 2.x the token in `store` must be one that may make tokens; on 1.x a user is made.
    """
    settings = settings_from(config)
    if settings.influx is None:
        raise fail(
            "读数存在本机文件里，没有令牌：Grafana 的读数图要用 InfluxDB。\n"
            "The readings are in a file, which has no token: Grafana's panels of readings need an InfluxDB."
        )
    kept = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    line = reader_of_store(settings, kept, lambda token: _keep(file, token))
    out.print(f"{line} ({file})", markup=False, highlight=False, soft_wrap=True)


def _keep(file: Path, token: str) -> None:
    """The token, whole or not at all under its name."""
    draft = file.with_name(f".{file.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8") as opened:
        opened.write(token)
        opened.flush()
        os.fsync(opened.fileno())
    draft.chmod(_MODE)
    draft.replace(file)
