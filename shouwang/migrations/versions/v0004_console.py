"""Accounts and sessions of the console."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _account()
    _session()


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("username", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=20), nullable=True),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("locale", sa.String(length=2), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('dispatcher', 'patroller', 'admin')", name=op.f("ck_account_role")),
        sa.ForeignKeyConstraint(["person"], ["person.code"], name=op.f("fk_account_person_person")),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_account")),
    )


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.username"], name=op.f("fk_session_account_account")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_account"), "session", ["account"], unique=False)
