"""The variables by which dashboards are narrowed down, and the conditions of queries that follow them.

A reading's tags are the codes of its village, grid, site and device; the lists that people choose from come from the
alerts database, which knows the names. What is chosen goes into every query as a regular expression, also into SQL.
"""

from collections.abc import Iterable

from grafana_foundation_sdk.builders import dashboard

from grafana.kit import Kit, chosen

PLACES = ("village", "grid", "site")


def name_of(kit: Kit, table: str = "") -> str:
    """The SQL of a row's name in the dashboard's language; where it has no English one, the Chinese one."""
    at = f"{table}." if table else ""
    return f"{at}name" if kit.language == "zh" else f"coalesce(nullif({at}name_en, ''), {at}name)"


def told(*columns: str) -> str:
    """The SQL condition that rows are of what is chosen, for variables that are called like the columns.

    >>> told("village")
    "coalesce(village, '') ~ '^(${village:regex})$'"
    """
    return " AND ".join(f"coalesce({each}, '') ~ '^(${{{each.rpartition('.')[2]}:regex}})$'" for each in columns)


def tagged(*tags: str) -> str:
    """The same of tags in InfluxQL.

    >>> tagged("grid", "site")
    '"grid" =~ /^($grid)$/ AND "site" =~ /^($site)$/'
    """
    return " AND ".join(f'"{tag}" =~ /^(${tag})$/' for tag in tags)


def villages(kit: Kit) -> dashboard.QueryVariable:
    """Villages and communities."""
    return chosen(
        kit, "village", f"SELECT code AS __value, {name_of(kit)} AS __text FROM grafana.village ORDER BY code"
    )


def grids(kit: Kit) -> dashboard.QueryVariable:
    """The grids of the villages chosen."""
    listed = f"SELECT code AS __value, {name_of(kit)} AS __text FROM grafana.grid"
    return chosen(kit, "grid", f"{listed} WHERE {told('village')} ORDER BY code")


def sites(kit: Kit, kinds: Iterable[str] = (), *, multi: bool = True) -> dashboard.QueryVariable:
    """The sites of the grids chosen, of some kinds or all; one alone where not `multi`."""
    listed = f"SELECT code AS __value, {name_of(kit)} AS __text FROM grafana.site"
    conditions = [told("village", "grid")]
    if kinds:
        quoted = ", ".join(f"'{kind}'" for kind in kinds)
        conditions.append(f"kind IN ({quoted})")
    return chosen(
        kit, "site", f"{listed} WHERE {' AND '.join(conditions)} ORDER BY code", multi=multi, everything=multi
    )


def places(kit: Kit, kinds: Iterable[str] = ()) -> list[dashboard.QueryVariable]:
    """Village, grid and site, each narrowing the next."""
    return [villages(kit), grids(kit), sites(kit, kinds)]
