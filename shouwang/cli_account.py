"""`shouwang account`: who may sign in."""

import secrets
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy import delete, select, update

from alerts.tables import person
from console.accounts import ROLES, AccountRefused, create_account
from console.language import text
from console.tables import account, session
from core.clock import SystemClock
from core.database import reading, writing
from devices.credentials import hash_password
from shouwang.terminal import ConfigOption, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="Accounts of dispatchers, patrollers and administrators.")

Username = Annotated[str, typer.Argument(help="The name to sign in with.")]


def _one_time_password() -> str:
    return secrets.token_urlsafe(12)


@app.command()
@telling_errors
def add(
    username: Username,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")],
    person_code: Annotated[str | None, typer.Option("--person", help="The person's code in the town.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make an account with a one-time password, shown once; it must be changed at the first sign-in."""
    engine, password = open_database(settings_from(config)), _one_time_password()
    with writing(engine) as connection:
        if person_code and not connection.scalar(select(person.c.code).where(person.c.code == person_code)):
            raise fail(f"there is no person {person_code} in the town")
        if role == "patroller" and not person_code:
            raise fail("a patroller's account needs --person: whose tickets would it show?")
        try:
            create_account(connection, username, role, password, person_code, True, now=SystemClock().now())
        except AccountRefused as refused:
            raise fail(text("en", str(refused))) from refused
    out.print(f"{username} / {password}   (once: it must be changed)", highlight=False, markup=False)


@app.command("list")
@telling_errors
def list_(config: ConfigOption = None) -> None:
    """All accounts."""
    with reading(open_database(settings_from(config))) as connection:
        columns = (account.c.username, account.c.role, account.c.person, account.c.must_change)
        rows = connection.execute(select(*columns).order_by(account.c.username)).all()
    table = Table("name", "role", "person", "password")
    for row in rows:
        table.add_row(row.username, row.role, row.person or "", "to be changed" if row.must_change else "")
    out.print(table)


@app.command()
@telling_errors
def reset(username: Username, config: ConfigOption = None) -> None:
    """Give an account a new one-time password and end its sessions."""
    password = _one_time_password()
    with writing(open_database(settings_from(config))) as connection:
        changed = {"password_hash": hash_password(password), "must_change": True}
        if not connection.execute(update(account).where(account.c.username == username).values(changed)).rowcount:
            raise fail(f"there is no account {username}")
        connection.execute(delete(session).where(session.c.account == username))
    out.print(f"{username} / {password}   (once: it must be changed)", highlight=False, markup=False)


@app.command()
@telling_errors
def remove(username: Username, config: ConfigOption = None) -> None:
    """End an account and its sessions; what it did stays in the logs."""
    with writing(open_database(settings_from(config))) as connection:
        connection.execute(delete(session).where(session.c.account == username))
        if not connection.execute(delete(account).where(account.c.username == username)).rowcount:
            raise fail(f"there is no account {username}")
    out.print(f"{username} removed", highlight=False, markup=False)
