"""The views and the role that reads them: signed in as that role, views are all there is, and they name nobody."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from core.database import open_engine, reading, writing
from grafana.role import RoleRefused, make_role, role_faults
from grafana.views import READER, SCHEMA, drop_views, ensure_views, views_stand
from shouwang.migrate import migrate
from tests.alerts.desk_scene import fill_town
from tests.servers import Postgres

PASSWORD = "not'so\"easy"
PERSONAL_TABLES = {
    *("person", "contact", "duty", "position", "photo", "link", "delivery", "phone_message", "ticket_acceptance"),
    *("ticket_request", "outside_message", "drill", "drill_call", "quiet", "enterprise", "dead_letter"),
}
TEXTS = {
    "alert": "rule hazard category state held closed_how subject_kind subject_id site grid",
    "device": "code type state gateway site attributes",  # of these the limits that are numbers, see limits.sql
    "gateway": "code format site",
    "gateway_report": "gateway",
    "grid": "code name name_en village",
    "notice": "cause channel recipient_kind state",
    "reject_count": "gateway reason",
    "rules_version": "content",
    "series": "device metric",
    "site": "code kind name name_en grid attributes",
    "station": "code name name_en",
    "storm": "hazard",
    "team": "code name grid",
    "ticket": "number source status hazard category class_code title title_en site grid village team station result",
    "ticket_log": "action from_status to_status",
    "ticket_timer": "stage state clock",
    "village": "code name name_en",
}
"""Every column of text that a view may read; a new one is thought about here."""


@pytest.fixture(scope="module")
def desk(postgres: Postgres) -> Iterator[Engine]:
    """A migrated database with a town in it, as its owner sees it."""
    name = postgres.create()
    engine = open_engine(postgres.url(name))
    migrate(engine)
    with writing(engine) as connection:
        fill_town(connection)
        make_role(connection, PASSWORD)
    yield engine
    engine.dispose()
    postgres.drop(name)


@pytest.fixture(scope="module")
def reader(desk: Engine) -> Iterator[Engine]:
    """The same database, signed in as Grafana's role."""
    engine = open_engine(str(desk.url).replace("://postgres@", f"://{READER}@"))
    yield engine
    engine.dispose()


def _names(connection: Connection, schema: str) -> list[str]:
    asked = text("SELECT relname FROM pg_class WHERE relnamespace = CAST(:s AS regnamespace) AND relkind IN ('r', 'v')")
    return sorted(connection.scalars(asked, {"s": schema}))


def test_every_view_can_be_read(reader: Engine) -> None:
    with reading(reader) as connection:
        assert connection.scalar(text("SELECT current_user")) == READER
        views = _names(connection, SCHEMA)
        assert {"alert", "ticket", "ticket_due", "site", "notice"} <= set(views)
        for view in views:
            connection.execute(text(f"SELECT * FROM {SCHEMA}.{view}")).all()
        assert connection.scalar(text("SELECT count(*) FROM site")) == 5  # by its search path: the view


def test_no_table_can_be_read_or_written(desk: Engine, reader: Engine) -> None:
    with reading(desk) as connection:
        tables = _names(connection, "public")
    assert {"person", "ticket", "alert", "account", "alembic_version"} <= set(tables)
    for table in tables:
        for statement in (f"SELECT * FROM public.{table}", f"DELETE FROM public.{table}"):
            assert _refused(reader, statement) == "42501", statement


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM grafana.team",
        "INSERT INTO grafana.village (code, name, name_en) VALUES ('V9', 'x', 'x')",
        "UPDATE grafana.village SET name = 'x'",
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE grafana.mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY grafana.team TO PROGRAM 'cat'",
        f"ALTER ROLE {READER} SUPERUSER",
        "SET ROLE postgres",
    ],
)
def test_everything_else_is_refused(reader: Engine, statement: str) -> None:
    assert _refused(reader, statement) == "42501"


