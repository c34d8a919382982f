"""The demo's phone page: messages in a table, keyed by notice, so that a second sending of one has no effect."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError

from alerts.channels import Outcome, OutgoingNotice, PlainChannel
from alerts.channels.transport import printable
from alerts.links import personal_url
from alerts.measurements import Language
from alerts.one_writer import insert_or
from alerts.tables import phone_message
from alerts.texts import phone_text
from core.database import reading, writing


class PhonePage(PlainChannel):
    """Writes to one person's page; an address is the person's code."""

    deduplicates = True
    can_ask = True
    one_to_one = True

    def __init__(self, name: str, engine: Engine, console_url: str, language: Language = "zh") -> None:
        self.name = name
        self._engine = engine
        self._console_url = console_url
        self._language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        try:
            with writing(self._engine) as connection:
                self.deliver(connection, [notice])
        except OperationalError:
            return Outcome("uncertain", "database", "the database did not answer")
        return Outcome("accepted", provider_id=str(notice.id))

    def deliver(self, connection: Connection, notices: Sequence[OutgoingNotice]) -> None:
        connection.execute(_written(connection.dialect.name), [self._message(each) for each in notices])

    def _message(self, notice: OutgoingNotice) -> dict[str, Any]:
        return {
            "notice": notice.id,
            "person": notice.address,
            "text": printable(phone_text(notice, self._language)),
            "link": personal_url(self._console_url, notice.link) if notice.link else "",
            "sent_at": notice.at,
        }

    def ask(self, notice: OutgoingNotice) -> Outcome:
        try:
            with reading(self._engine) as connection:
                found = connection.scalar(select(phone_message.c.notice).where(phone_message.c.notice == notice.id))
        except OperationalError:
            return Outcome("uncertain", "database", "the database did not answer")
        return Outcome("failed", "unknown", "no such message") if found is None else Outcome("accepted")


@cache
def _written(dialect: str) -> Any:
    return insert_or(dialect, phone_message).on_conflict_do_nothing()
