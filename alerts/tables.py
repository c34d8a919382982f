"""Tables of alerts, tickets, responders and notices. Positions are WGS84 degrees; times µs UTC."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from alerts.queue_order import QUEUE_BY
from core.database import RowId, metadata
from core.derived import Derived

# Responders -----------------------------------------------------------------------------------------------------------

team = Table(
    "team",
    metadata,
    Column("code", String(20), primary_key=True),
    Column("name", Text, nullable=False),
    Column("grid", ForeignKey("grid.code"), nullable=False),
    Column("retired", Integer, nullable=False, default=0),
)
"""A grid patrol (网格巡查队)."""

station = Table(
    "station",
    metadata,
    Column("code", String(20), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_en", Text, nullable=False, default=""),
    Column("lng", Float, nullable=False),
    Column("lat", Float, nullable=False),
    Column("checkpoint", Boolean, nullable=False, default=False),
    Column("phone", String(32), nullable=False, default=""),
    Column("service_grids", JSON, nullable=False, default=list),  # grids it serves however far; [] = the nearest ones
    Column("retired", Integer, nullable=False, default=0),
)

person = Table(
    "person",
    metadata,
    Column("code", String(20), primary_key=True),
    Column("name", Text, nullable=False),
    Column(
        "role",
        String(12),
        CheckConstraint("role IN ('patroller', 'officer', 'leader', 'dispatcher')", name="role"),
        nullable=False,
    ),
    Column("phone", String(32), nullable=False, default=""),
    Column("wecom_userid", String(64), nullable=False, default=""),
    Column("team", ForeignKey("team.code")),
    Column("station", ForeignKey("station.code")),
    Column(
        "shift",
        String(12),
        CheckConstraint("shift IN ('day', 'evening', 'night', 'all')", name="shift"),
        nullable=False,
    ),
    Column("skills", JSON, nullable=False, default=list),
    Column("quiet_hours", String(11), nullable=False, server_default=""),  # "22:00-06:00", local; "" = the town's
    Column("retired", Integer, nullable=False, default=0),
)

duty = Table(
    "duty",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("person", ForeignKey("person.code"), nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    CheckConstraint("ends_at > starts_at", name="span"),
    Index(None, "person", "starts_at"),
)
"""A roster row; on a local day for which a person has one, it counts instead of the standing shift."""

contact = Table(
    "contact",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("owner_kind", String(12), nullable=False),  # person, team, station
    Column("owner", String(20), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("address", Text, nullable=False),
    UniqueConstraint("owner_kind", "owner", "channel"),
)
"""Where a responder is reached: the channel's name in settings and an address that this channel understands."""

# Alerts and tickets ---------------------------------------------------------------------------------------------------