def _refused(engine: Engine, statement: str) -> str | None:
    """The SQLSTATE of a refusal, asked in a transaction that may write: that is only the role's habit, not its bar."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ WRITE")
        with pytest.raises(DBAPIError) as refused:
            connection.exec_driver_sql(statement)
    return getattr(refused.value.orig, "sqlstate", None)


def test_the_server_never_sees_the_password_itself(desk: Engine) -> None:
    with reading(desk) as connection:
        kept = connection.scalar(text("SELECT rolpassword FROM pg_authid WHERE rolname = :r"), {"r": READER})
    assert str(kept).startswith("SCRAM-SHA-256$")
    assert PASSWORD not in str(kept)


def test_a_sign_in_reads_only_and_not_for_ever(reader: Engine) -> None:
    with reader.connect() as connection:
        assert connection.scalar(text("SHOW default_transaction_read_only")) == "on"
        assert connection.scalar(text("SHOW statement_timeout")) == "30s"


def test_views_read_no_column_that_names_somebody(desk: Engine) -> None:
    used = text(
        "SELECT DISTINCT table_name, column_name FROM information_schema.view_column_usage WHERE view_schema = :s"
    )
    types = text(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'json', 'bytea')"
    )
    with reading(desk) as connection:
        columns = {tuple(row) for row in connection.execute(used, {"s": SCHEMA})}
        texts = {tuple(row) for row in connection.execute(types)}
    assert not {table for table, _ in columns} & PERSONAL_TABLES
    allowed = {(table, column) for table, names in TEXTS.items() for column in names.split()}
    assert columns & texts == allowed


def test_what_somebody_wrote_as_a_title_stays_in_the_desk(desk: Engine, reader: Engine) -> None:
    row = (
        "INSERT INTO ticket (number, source, status, title, title_en, hazard, category, class_code, severity,"
        " life_safety, address, assignment, policy, deadline_rule, reported_at, result_cause, updated_at)"
        " VALUES (:n, :s, 'reported', '张三家冒烟', 'smoke', 'smoke', '安全生产', '', 3, false, '',"
        " '{}', '{}', '', 1, '', 1)"
    )
    with writing(desk) as connection:
        for number, source in (("1", "iot"), ("2", "patrol"), ("3", "12345")):
            connection.execute(text(row), {"n": number, "s": source})
    with reading(reader) as connection:
        shown = {row.number: row.title for row in connection.execute(text("SELECT number, title FROM ticket"))}
    assert shown == {"1": "张三家冒烟", "2": "安全生产", "3": "安全生产"}


def test_made_again_the_role_is_the_same_and_has_no_faults(desk: Engine, reader: Engine) -> None:
    with writing(desk) as connection:
        assert make_role(connection, PASSWORD) == []
        assert role_faults(connection) == []
    assert _refused(reader, "SELECT * FROM public.person") == "42501"


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        (f"GRANT SELECT (phone) ON person TO {READER}", "may read or write public.person"),
        (f"GRANT CREATE ON SCHEMA public TO {READER}", "may make tables in the schema public"),
        (f"REVOKE SELECT ON grafana.site FROM {READER}", "may not read the views site"),
    ],
)
def test_what_somebody_changed_about_the_role_is_told(desk: Engine, grant: str, said: str) -> None:
    with desk.connect() as connection:
        connection.exec_driver_sql(grant)
        assert [fault.en for fault in role_faults(connection)] == [said]


def test_a_role_with_powers_of_its_own_is_refused(desk: Engine) -> None:
    with desk.connect() as connection:
        connection.exec_driver_sql(f"GRANT pg_read_all_data TO {READER}")
        with pytest.raises(RoleRefused, match="pg_read_all_data"):
            make_role(connection, PASSWORD)


def test_views_of_an_older_text_are_made_anew_and_stay_readable(desk: Engine, reader: Engine) -> None:
    with writing(desk) as connection:
        connection.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS 'shouwang of old'")
        connection.exec_driver_sql("DROP VIEW grafana.storm")
        assert not views_stand(connection)
        assert ensure_views(connection)
    with reading(reader) as connection:
        assert connection.execute(text("SELECT * FROM storm")).all() == []


def test_an_account_that_may_make_no_schema_leaves_the_town_without_views(postgres: Postgres) -> None:
    name = postgres.create()
    engine = open_engine(postgres.url(name))
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE ROLE plain LOGIN")
        connection.exec_driver_sql("GRANT CREATE ON SCHEMA public TO plain")
    theirs = open_engine(postgres.url(name).replace("://postgres@", "://plain@"))
    migrate(theirs)
    with reading(theirs) as connection:
        assert not views_stand(connection)
        assert connection.execute(text("SELECT * FROM ticket")).all() == []
    for each in (theirs, engine):
        each.dispose()
    postgres.drop(name)


def test_sqlite_has_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('views') / 'a.db'}")
    with writing(engine) as connection:
        drop_views(connection)
        assert not ensure_views(connection)
    engine.dispose()
