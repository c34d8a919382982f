"""`shouwang rules apply | withdraw | history | show`: edits of the rules, each a version with author and reason."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection, Engine

from core.clock import SystemClock, local
from core.database import reading, writing
from detectors import sheets
from detectors.rule_changes import fields_of
from detectors.rule_fields import near
from detectors.rule_history import Edition, edits_of, history
from detectors.rules import RuleErrors, RuleSet, UnknownRules, load_version, newest_version
from devices.device_types import load_device_types
from shouwang.announcing import announce_rules
from shouwang.diagnosis import database_is_missing
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, errors, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

AuthorOption = Annotated[str, typer.Option(help="Who answers for the edit.")]
ReasonOption = Annotated[str, typer.Option(help="Why; kept with the version.")]
LoosenOption = Annotated[
    bool, typer.Option("--loosen", help="Life-safety rules may announce less, or later, than before.")
]
_TELL = {
    "no_author": "--author is empty",
    "no_reason": "--reason is empty",
    "bad_name": "a sheet's name is of a-z, 0-9, - and _; give one with --name",
    "no_sheet": "there is no sheet of this name in force",
    "loosens": "life-safety rules would announce less, or later: if that is meant, add --loosen",
    "changed": "somebody else edited it since",
    "too_large": "a sheet is too large; limits of each device belong in its attributes",
}


_NOTHING = "no rules are recorded yet: start the platform, or put them in force with `shouwang rules apply`"


def database_of(settings: Settings) -> Engine:
    """The database that is there; these commands make none."""
    if database_is_missing(settings):
        raise fail("there is no database yet: run `shouwang init`, or name the settings file with --config")
    return open_database(settings)


def text_of(file: Path) -> str:
    """A rule pack's text."""
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise fail(f"{file}:1:1: is no UTF-8 text: {error.reason} at byte {error.start}") from error


def in_file(lines: Iterable[str], sheet: str, file: Path | None) -> list[str]:
    """The errors of a sheet as those of the file that it was read from.

    >>> in_file(["drill:2:5: dwell: wrong", "gas.yaml:1:1: rule: unknown key"], "drill", Path("a/drill.yaml"))
    ['a/drill.yaml:2:5: dwell: wrong', 'gas.yaml:1:1: rule: unknown key']
    """
    return [f"{file or sheet}{line.removeprefix(sheet)}" if line.startswith(f"{sheet}:") else line for line in lines]


def tell_errors(lines: Iterable[str]) -> None:
    """One error a line."""
    for line in lines:
        errors.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands to `shouwang rules`."""
    for command in (apply, withdraw, history_, show):
        app.command(command.__name__.rstrip("_"))(command)


@telling_errors
def apply(
    author: AuthorOption,
    reason: ReasonOption,
    file: Annotated[
        Path | None,
        typer.Argument(help="A rule pack; none: only the files of the settings.", exists=True, dir_okay=False),
    ] = None,
    name: Annotated[str, typer.Option(help="The sheet that the file becomes; by default the file's name.")] = "",
    loosen: LoosenOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a file in force as a sheet; without a file what changed in the rule files since the start.

    A running platform follows at once: edited limits keep their dwell and open alerts, a withdrawn rule's alerts close.
    """
    settings = settings_from(config)
    text = text_of(file) if file else ""
    if file and not text.strip():
        raise fail(f"{file} is empty; to take a sheet out of force there is `shouwang rules withdraw NAME`")

    def change(connection: Connection) -> int:
        known = (author, reason, SystemClock().now(), load_device_types(settings.device_types), settings.rules)
        if file is None:
            return sheets.put_in_force(connection, *known, may_loosen=loosen)
        return sheets.edit(connection, name or file.stem, text, *known, may_loosen=loosen)

    try:
        _edited(settings, change)
    except RuleErrors as wrong:
        tell_errors(in_file(wrong.errors, name or (file.stem if file else ""), file))
        count = f"{len(wrong.errors)} error{'s' * (len(wrong.errors) > 1)}"
        raise fail(f"{count}: nothing was changed") from wrong