alert = Table(
    "alert",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("subject_kind", String(12), nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("rule", String(80), nullable=False),
    Column("onset", BigInteger, nullable=False),
    Column("state", String(8), CheckConstraint("state IN ('open', 'closed')", name="state"), nullable=False),
    Column("severity", Integer, nullable=False),  # the highest so far
    Column("level", Integer, nullable=False),  # the present one
    Column("hazard", String(24), nullable=False),
    Column("category", String(24), nullable=False),
    Column("life_safety", Boolean, nullable=False),
    Column("paged", Boolean, nullable=False),
    Column("value", Float),  # of the step that reached the severity, as are limit, reason, age, evidence and rules
    Column("limit", Float),
    Column("series", Integer, nullable=False, default=-1),
    Column("site", String(40)),
    Column("grid", String(20)),
    Column("lng", Float),
    Column("lat", Float),
    Column("ticket", BigInteger),
    Column("held", String(12)),  # shelf, silence, window, inhibited: what keeps an open alert from having a ticket
    Column("held_by", BigInteger),  # the quiet's or the inhibiting alert's id
    Column("chattering", BigInteger),  # since when, µs; null: it does not
    Column("reason", Text, nullable=False, default=""),
    Column("age", BigInteger, nullable=False, default=0),
    Column("evidence", JSON, nullable=False, default=dict),
    Column("rules_version", Integer, nullable=False),
    Column("reopened", Integer, nullable=False, default=0),
    Column("closed_how", String(24)),  # as alert_decisions.CLOSED_HOW
    # the chain: when each hop of the reading that opened it was passed
    Column("at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("journalled_at", BigInteger, nullable=False),
    Column("journal_n", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    UniqueConstraint("subject_kind", "subject_id", "rule", "onset"),
    Index(
        "uq_alert_open",
        "subject_kind",
        "subject_id",
        "rule",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index(
        "ix_alert_open",  # holds all that the map of open alerts reads
        *("site", "level", "hazard", "state"),
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index(None, "site", "state"),
    Index(None, "ticket", "site"),
    Index(None, "onset"),
    Index(None, "opened_at"),
    Index(
        "ix_alert_held",
        "held",
        sqlite_where=text("held IS NOT NULL"),
        postgresql_where=text("held IS NOT NULL"),
    ),
)

ticket_number = Table(
    "ticket_number", metadata, Column("date", String(8), primary_key=True), Column("last", Integer, nullable=False)
)
"""The last sequence number given on a local date."""

ticket = Table(
    "ticket",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("number", String(16), nullable=False, unique=True),
    Column("source", String(12), nullable=False),  # iot, patrol, 12345, leader, video, outside, storm, drill
    Column("source_system", String(40), nullable=False, server_default=""),  # the platform that it came from
    Column("outside_number", String(64)),  # its number there
    Column("reporter", Text, nullable=False, server_default=""),
    Column("reporter_phone", String(32), nullable=False, server_default=""),
    Column("description", Text, nullable=False, server_default=""),
    Column("status", String(12), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_en", Text, nullable=False, default=""),
    Column("hazard", String(24), nullable=False),
    Column("category", String(24), nullable=False),
    Column("class_code", String(8), nullable=False, default=""),
    Column("component_code", String(16), nullable=False, server_default=""),
    Column("severity", Integer, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),  # 1 while supervised (督办)
    Column("life_safety", Boolean, nullable=False),
    Column("storm", BigInteger),  # the storm that it is the incident of
    Column("drill", BigInteger),  # the run of a drill that it belongs to
    Column("site", String(40)),
    Column("lng", Float),
    Column("lat", Float),
    Column("address", Text, nullable=False, default=""),
    Column("village", String(20)),
    Column("grid", String(20)),
    Column("team", String(20)),
    Column("station", String(20)),
    Column("station_distance", Float),  # metres
    Column("assignment", JSON, nullable=False, default=dict),  # the choice: every candidate, distance, reason
    Column("acceptance", String(8), nullable=False, server_default="first"),  # first wins, or both must
    Column("policy", JSON, nullable=False, default=dict),  # deadlines, escalation and rules as they were at dispatch
    Column("accept_by", BigInteger),
    Column("arrive_by", BigInteger),
    Column("done_by", BigInteger),
    Column("deadline_rule", Text, nullable=False, default=""),
    Column("reported_at", BigInteger, nullable=False),
    Column("verified_at", BigInteger),
    Column("registered_at", BigInteger),
    Column("dispatched_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("accepted_by", String(20)),
    Column("on_scene_at", BigInteger),
    Column("handled_at", BigInteger),
    Column("handled_by", String(20)),
    Column("checked_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("recovered_at", BigInteger),  # all its alerts are closed
    Column("result", String(16)),  # handled, false_alarm, self_recovered
    Column("result_cause", Text, nullable=False, default=""),
    Column("linked_to", BigInteger),  # the closed ticket that this one follows
    Column("merged_into", BigInteger),
    Column("suspended_from", String(12)),  # the status to which a suspended ticket (挂账) comes back
    Column("resume_at", BigInteger),
    Column("paused", BigInteger, nullable=False, server_default="0"),  # µs that its clocks stood still
    Column("extensions", Integer, nullable=False, server_default="0"),
    Column("reworks", Integer, nullable=False, server_default="0"),
    Column("supervised_at", BigInteger),
    Column("supervised_by", String(40)),
    Column("reply_by", BigInteger),  # until when a supervision wants its answer
    Column("replied_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("desk_by", BigInteger),  # by when the desk must verify, register, assign or check; as its timer says
    Column("queue_by", BigInteger, Derived(QUEUE_BY)),
    Index(None, "status", "done_by"),
    Index(None, "site", "hazard", "status"),
    Index(  # holds all that counting the queue reads, without the wide rows
        "ix_ticket_queue",
        *("status", "priority", "source", "severity", "grid", "hazard", "team", "station"),
        *("accept_by", "arrive_by", "done_by"),
    ),
    Index(None, "closed_at"),
    Index(
        "ix_ticket_holder",
        *("accepted_by", "status", "accepted_at"),
        sqlite_where=text("accepted_by IS NOT NULL"),
        postgresql_where=text("accepted_by IS NOT NULL"),
    ),
    Index(
        "uq_ticket_outside",
        "source_system",
        "outside_number",
        unique=True,
        sqlite_where=text("outside_number IS NOT NULL"),
        postgresql_where=text("outside_number IS NOT NULL"),
    ),
)

ticket_log = Table(
    "ticket_log",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(40), nullable=False),  # an account or person code; "platform" for the machine
    Column("action", String(24), nullable=False),
    Column("from_status", String(12)),
    Column("to_status", String(12), nullable=False),
    Column("reason", Text, nullable=False),  # the named reason of the decision
    Column("opinion", Text, nullable=False, default=""),
    Column("details", JSON, nullable=False, default=dict),
    Index(None, "at"),
)
"""Append-only: one row a move, in the move's own transaction."""

link = Table(
    "link",
    metadata,
    Column("code_hash", String(64), primary_key=True),  # SHA-256 of the short code
    Column("person", ForeignKey("person.code"), nullable=False),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Personal links: one person, one ticket, 24 h."""

# Notices --------------------------------------------------------------------------------------------------------------

notice = Table(
    "notice",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column(
        "key", String(160), nullable=False, unique=True
    ),  # what makes a notice the same one: ticket, cause, recipient, channel
    Column("ticket", ForeignKey("ticket.id"), nullable=False, index=True),
    Column("alert", BigInteger),
    Column("cause", String(24), nullable=False),  # dispatched, raised, joined, reopened, uncertain, overdue …
    Column("step", Integer, nullable=False, default=0),
    Column("channel", String(20), nullable=False),
    Column("recipient_kind", String(12), nullable=False),
    Column("recipient", String(20), nullable=False),
    Column("address", Text, nullable=False),
    Column("body", JSON, nullable=False),  # the facts a template needs; text is made at sending
    Column("life_safety", Boolean, nullable=False),
    Column("severity", Integer, nullable=False),
    Column(
        "state",
        String(12),
        CheckConstraint(
            "state IN ('queued', 'sending', 'accepted', 'delivered', 'acknowledged', 'failed', 'uncertain', 'expired')",
            name="state",
        ),
        nullable=False,
    ),
    Column("due_at", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("next_try_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("attempt", BigInteger),  # the delivery under way
    Column("claimed_by", String(120)),  # the sender that answers for the row; null: nobody has anything left to do
    Column("repeated", Boolean, nullable=False, default=False),  # sent again after an uncertain attempt: 可能重复
    Column("created_at", BigInteger, nullable=False),
    Column("requested_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("delivered_at", BigInteger),  # the provider's receipt
    Column("receipt", Text, nullable=False, server_default=""),  # what it said
    Column("acknowledged_at", BigInteger),
    Column("provider_id", String(80), nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("instead_of", BigInteger),  # the notice whose failure this one makes good
    Index(None, "state", "channel", "next_try_at"),
    Index("ix_notice_attempt", "attempt"),
    Index(  # in the order in which they are sent
        "ix_notice_waiting",
        *("channel", "life_safety", "severity", "due_at"),
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        "ix_notice_provider_id",
        "provider_id",
        sqlite_where=text("provider_id <> ''"),
        postgresql_where=text("provider_id <> ''"),
    ),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("notice", ForeignKey("notice.id"), nullable=False, index=True),  # the first of those that it carries
    Column("notices", Integer, nullable=False, server_default="1"),  # how many it carries
    Column("channel", String(20), nullable=False),
    Column("address", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("outcome", String(12), nullable=False),  # sending, accepted, retry, failed, uncertain
    Column("code", String(40), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("hold_until", BigInteger, nullable=False, default=0),  # the provider wants nothing at this address before
    Index("ix_delivery_channel_started_at", "channel", "started_at"),
    Index("ix_delivery_channel_hold_until", "channel", "hold_until"),
)
"""One attempt to send a notice, or several in one message; committed before the request goes out."""

phone_message = Table(
    "phone_message",
    metadata,
    Column("notice", BigInteger, primary_key=True, autoincrement=False),
    Column("person", String(20), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("link", Text, nullable=False, default=""),
    Column("sent_at", BigInteger, nullable=False),
)
"""What the phone page shows; its key makes a second sending of one notice impossible."""
