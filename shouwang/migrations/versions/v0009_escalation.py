"""What keeps alerts quiet, storms, escalation, positions, routes and drills."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _alert()
    _quiet()
    _storm()
    _escalation()
    _escalation_run()
    _position()
    _route()
    _drill()
    _drill_run()
    _drill_call()


def _alert() -> None:
    with op.batch_alter_table("alert") as batch:
        batch.add_column(sa.Column("held", sa.String(length=12), nullable=True))
        batch.add_column(sa.Column("held_by", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("chattering", sa.BigInteger(), nullable=True))
        batch.create_index(
            "ix_alert_held",
            ["held"],
            sqlite_where=sa.text("held IS NOT NULL"),
            postgresql_where=sa.text("held IS NOT NULL"),
        )
        batch.create_index(batch.f("ix_alert_onset"), ["onset"])


def _quiet() -> None:
    op.create_table(
        "quiet",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("matchers", sa.JSON(), nullable=False),
        sa.Column("one_shot", sa.Boolean(), nullable=False),
        sa.Column("life_safety", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=40), nullable=True),
        sa.Column("ended_why", sa.String(length=24), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_quiet_reason")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_quiet_span")),
        sa.CheckConstraint("kind IN ('shelf', 'silence', 'window')", name=op.f("ck_quiet_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quiet")),
    )
    with op.batch_alter_table("quiet") as batch:
        batch.create_index(batch.f("ix_quiet_ends_at"), ["ends_at"])


def _storm() -> None:
    op.create_table(
        "storm",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("hazard", sa.String(length=24), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("sites", sa.Integer(), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("why", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storm")),
    )
    with op.batch_alter_table("storm") as batch:
        batch.create_index(
            "uq_storm_open",
            ["hazard"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )


def _escalation() -> None:
    op.create_table(
        "escalation",
        sa.Column("ticket", _ID, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("stage", sa.String(length=12), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_escalation_ticket_ticket")),
        sa.CheckConstraint("state IN ('scheduled', 'waiting', 'over')", name=op.f("ck_escalation_state")),
        sa.PrimaryKeyConstraint("ticket", name=op.f("pk_escalation")),
    )
    with op.batch_alter_table("escalation") as batch:
        batch.create_index(batch.f("ix_escalation_state_next_at"), ["state", "next_at"])


def _escalation_run() -> None:
    op.create_table(
        "escalation_run",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ticket", _ID, nullable=False),
        sa.Column("stage", sa.String(length=12), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("ran_at", sa.BigInteger(), nullable=False),
        sa.Column("did", sa.String(length=12), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_escalation_run_ticket_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalation_run")),
        sa.UniqueConstraint(
            "ticket",
            "stage",
            "began_at",
            "step",
            "due_at",
            name=op.f("uq_escalation_run_ticket_stage_began_at_step_due_at"),
        ),
    )


def _position() -> None:
    op.create_table(
        "position",
        sa.Column("person", sa.String(length=20), autoincrement=False, nullable=False),
        sa.Column("lng", sa.Float(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("accuracy", sa.Float(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.code"], name=op.f("fk_position_person_person")),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_position")),
    )


def _route() -> None:
    op.create_table(
        "route",
        sa.Column("from_kind", sa.String(length=8), nullable=False),
        sa.Column("from_code", sa.String(length=20), nullable=False),
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("metres", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("from_kind", "from_code", "site", name=op.f("pk_route")),
    )


def _drill() -> None:
    op.create_table(
        "drill",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("teams", sa.JSON(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("window", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drill")),
    )


def _drill_run() -> None:
    op.create_table(
        "drill_run",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("drill", _ID, nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["drill"], ["drill.id"], name=op.f("fk_drill_run_drill_drill")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drill_run")),
    )
    with op.batch_alter_table("drill_run") as batch:
        batch.create_index(batch.f("ix_drill_run_drill_began_at"), ["drill", "began_at"])
        batch.create_index(batch.f("ix_drill_run_ended_at"), ["ended_at"])


def _drill_call() -> None:
    op.create_table(
        "drill_call",
        sa.Column("run", _ID, autoincrement=False, nullable=False),
        sa.Column("person", sa.String(length=20), nullable=False),
        sa.Column("replied_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["drill_run.id"], name=op.f("fk_drill_call_run_drill_run")),
        sa.PrimaryKeyConstraint("run", "person", name=op.f("pk_drill_call")),
    )
