"""The relational database: one metadata, engines for SQLite and PostgreSQL, and two kinds of transaction."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, Connection, Engine, Integer, MetaData, create_engine, event
from sqlalchemy.engine import make_url

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every package's tables register here; `shouwang/migrations` creates them."""

RowId = BigInteger().with_variant(Integer, "sqlite")
"""The type of an autoincrementing primary key (SQLite only autoincrements INTEGER)."""


_HANDED_OVER = -1  # to the next in the row, who is about to wake up


class FairLock:
    """A lock that threads get in the order in which they asked for it. Not reentrant."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._holder = 0

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._gate:
            if not self._holder:
                self._holder = me
                return
            if self._holder == me:
                raise RuntimeError("this thread is in a write transaction already")
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()
        self._holder = me

    def __exit__(self, *_: object) -> None:
        with self._gate:
            self._holder = _HANDED_OVER if self._waiting else 0
            if self._waiting:
                self._waiting.popleft().release()


_turns: WeakKeyDictionary[Engine, FairLock] = WeakKeyDictionary()
"""SQLite lets writers poll for its lock, so that one that writes all the time starves all others: here they queue."""


def open_engine(url: str, name: str = "") -> Engine:
    """An engine for `sqlite:///FILE` or `postgresql+psycopg://…`, whose sessions PostgreSQL shows under `name`.

    PostgreSQL plans each execution anew. SQLite runs in WAL mode with foreign keys on and synchronous=FULL; a write
    transaction takes its lock when it begins, so that it waits instead of failing halfway.
    """
    if make_url(url).get_backend_name() != "sqlite":
        called = {"application_name": name} if name else {}
        return _plans_fresh(create_engine(url, pool_pre_ping=True, connect_args=called))
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})
    _turns[engine] = FairLock()

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("shouwang_reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _plans_fresh(engine: Engine) -> Engine:
    """Have PostgreSQL plan each execution.

    It would keep a plan that was made when a table held nothing, and a storm fills tables within seconds.
    """

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("SET plan_cache_mode = force_custom_plan")
        connection.commit()

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed at the end, rolled back on an exception."""
    with _turns.get(engine, nullcontext()), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent read transaction that blocks no writer.

    It ends with a commit, as psycopg drops what a connection has prepared at each rollback.
    """
    with engine.connect() as connection:
        options: dict[str, Any] = {"shouwang_reading": True}
        if engine.dialect.name != "sqlite":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        yield connection.execution_options(**options)
        connection.commit()
