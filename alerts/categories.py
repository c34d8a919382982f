"""The categories of cases and their class codes: tables that a town edits, filled with the usual ones at first.

Codes of components (部件) begin with C, of events (事件) with E, as the rules write them; a subclass follows a hyphen.
Every edit is written down: who, when (`now`, µs UTC), from what to what.
"""

import re
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Table, func, select

from alerts.case_tables import ticket_category, ticket_class
from alerts.edits import record_edit
from alerts.one_writer import insert_or
from alerts.refusals import EditRefused
from alerts.rows import first_row, rows
from alerts.wording import one_line
from alerts.words import Row

Acceptance = Literal["first", "both"]
_CODE = re.compile(r"[CE]\d\d(-\d\d)?")
_LONGEST_NAME = 24
_CATEGORIES = (
    ("治安稳定", "Public security"),
    ("城市管理", "City management"),
    ("安全生产", "Work safety"),
    ("社情民意", "Public opinion"),
    ("环境保护", "Environmental protection"),
    ("网格党建", "Party building in the grids"),
    ("公共服务", "Public services"),
    ("应急指挥", "Emergency command"),
    ("三官一律", "Legal services by judge, prosecutor, police and lawyer"),
)
_CLASSES = (
    ("C01", "公用设施", "Public utilities"),
    ("C01-02", "污水井盖", "Sewer manhole cover"),
    ("C02", "道路交通设施", "Road and traffic facilities"),
    ("C03", "市容环境设施", "Sanitation facilities"),
    ("C04", "园林绿化设施", "Parks and greenery"),
    ("C05", "其他部件", "Other components"),
    ("E01", "市容环境", "City appearance"),
    ("E01-04", "道路保洁", "Road cleaning"),
    ("E02", "宣传广告", "Advertising"),
    ("E03", "施工管理", "Construction"),
    ("E04", "突发事件", "Emergencies"),
    ("E05", "街面秩序", "Street order"),
    ("E06", "扩展事件", "Other events"),
)


class ClassCode(NamedTuple):
    """A class of components or events; retired ones stay on the tickets that have them."""

    code: str
    name: str
    name_en: str
    retired: bool = False


class Category(NamedTuple):
    """A category of cases. `acceptance`: the first who accepts has it, or team and station both must."""

    name: str
    name_en: str
    acceptance: Acceptance = "first"
    place: int = 0
    retired: bool = False


class _Kind(NamedTuple):
    """One of the two tables, as edits and refusals call it."""

    what: Literal["category", "class"]
    table: Table
    key: str


_CATEGORY, _CLASS = _Kind("category", ticket_category, "name"), _Kind("class", ticket_class, "code")


def ensure_categories(connection: Connection) -> None:
    """Fill both tables with the usual ones where they are empty; a town's own edits are never touched."""
    if not _count(connection, ticket_category):
        for place, (name, name_en) in enumerate(_CATEGORIES, 1):
            _put(connection, ticket_category, "name", {**Category(name, name_en, "first", place)._asdict()})
    if not _count(connection, ticket_class):
        for each in _CLASSES:
            _put(connection, ticket_class, "code", {**ClassCode(*each)._asdict()})


def categories(connection: Connection, with_retired: bool = False) -> list[Category]:
    """The categories in the order of lists."""
    return [Category(**row) for row in _listed(connection, ticket_category, ("place", "name"), with_retired)]


def class_codes(connection: Connection, with_retired: bool = False) -> list[ClassCode]:
    """The class codes in their order."""
    return [ClassCode(**row) for row in _listed(connection, ticket_class, ("code",), with_retired)]


def put_category(connection: Connection, category: Category, who: str, now: int) -> None:
    """Add a category or change it; one that was retired is back, unless `retired`. Raises EditRefused."""
    category = category._replace(name=one_line(category.name), name_en=one_line(category.name_en))
    if not 0 < len(category.name) <= _LONGEST_NAME or not category.name_en:
        raise EditRefused("needs_names")
    if category.acceptance not in ("first", "both"):
        raise EditRefused("unknown_acceptance")
    _edit(connection, _CATEGORY, {**category._asdict()}, who, now)


def put_class(connection: Connection, wanted: ClassCode, who: str, now: int) -> None:
    """Add a class code or change it; a subclass needs its class. Raises EditRefused."""
    if not _CODE.fullmatch(wanted.code):
        raise EditRefused("bad_class_code")
    wanted = wanted._replace(name=one_line(wanted.name), name_en=one_line(wanted.name_en))
    if not wanted.name or not wanted.name_en:
        raise EditRefused("needs_names")
    above = wanted.code.partition("-")[0]
    if above != wanted.code and not is_class(connection, above):
        raise EditRefused("unknown_class", code=above)
    _edit(connection, _CLASS, {**wanted._asdict()}, who, now)


def retire_category(connection: Connection, name: str, who: str, now: int) -> None:
    """Offer a category no more; its tickets keep it. Raises EditRefused."""
    _retire(connection, _CATEGORY, name, who, now)


def retire_class(connection: Connection, code: str, who: str, now: int) -> None:
    """Offer a class code no more; its tickets keep it. Raises EditRefused."""
    _retire(connection, _CLASS, code, who, now)


def is_category(connection: Connection, name: str) -> bool:
    """Whether a category is offered."""
    return _offered(connection, ticket_category, "name", name)


def is_class(connection: Connection, code: str) -> bool:
    """Whether a class code is offered."""
    return _offered(connection, ticket_class, "code", code)


def acceptance_of(connection: Connection, category: str) -> Acceptance:
    """Who must accept a ticket of a category; "first" for one that is not in the table."""
    found = connection.scalar(select(ticket_category.c.acceptance).where(ticket_category.c.name == category))
    return "both" if found == "both" else "first"


def _count(connection: Connection, table: Table) -> int:
    count: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return count


def _listed(connection: Connection, table: Table, order: tuple[str, ...], with_retired: bool) -> list[Row]:
    kept = select(table) if with_retired else select(table).where(table.c.retired == 0)
    found = rows(connection, kept.order_by(*(table.c[name] for name in order)))
    return [{**row, "retired": bool(row["retired"])} for row in found]


def _put(connection: Connection, table: Table, key: str, values: dict[str, Any]) -> None:
    values["retired"] = int(values["retired"])
    changed = {name: value for name, value in values.items() if name != key}
    put = insert_or(connection, table).values(**values)
    connection.execute(put.on_conflict_do_update(index_elements=[key], set_=changed))


def _retire(connection: Connection, kind: _Kind, code: str, who: str, now: int) -> None:
    held = _held(connection, kind, code)
    if held is None:
        raise EditRefused(f"unknown_{kind.what}", code=code)
    _edit(connection, kind, {**held, "retired": True}, who, now)


def _edit(connection: Connection, kind: _Kind, wanted: dict[str, Any], who: str, now: int) -> None:
    code = wanted[kind.key]
    record_edit(connection, kind.what, code, _held(connection, kind, code), wanted, who, now)
    _put(connection, kind.table, kind.key, {**wanted})


def _held(connection: Connection, kind: _Kind, code: str) -> dict[str, Any] | None:
    found = first_row(connection, select(kind.table).where(kind.table.c[kind.key] == code))
    return None if found is None else {**found, "retired": bool(found["retired"])}


def _offered(connection: Connection, table: Table, key: str, code: str) -> bool:
    return connection.scalar(select(table.c[key]).where(table.c[key] == code, table.c.retired == 0)) is not None
