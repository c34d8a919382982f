"""The PostgreSQL role that Grafana signs in with: it reads the views and nothing else, and what it may is looked up."""

from typing import NamedTuple

from sqlalchemy import Connection, text

from grafana.views import READER, SCHEMA, let_read

_SIGN_INS = 20
_LONGEST_S = 30


class RoleRefused(Exception):
    """The role can't be made, or may more than it should; the text says why and what to do."""


class Fault(NamedTuple):
    """What is wrong with the role, in both languages."""

    zh: str
    en: str


def make_role(connection: Connection, password: str) -> list[Fault]:
    """Make the role, or set it right, in the caller's transaction; what of it this account could not set right.

    The views must stand. Raises RoleRefused for a role that may more than anybody can take from it here.
    """
    if too_much := _powers(connection):
        raise RoleRefused(
            f"角色 {READER} 另有权限（{too_much}）：请先收回。\n"
            f"The role {READER} has powers of its own ({too_much}): take them away first."
        )
    database = connection.scalar(text("SELECT quote_ident(current_database())"))
    known = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": READER})
    if not known:
        connection.exec_driver_sql(f"CREATE ROLE {READER}")
    verifier = _verifier(connection, password)
    for statement in (
        f"ALTER ROLE {READER} LOGIN NOINHERIT CONNECTION LIMIT {_SIGN_INS} PASSWORD '{verifier}'",
        f"ALTER ROLE {READER} IN DATABASE {database} SET default_transaction_read_only = on",
        f"ALTER ROLE {READER} IN DATABASE {database} SET statement_timeout = '{_LONGEST_S}s'",
        f"ALTER ROLE {READER} IN DATABASE {database} SET search_path = {SCHEMA}",
        f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {READER}",
        f"GRANT CONNECT ON DATABASE {database} TO {READER}",
    ):
        connection.exec_driver_sql(statement)
    let_read(connection)
    return role_faults(connection)


def role_faults(connection: Connection) -> list[Fault]:
    """What the role may though it should not, and may not though it should."""
    if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": READER}):
        return [Fault(f"没有角色 {READER}", f"there is no role {READER}")]
    return [
        Fault(zh.format(found), en.format(found))
        for question, zh, en in _QUESTIONS
        if (found := connection.scalar(text(question), {"role": READER, "schema": SCHEMA}))
    ]


def _powers(connection: Connection) -> str:
    """Attributes and memberships of a role that stands already."""
    asked = text(
        "SELECT concat_ws(', ', CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,"
        " CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,"
        " CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,"
        " (SELECT string_agg(g.rolname, ', ') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
        " WHERE m.member = r.oid)) FROM pg_roles r WHERE rolname = :role"
    )
    return connection.scalar(asked, {"role": READER}) or ""


def _verifier(connection: Connection, password: str) -> str:
    """What the server keeps of the password, made here, so that no log of statements has the password."""
    driver = connection.connection.driver_connection
    assert driver is not None
    made: bytes = driver.pgconn.encrypt_password(password.encode(), READER.encode(), b"scram-sha-256")
    return made.decode()


_RELATIONS = (
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"
)
_QUESTIONS = (
    (
        f"SELECT string_agg(c.relname, ', ' ORDER BY c.relname) {_RELATIONS} AND n.nspname = :schema"
        " AND NOT (has_schema_privilege(:role, n.oid, 'USAGE') AND has_table_privilege(:role, c.oid, 'SELECT'))",
        "不能读视图 {}",
        "may not read the views {}",
    ),
    (
        f"SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') {_RELATIONS}"
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema', :schema) AND n.nspname !~ '^pg_toast'"
        " AND (has_table_privilege(:role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
        " OR has_any_column_privilege(:role, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))",
        "能读写 {}",
        "may read or write {}",
    ),
    (
        f"SELECT string_agg(c.relname, ', ') {_RELATIONS} AND n.nspname = :schema"
        " AND has_table_privilege(:role, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')",
        "能写视图 {}",
        "may write the views {}",
    ),
    (
        "SELECT string_agg(nspname, ', ') FROM pg_namespace WHERE has_schema_privilege(:role, oid, 'CREATE')",
        "能在模式 {} 中建表",
        "may make tables in the schema {}",
    ),
    (
        "SELECT string_agg(one, ', ') FROM unnest(ARRAY['CREATE', 'TEMPORARY']) one"
        " WHERE has_database_privilege(:role, current_database(), one)",
        "在数据库中有权 {}",
        "has {} on the database",
    ),
)
