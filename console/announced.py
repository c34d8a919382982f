"""Changes as pages are told of them: with the words that an announcement needs."""

from sqlalchemy import Engine, select

from alerts.changes import changes_after
from alerts.tables import alert
from console.dossier import sites_named
from console.feed import Event, ReadAfter
from core.database import reading


def changes_announced(engine: Engine) -> ReadAfter:
    """A reader of changes; one about an alert says what it is about now: severity, hazard, state, place."""

    def read_after(seen: int, limit: int) -> list[Event]:
        with reading(engine) as connection:
            changes = changes_after(connection, seen, limit)
            wanted = {change.id_of for change in changes if change.kind == "alert"}
            columns = (alert.c.id, alert.c.severity, alert.c.level, alert.c.hazard, alert.c.state, alert.c.site)
            found = connection.execute(select(*columns, alert.c.reopened).where(alert.c.id.in_(wanted)))
            about = {row.id: dict(row._mapping) for row in found}
            names = sites_named(connection, [row["site"] for row in about.values() if row["site"]])
        for row in about.values():
            row["place"] = names.get(row["site"])
        return [
            Event(change.id, {**change._asdict(), "alert": about.get(change.id_of) if change.kind == "alert" else None})
            for change in changes
        ]

    return read_after
