"""Gateways that are shut out."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("gateway") as batch:
        batch.add_column(sa.Column("disabled_at", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("disabled_why", sa.Text(), nullable=False, server_default=""))
