"""The views by which Grafana reads the desk's live tables, in a PostgreSQL schema of their own.

They hold nothing, so they are no migration's: they are dropped before one, which may then alter any table, and made
anew after it, or whenever their text is another than the one they were made from.
"""

import hashlib
from importlib.resources import files

from sqlalchemy import Connection, text

SCHEMA = "grafana"
"""Not for views of the town's own: it is dropped with all that is in it."""
READER = "shouwang_read"
"""The role that may read the views and nothing else."""


def views_text() -> str:
    """The statements that make the schema and its views."""
    return "\n".join((files("grafana") / name).read_text(encoding="utf-8") for name in ("views.sql", "limits.sql"))


def views_stand(connection: Connection) -> bool:
    """Whether this database has the views as they are now; on SQLite, which Grafana can't read, there are none."""
    if connection.dialect.name != "postgresql":
        return False
    made = text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :schema")
    return bool(connection.scalar(made, {"schema": SCHEMA}) == _digest())


def may_make_views(connection: Connection) -> bool:
    """Whether this account may make the schema or owns it."""
    allowed = text(
        "SELECT coalesce((SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = :schema), "
        "has_database_privilege(current_database(), 'CREATE'))"
    )
    return connection.dialect.name == "postgresql" and bool(connection.scalar(allowed, {"schema": SCHEMA}))


def drop_views(connection: Connection) -> None:
    """Drop the schema, if this account may."""
    if may_make_views(connection):
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def ensure_views(connection: Connection) -> bool:
    """Make the views anew unless they stand, and let the role read them where there is one; whether they stand then.

    An account that may make no schema leaves the town without them; the platform needs none.
    """
    if views_stand(connection):
        return True
    if not may_make_views(connection):
        return False
    drop_views(connection)
    connection.exec_driver_sql(views_text())
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS '{_digest()}'")
    if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": READER}):
        let_read(connection)
    return True


def let_read(connection: Connection) -> None:
    """Let the role read the views."""
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {READER}")
    connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {READER}")


def _digest() -> str:
    return f"shouwang {hashlib.sha256(views_text().encode()).hexdigest()[:16]}"