@telling_errors
def withdraw(
    name: Annotated[str, typer.Argument(help="The sheet's name.")],
    author: AuthorOption,
    reason: ReasonOption,
    loosen: LoosenOption = False,
    config: ConfigOption = None,
) -> None:
    """Take a sheet out of force; the alerts of rules that only it had close."""
    settings = settings_from(config)

    def change(connection: Connection) -> int:
        types = load_device_types(settings.device_types)
        now = SystemClock().now()
        return sheets.withdraw(connection, name, author, reason, now, types, settings.rules, may_loosen=loosen)

    _edited(settings, change)


def _edited(settings: Settings, change: Callable[[Connection], int]) -> None:
    engine = database_of(settings)
    try:
        with writing(engine) as connection:
            before = newest_version(connection)
            version = change(connection)
            told = history(connection, 1)[0] if version != before else None
    except sheets.EditRefused as refused:
        for line in refused.details:
            errors.print(line, markup=False, highlight=False, soft_wrap=True)
        raise fail(f"nothing was changed: {_TELL.get(refused.why, refused.why)}") from refused
    finally:
        engine.dispose()
    if told is None:
        out.print(f"the rules are those of version {version} already", highlight=False)
        return
    announce_rules(settings)
    _print(told)


def _print(edition: Edition) -> None:
    moment = f"{local(edition.at):%Y-%m-%d %H:%M:%S}"
    title = f"version {edition.version}, {moment}, {edition.author}: {edition.reason}"
    out.print(title, highlight=False, markup=False, soft_wrap=True)
    for change in edition.changes:
        looser = change.field in edition.loosened.get(change.rule, ())
        out.print(f"  {change.told()}{'  (looser)' * looser}", highlight=False, markup=False, soft_wrap=True)


@telling_errors
def history_(
    version: Annotated[int | None, typer.Argument(min=1, help="Only this version.")] = None,
    rule: Annotated[str, typer.Option(help="Only what changed this rule.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many versions back.")] = 20,
    config: ConfigOption = None,
) -> None:
    """The rules' versions, the newest first: who changed which field from what to what, and why."""
    engine = database_of(settings_from(config))
    with reading(engine) as connection:
        newest = newest_version(connection)
        found = history(connection, 1 if version else limit, version + 1 if version else None)
        known = load_version(connection, newest).rules if newest and rule else {}
    engine.dispose()
    if newest is None:
        raise fail(_NOTHING)
    if version and (not found or found[0].version != version):
        raise fail(f"there is no version {version}; the newest is {newest}")
    told = edits_of(found, rule) if rule else found
    if not told and rule not in known:
        raise fail(f"there is no rule {rule}{near(rule, known)}")
    for edition in told:
        _print(edition)
    if not told:
        out.print(f"none of these versions changed {rule}", highlight=False, markup=False)


@telling_errors
def show(
    rule: Annotated[str, typer.Argument(help="A rule's id, such as gas.leak.")],
    version: Annotated[int | None, typer.Option(min=1, help="As of this version; by default the newest.")] = None,
    config: ConfigOption = None,
) -> None:
    """One rule of a version with all its fields and overrides."""
    engine = database_of(settings_from(config))
    try:
        with reading(engine) as connection:
            number = version or newest_version(connection)
            rules = load_version(connection, number) if number else RuleSet(0)
    except UnknownRules as unknown:
        raise fail(str(unknown)) from unknown
    finally:
        engine.dispose()
    if not rules.version:
        raise fail(_NOTHING)
    if rule not in rules.rules:
        raise fail(f"version {rules.version} has no rule {rule}{near(rule, rules.rules)}")
    table = Table(f"{rule}, version {rules.version}", "")
    for field, value in fields_of(rules.rules[rule]).items():
        table.add_row(Text(field), Text(value))
    table.add_row("from", Text(rules.rules[rule].source or "—"))
    out.print(table)
