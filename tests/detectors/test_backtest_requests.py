"""Backtests as rows, on both databases: what is over is not kept for ever."""

from sqlalchemy import Connection, Engine, insert, select, update

from core.clock import HOUR
from core.database import reading, writing
from detectors import backtest_requests
from detectors.tables import backtest, rule_proposal

NOW = 1_790_000_000_000_000


def ask(connection: Connection, state: str) -> int:
    """A backtest that came to this."""
    number = backtest_requests.request(connection, "rules: {}", NOW - HOUR, NOW, [], backtest_requests.PLATFORM, NOW)
    connection.execute(update(backtest).where(backtest.c.id == number).values(state=state))
    return number


def test_the_newest_are_kept_and_those_that_a_proposal_names_or_that_go_on(engine: Engine) -> None:
    with writing(engine) as connection:
        named, running, old, cancelled = (
            ask(connection, state) for state in ("done", "running", "failed", "cancelled")
        )
        row = {"rule": "noise.day", "scope_kind": "rule", "scope": "", "change": {}, "why": {}, "made_at": NOW}
        connection.execute(insert(rule_proposal).values(**row, state="dismissed", backtest=named))
        newer = [ask(connection, "done") for _ in range(backtest_requests.KEPT + 1)]
    with reading(engine) as connection:
        kept = set(connection.execute(select(backtest.c.id)).scalars())
    assert kept == {named, running, *newer}
    assert not kept & {old, cancelled}
