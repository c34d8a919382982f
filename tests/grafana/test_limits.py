"""The limits that curves are drawn against are those that the detectors judge by."""

from collections.abc import Iterator
from importlib.resources import as_file
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text

from core.clock import SECOND, SystemClock, local
from core.database import open_engine, reading, writing
from detectors.rules import RuleSet, load_packs, record_version
from detectors.words import Severity
from devices.device_types import load_device_types
from devices.enrolment import NewDevice, enrol
from devices.tables import device, series, site
from devices.town import import_town
from devices.town_sheets import TOWN_SHEETS
from grafana.limits import rule, rule_steps
from shouwang.demo_town import town_folder
from shouwang.migrate import migrate
from tests.servers import Postgres

_SHEET = """
overrides:
  - {rule: gas.leak, site: ENT-001, limits: {alarm: 20}}
  - {rule: gas.leak, device: ONE-gas, limits: {alarm: 15, critical: 35}}
  - {rule: electrical.residual_current, device_type: electrical, limits: {alarm: 200}}
  - {rule: noise.level, site: ENT-001, enabled: false}
  - {rule: device.battery, device: ONE-gas, enabled: false}
"""
_ATTRIBUTES: dict[str, Any] = {"noise_class": "2", "permit_so2": 35, "permit_cod": "30", "warning_level": 3.5}


@pytest.fixture(scope="module")
def town(postgres: Postgres) -> Iterator[tuple[Engine, RuleSet]]:
    """The example town with one device of each type on one site, and rules with overrides of every scope."""
    name = postgres.create()
    engine = open_engine(postgres.url(name))
    migrate(engine)
    types = load_device_types()
    with as_file(town_folder()) as folder:
        import_town(engine, folder, TOWN_SHEETS, types, SECOND)
        rules = load_packs([folder / "rules"], sheets={"own": _SHEET})
    with writing(engine) as connection:
        place = connection.execute(select(device.c.gateway).where(device.c.site == "ENT-001")).scalars().first()
        ones = [NewDevice(f"ONE-{code}", code, str(place), "ENT-001", attributes=_ATTRIBUTES) for code in types]
        enrol(connection, types, ones)
        record_version(connection, load_packs(), "test", "older", SECOND)
        record_version(connection, rules, "test", "newer", SECOND)
    yield engine, rules
    engine.dispose()
    postgres.drop(name)


def _expected(connection: Connection, rules: RuleSet) -> set[tuple[str, str, int, float]]:
    """What the rules say of each device: rule, device, severity, limit."""
    types = load_device_types()
    rows = connection.execute(
        select(device.c.code, device.c.type, device.c.site, device.c.attributes, site.c.attributes.label("of_site"))
        .join(site, site.c.code == device.c.site)
        .where(device.c.state != "retired")
    ).all()
    metrics: dict[str, set[str]] = {}
    for code, metric in connection.execute(select(series.c.device, series.c.metric)):
        metrics.setdefault(code, set()).add(metric)
    found = set()
    today = local(SystemClock().now()).date()
    drawn = [
        each
        for each in rules.in_force(today).rules.values()
        if each.kind == "threshold" and not each.expression and not each.baseline
    ]
    for row in rows:
        for each in drawn:
            if row.type not in each.device_types or each.metric not in metrics[row.code]:
                continue
            attributes = {**row.of_site, **row.attributes}
            terms = each.terms(row.type, row.site, row.code, attributes, types[row.type].metrics[each.metric])
            if terms.enabled:
                found |= {(each.id, row.code, int(severity), limit) for severity, limit in terms.limits.items()}
    return found


def test_the_view_says_what_the_rules_say_of_every_device(town: tuple[Engine, RuleSet]) -> None:
    engine, rules = town
    with reading(engine) as connection:
        told = connection.execute(text('SELECT rule, device, severity, "limit" FROM grafana.device_limit')).all()
        expected = _expected(connection, rules)
    assert len(told) == len(set(map(tuple, told)))
    assert {tuple(row) for row in told} == expected
    assert {("gas.leak", "ONE-gas", int(Severity.ALARM), 15.0), ("canal.level", "ONE-canal", 2, 3.5)} <= expected
    assert not {rule for rule, code, *_ in expected if code == "ONE-noise"} & {"noise.level"}


def test_thresholds_are_the_packs_own() -> None:
    its = rule("traffic.congestion")
    assert [step.value for step in rule_steps(its.id)] == [None, *sorted(its.limits.values())]


def test_a_rule_that_is_gone_is_told() -> None:
    with pytest.raises(KeyError):
        rule_steps("no.such_rule")
