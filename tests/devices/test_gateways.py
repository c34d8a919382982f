"""Gateways as a whole: shut out, let in, their passwords taken; each change raises the registry's version once."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, insert, select, update

from core.database import reading, writing
from devices.credentials import issue_password
from devices.enrolment import ensure_registry
from devices.gateways import UnknownGateway, disable_gateway, enable_gateway, list_gateways, revoke_password
from devices.tables import gateway, registry

Change = Callable[[Connection, str], object]
CHANGES: list[Change] = [
    lambda connection, code: disable_gateway(connection, code, "floods", 7),
    enable_gateway,
    revoke_password,
    issue_password,
]


@pytest.fixture
def engine_with_gateways(engine: Engine) -> Engine:
    with writing(engine) as connection:
        ensure_registry(connection)
        rows = [{"code": "GW-1", "retired": 0}, {"code": "GW-2", "retired": 0}, {"code": "OLD", "retired": 1}]
        connection.execute(insert(gateway), rows)
    return engine


def version(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(select(registry.c.version)).scalar_one())


def test_shut_out_once_and_let_in_once(engine_with_gateways: Engine) -> None:
    engine = engine_with_gateways
    before = version(engine)
    with writing(engine) as connection:
        assert disable_gateway(connection, "GW-1", "floods", 1_790_000_000_000_000)
        assert not disable_gateway(connection, "GW-1", "again", 1_790_000_000_000_009)
    with reading(engine) as connection:
        first, second = list_gateways(connection)
    assert (first.code, first.disabled_at, first.disabled_why) == ("GW-1", 1_790_000_000_000_000, "floods")
    assert (second.code, second.disabled_at) == ("GW-2", 0)
    assert version(engine) == before + 1
    with writing(engine) as connection:
        assert enable_gateway(connection, "GW-1")
        assert not enable_gateway(connection, "GW-1")
        assert list_gateways(connection)[0].disabled_why == ""
    assert version(engine) == before + 2


def test_a_revoked_password_is_gone(engine_with_gateways: Engine) -> None:
    engine = engine_with_gateways
    with writing(engine) as connection:
        issue_password(connection, "GW-1")
        assert list_gateways(connection)[0].password_hash
        assert revoke_password(connection, "GW-1")
        assert list_gateways(connection)[0].password_hash == ""
        assert not revoke_password(connection, "GW-1")
    assert version(engine) == 1 + 2


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("code", ["GW-9", "OLD", ""])
def test_none_of_it_is_done_to_a_gateway_that_is_not_there(
    engine_with_gateways: Engine, change: Change, code: str
) -> None:
    before = version(engine_with_gateways)
    with pytest.raises(UnknownGateway), writing(engine_with_gateways) as connection:
        change(connection, code)
    assert version(engine_with_gateways) == before


def test_what_is_done_to_one_leaves_the_others(engine_with_gateways: Engine) -> None:
    with writing(engine_with_gateways) as connection:
        connection.execute(update(gateway).values(password_hash="$7$"))
        revoke_password(connection, "GW-1")
        disable_gateway(connection, "GW-1", "floods", 7)
        assert [row[-3:] for row in list_gateways(connection)] == [("", 7, "floods"), ("$7$", 0, "")]
