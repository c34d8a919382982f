"""`shouwang rules apply | withdraw | history | show`: edits of the rules, each a version with author and reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from core.clock import SystemClock, local
from core.database import reading, writing
from detectors import sheets
from detectors.rule_changes import fields_of
from detectors.rule_history import Edition, edits_of, history
from detectors.rules import RuleSet, UnknownRules, load_version, newest_version
from devices.device_types import load_device_types
from shouwang.announcing import announce_rules
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
    "bad_name": "a sheet's name is of a-z, 0-9, - and _",
    "no_sheet": "there is no sheet of this name in force",
    "loosens": "life-safety rules would announce less, or later: if that is meant, add --loosen",
    "changed": "somebody else edited it since",
}


def add_to(app: typer.Typer) -> None:
    """Add the commands to `shouwang rules`."""
    for command in (apply, withdraw, history_, show):
        app.command(command.__name__.rstrip("_"))(command)


@telling_errors
def apply(
    author: AuthorOption,
    reason: ReasonOption,
    file: Annotated[Path | None, typer.Argument(help="A rule pack; none: only the files of the settings.")] = None,
    name: Annotated[str, typer.Option(help="The sheet that the file becomes; by default the file's name.")] = "",
    loosen: LoosenOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a file in force as a sheet; without a file what changed in the rule files since the start.

    A running platform follows at once: edited limits keep their dwell and open alerts, a withdrawn rule's alerts close.
    """
    settings = settings_from(config)
    text = file.read_text(encoding="utf-8") if file else ""

    def change(connection: Connection) -> int:
        known = (author, reason, SystemClock().now(), load_device_types(settings.device_types), settings.rules)
        if file is None:
            return sheets.put_in_force(connection, *known, may_loosen=loosen)
        return sheets.edit(connection, name or file.stem, text, *known, may_loosen=loosen)

    _edited(settings, change)


@telling_errors
def withdraw(
    name: str, author: AuthorOption, reason: ReasonOption, loosen: LoosenOption = False, config: ConfigOption = None
) -> None:
    """Take a sheet out of force; the alerts of rules that only it had close."""
    settings = settings_from(config)

    def change(connection: Connection) -> int:
        types = load_device_types(settings.device_types)
        now = SystemClock().now()
        return sheets.withdraw(connection, name, author, reason, now, types, settings.rules, may_loosen=loosen)

    _edited(settings, change)


def _edited(settings: Settings, change: Callable[[Connection], int]) -> None:
    engine = open_database(settings)
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
    version: Annotated[int | None, typer.Argument(help="Only this version.")] = None,
    rule: Annotated[str, typer.Option(help="Only what changed this rule.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many versions back.")] = 20,
    config: ConfigOption = None,
) -> None:
    """The rules' versions, the newest first: who changed which field from what to what, and why."""
    engine = open_database(settings_from(config))
    with reading(engine) as connection:
        found = history(connection, 1 if version else limit, version + 1 if version else None)
    engine.dispose()
    if version and (not found or found[0].version != version):
        raise fail(f"there is no version {version}")
    for edition in edits_of(found, rule) if rule else found:
        _print(edition)


@telling_errors
def show(
    rule: Annotated[str, typer.Argument(help="A rule's id, such as gas.leak.")],
    version: Annotated[int | None, typer.Option(help="As of this version; by default the newest.")] = None,
    config: ConfigOption = None,
) -> None:
    """One rule of a version with all its fields and overrides."""
    engine = open_database(settings_from(config))
    try:
        with reading(engine) as connection:
            number = version or newest_version(connection)
            rules = load_version(connection, number) if number else RuleSet(0)
    except UnknownRules as unknown:
        raise fail(str(unknown)) from unknown
    finally:
        engine.dispose()
    if rule not in rules.rules:
        raise fail(f"version {rules.version} has no rule {rule}")
    table = Table(f"{rule}, version {rules.version}", "")
    for field, value in fields_of(rules.rules[rule]).items():
        table.add_row(Text(field), Text(value))
    out.print(table)
