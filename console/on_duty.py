"""Who may run the desk's affairs: dispatchers and administrators, and leaders, whose accounts are a patroller's."""

from typing import Annotated, NamedTuple

from fastapi import Depends

from alerts.lifecycle import Role
from alerts.quiet_limits import QUIET_ROLES
from console.access import Forbidden, Given, Patroller
from console.accounts import Account
from console.acting import role_of, role_of_person
from core.database import reading


class OnDuty(NamedTuple):
    """An account with the role in which it acts."""

    account: Account
    role: Role


def on_duty(services: Given, account: Patroller) -> OnDuty:
    """A dispatcher who is a leader acts as the leader; a patroller's account may pass only so. Raises Forbidden."""
    role = role_of(account) if account.role != "patroller" else None
    if role != "admin" and account.person:
        with reading(services.engine) as connection:
            own = role_of_person(connection, account.person)
        role = own if own == "leader" or role is None else role
    if role not in QUIET_ROLES:
        raise Forbidden
    return OnDuty(account, role)


Keeper = Annotated[OnDuty, Depends(on_duty)]
