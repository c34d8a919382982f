"""The town's tables. Positions are WGS84 degrees; times µs UTC."""

from sqlalchemy import (
    JSON,
    BigInteger,
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
)

from core.database import metadata

registry = Table(
    "registry",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1", name="single"), primary_key=True),
    Column("id", String(36), nullable=False),
    Column("version", Integer, nullable=False),
    Column("next_series", Integer, nullable=False),
    Column("canary", Integer, nullable=False, default=-1, server_default="-1"),
)
"""One row: identity, version (raised by every change), the next free series number, the canary's (-1: it has none)."""

village = Table(
    "village",
    metadata,
    Column("code", String(20), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_en", Text, nullable=False, default=""),
)

grid = Table(
    "grid",
    metadata,
    Column("code", String(20), primary_key=True),
    Column("village", ForeignKey("village.code"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_en", Text, nullable=False, default=""),
    Column("polygon", Text, nullable=False),  # a GeoJSON geometry
    Column("retired", Integer, nullable=False, default=0),
)

enterprise = Table(
    "enterprise",
    metadata,
    Column("code", String(18), primary_key=True),  # 统一社会信用代码
    Column("name", Text, nullable=False),
    Column("hazards", JSON, nullable=False, default=list),
    Column("responsible", Text, nullable=False, default=""),
    Column("phone", String(32), nullable=False, default=""),
    Column("address", Text, nullable=False, default=""),
    Column("lng", Float),
    Column("lat", Float),
    Column("grid", ForeignKey("grid.code")),
    Column("retired", Integer, nullable=False, default=0),
)

site = Table(
    "site",
    metadata,
    Column("code", String(40), primary_key=True),
    Column("kind", String(12), CheckConstraint("kind IN ('site', 'enterprise', 'road')", name="kind"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_en", Text, nullable=False, default=""),
    Column("lng", Float, nullable=False),
    Column("lat", Float, nullable=False),
    Column("grid", ForeignKey("grid.code")),  # null: outside every grid, the dispatcher's
    Column("importance", Integer, nullable=False, default=3),  # 1 is the highest
    Column("contact", Text, nullable=False, default=""),
    Column("phone", String(32), nullable=False, default=""),
    Column("address", Text, nullable=False, default=""),
    Column("enterprise", ForeignKey("enterprise.code")),
    Column("attributes", JSON, nullable=False, default=dict),
    Column("retired", Integer, nullable=False, default=0),
    Index(None, "grid"),
)

gateway = Table(
    "gateway",
    metadata,
    Column("code", String(40), primary_key=True),
    Column("name", Text, nullable=False, default=""),
    Column("site", ForeignKey("site.code")),
    Column("format", String(32), nullable=False, default="v1"),
    Column("password_hash", Text, nullable=False, default=""),  # empty: may not connect
    Column("in_service_at", BigInteger, nullable=False, default=0),
    Column("disabled_at", BigInteger, nullable=False, default=0, server_default="0"),  # shut out since, 0: it is not
    Column("disabled_why", Text, nullable=False, default="", server_default=""),
    Column("retired", Integer, nullable=False, default=0),
    Column("attributes", JSON, nullable=False, default=dict),  # the options of its format
)

device = Table(
    "device",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("name", Text, nullable=False, default=""),
    Column("type", String(40), nullable=False),
    Column("gateway", ForeignKey("gateway.code"), nullable=False),
    Column("site", ForeignKey("site.code"), nullable=False),
    Column("lng", Float),  # null: the site's
    Column("lat", Float),
    Column("component_code", String(16), nullable=False, default=""),  # 部件标识码
    Column("serial", String(64), nullable=False, default=""),  # the hardware; a replacement changes only this
    Column(
        "state",
        String(16),
        CheckConstraint("state IN ('commissioning', 'in_service', 'maintenance', 'retired')", name="state"),
        nullable=False,
        default="commissioning",
    ),
    Column("state_until", BigInteger),  # the end of a maintenance
    Column("in_service_at", BigInteger, nullable=False, default=0),
    Column("attributes", JSON, nullable=False, default=dict),
    Index(None, "gateway"),
    Index(None, "site"),
)

series = Table(
    "series",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("device", ForeignKey("device.code"), nullable=False),
    Column("metric", String(40), nullable=False),
    UniqueConstraint("device", "metric"),
)
