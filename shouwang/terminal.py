"""What all commands share: the settings, clear errors, and a place to print."""

import sqlite3
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
from shouwang.reasons import Reason, why_no_file, why_no_store
from shouwang.settings import Settings, SettingsError, load_settings

out = Console()
errors = Console(stderr=True)

LanguageOption = Annotated[str, typer.Option("--language", help="zh or en. Default: that of the settings.")]
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

_DATABASE_FAULTS = (
    ("disk is full", "磁盘满了，请清理（旧备份、replaced-… 目录）或扩盘", "the disk is full: free some, or enlarge it"),
    (
        "disk I/O error",
        "磁盘满了或坏了，请看剩余空间和系统日志",
        "the disk is full or broken: look at its room, at the system's log",
    ),
    ("No space left", "磁盘满了，请清理或扩盘", "the disk is full: free some, or enlarge it"),
    ("readonly database", "本用户不能写库文件，请改正属主", "this user may not write its file: mend the owner"),
    (
        "unable to open database file",
        "库文件打不开，请查目录和属主",
        "its file can't be opened: look at folder and owner",
    ),
)
"""What a database's own words begin to mean: (a part of them, Chinese, English)."""

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
        except (OperationalError, sqlite3.OperationalError) as error:
            raise fail(_of_database(error)) from error
        except StoreError as error:
            raise fail(_in_both(error, why_no_store(error))) from error
        except OSError as error:
            raise fail(_in_both(error, why_no_file(error))) from error
        except EXPECTED as error:
            raise fail(str(error)) from error

    return told


def _in_both(error: Exception, why: Reason) -> str:
    """Chinese first; what has no words of ours once, as it came."""
    if why.zh == why.en or "\n" in str(error):
        return str(error)
    if isinstance(error, OSError):
        return f"{why.zh}\n{why.en}"
    return f"{why.zh}（{error}）\n{error}: {why.en}"


def _of_database(error: Exception) -> str:
    """What to do about a database that can't be used."""
    why = str(getattr(error, "orig", error)).strip()
    for sign, zh, en in _DATABASE_FAULTS:
        if sign in why:
            return f"数据库用不了（{why}）：{zh}。\nthe database can't be used: {en}"
    return (
        f"数据库没有应答（{why}）：它在运行吗？地址、用户、口令对吗？shouwang doctor 逐项检查。\n"
        "the database does not answer: does it run, are its address, user and password right? `shouwang doctor` tells"
    )


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
