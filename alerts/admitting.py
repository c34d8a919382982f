"""What a ticket of a device or of the platform passes by itself; a person's report waits for the dispatcher at each."""

from typing import Any

from sqlalchemy import Connection

from alerts.lifecycle import Status
from alerts.tickets import Logged, write_logs
from alerts.words import Row

MEASURED = "measured_by_a_registered_device"


def admit(connection: Connection, ticket: Row, now: int, reason: str, details: Row, verified: str = MEASURED) -> None:
    """Log that a new ticket was reported for a named reason, verified and registered, all at once."""
    told: dict[str, Any] = dict(details)
    lines = (
        Logged("report", None, Status.REPORTED, reason, told),
        Logged("verify", Status.REPORTED, Status.VERIFIED, verified, {}),
        Logged("register", Status.VERIFIED, Status.REGISTERED, "rule_in_force", {}),
    )
    write_logs(connection, ticket["id"], now, lines)
