"""What all commands share: the settings, clear errors, and a place to print."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import structlog
import typer
from rich.console import Console
from sqlalchemy.exc import OperationalError

from core.journal import JournalError
from core.lifecycle import PartFailed
from detectors.rules import RuleErrors
from devices.device_types import CatalogueError
from devices.registry import RegistryError
from ingest.store import StoreError
from shouwang.migrate import SchemaRefused
from shouwang.settings import Settings, SettingsError, load_settings

out = Console()
errors = Console(stderr=True)

DEFAULT_FILE = Path("shouwang.toml")
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar="SHOUWANG_CONFIG", help="Settings file; ./shouwang.toml when it exists."),
]

EXPECTED = (
    SettingsError,
    SchemaRefused,
    JournalError,
    PartFailed,
    RuleErrors,
    CatalogueError,
    RegistryError,
    StoreError,
    OSError,
)
"""Errors that a person can mend: told in their own words, without a traceback."""

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


def fail(text: str) -> typer.Exit:
    """Print what is wrong, and give the exception that ends the command with status 1."""
    errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)


def telling_errors(command: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """Turn an expected error into its text and exit status 1."""

    @wraps(command)
    def told(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Answer:
        try:
            return command(*arguments, **options)
        except OperationalError as error:
            raise fail(f"the database does not answer: {error.orig}") from error
        except EXPECTED as error:
            raise fail(str(error)) from error

    return told


def settings_from(config: Path | None) -> Settings:
    """The settings of this file, of ./shouwang.toml, or the defaults."""
    return load_settings(settings_file(config))


def settings_file(config: Path | None) -> Path | None:
    """The settings file that is named, or ./shouwang.toml, or none."""
    return config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)


def log_to_stderr(level: str = "info") -> None:
    """Structured log lines on standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )
