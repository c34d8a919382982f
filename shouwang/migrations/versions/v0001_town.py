"""The town: registry, villages, grids, sites, gateways, devices and series."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _registry()
    _village()
    _grid()
    _enterprise()
    _site()
    _gateway()
    _device()
    _series()


def _registry() -> None:
    op.create_table(
        "registry",
        sa.Column("one", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("next_series", sa.Integer(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_registry_single")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_registry")),
    )


def _village() -> None:
    op.create_table(
        "village",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_village")),
    )


def _grid() -> None:
    op.create_table(
        "grid",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("village", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("polygon", sa.Text(), nullable=False),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["village"], ["village.code"], name=op.f("fk_grid_village_village")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_grid")),
    )


def _enterprise() -> None:
    op.create_table(
        "enterprise",
        sa.Column("code", sa.String(length=18), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hazards", sa.JSON(), nullable=False),
        sa.Column("responsible", sa.Text(), nullable=False),
        sa.Column("phone", sa.String(length=32), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("lng", sa.Float(), nullable=True),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("grid", sa.String(length=20), nullable=True),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["grid"], ["grid.code"], name=op.f("fk_enterprise_grid_grid")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_enterprise")),
    )


def _site() -> None:
    op.create_table(
        "site",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("lng", sa.Float(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("grid", sa.String(length=20), nullable=True),
        sa.Column("importance", sa.Integer(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("phone", sa.String(length=32), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("enterprise", sa.String(length=18), nullable=True),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('site', 'enterprise', 'road')", name=op.f("ck_site_kind")),
        sa.ForeignKeyConstraint(["enterprise"], ["enterprise.code"], name=op.f("fk_site_enterprise_enterprise")),
        sa.ForeignKeyConstraint(["grid"], ["grid.code"], name=op.f("fk_site_grid_grid")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_site")),
    )
    op.create_index(op.f("ix_site_grid"), "site", ["grid"], unique=False)


def _gateway() -> None:
    op.create_table(
        "gateway",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("site", sa.String(length=40), nullable=True),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("in_service_at", sa.BigInteger(), nullable=False),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["site"], ["site.code"], name=op.f("fk_gateway_site_site")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_gateway")),
    )


def _device() -> None:
    op.create_table(
        "device",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("gateway", sa.String(length=40), nullable=False),
        sa.Column("site", sa.String(length=40), nullable=False),
        sa.Column("lng", sa.Float(), nullable=True),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("component_code", sa.String(length=16), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_until", sa.BigInteger(), nullable=True),
        sa.Column("in_service_at", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "state IN ('commissioning', 'in_service', 'maintenance', 'retired')", name=op.f("ck_device_state")
        ),
        sa.ForeignKeyConstraint(["gateway"], ["gateway.code"], name=op.f("fk_device_gateway_gateway")),
        sa.ForeignKeyConstraint(["site"], ["site.code"], name=op.f("fk_device_site_site")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_device")),
    )
    op.create_index(op.f("ix_device_gateway"), "device", ["gateway"], unique=False)
    op.create_index(op.f("ix_device_site"), "device", ["site"], unique=False)


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["device.code"], name=op.f("fk_series_device_device")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_series")),
        sa.UniqueConstraint("device", "metric", name=op.f("uq_series_device_metric")),
    )
