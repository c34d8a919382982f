"""A broker with live accounts follows who is shut out, while the platform runs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.clock import SystemClock
from core.database import open_engine, reading, writing
from devices.device_types import load_device_types
from devices.gateways import disable_gateway, enable_gateway
from devices.registry import load_registry
from ingest.words import RegistryChanged
from shouwang.broker_export import find_plugin
from shouwang.cutting import Standings
from shouwang.present import registry_version
from shouwang.wiring import Platform
from tests.servers import wait_until
from tests.shouwang.exported_broker import PLATFORM, Account, ExportedBroker, a_gateway, exported, registry_of
from tests.shouwang.small_platform import found_town, running, small_settings

A, B = a_gateway("GW-A", "pa"), a_gateway("GW-B", "pb")
SHUT = replace(A, disabled_at=7)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ExportedBroker]:
    with exported(tmp_path / "broker", registry_of(A, B), plugin=find_plugin()) as running:
        yield running


def admitted(broker: ExportedBroker, code: str, password: str) -> bool:
    with Account(broker.plan.gateways.port, code, password) as account:
        return account.admitted


def test_one_that_was_cut_is_let_in_again_as_soon_as_the_registry_says_so(broker: ExportedBroker) -> None:
    registry = registry_of(SHUT, B)
    standings = Standings(broker.address, lambda: registry)
    standings.cut("GW-A")
    assert standings.step(), "no registry was read yet"
    assert not admitted(broker, "GW-A", "pa")
    standings.read()
    assert standings.step()
    assert not admitted(broker, "GW-A", "pa")
    registry = registry_of(A, B)
    standings.read()
    assert standings.step()
    assert admitted(broker, "GW-A", "pa")


def test_what_changed_while_the_platform_was_away_is_brought_at_its_start(broker: ExportedBroker) -> None:
    standings = Standings(broker.address, lambda: registry_of(SHUT, B))
    with Account(broker.plan.gateways.port, "GW-A", "pa") as a, Account(broker.plan.gateways.port, "GW-B", "pb") as b:
        standings.read()
        assert standings.step()
        wait_until(lambda: a.cut, "the end of its connection", 20)
        assert not b.cut


def test_passwords_and_gateways_that_the_broker_does_not_know_are_left_to_the_operator(broker: ExportedBroker) -> None:
    renewed = replace(B, password_hash=a_gateway("GW-B", "new").password_hash)
    standings = Standings(broker.address, lambda: registry_of(SHUT, renewed, a_gateway("GW-C", "pc", disabled_at=7)))
    standings.read()
    assert standings.step()
    assert admitted(broker, "GW-B", "pb"), "whoever gives a new password is bringing it just now"


def test_a_broker_that_is_away_is_told_when_it_is_back(broker: ExportedBroker) -> None:
    broker.end()
    standings = Standings(broker.address, lambda: registry_of(SHUT, B))
    standings.read()
    assert not standings.step()
    broker.start()
    assert standings.step()
    assert not admitted(broker, "GW-A", "pa")


def test_a_broker_without_live_accounts_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shouwang.cutting._TIMEOUT", 0.5)
    with exported(tmp_path / "plain", registry_of(A)) as plain:
        standings = Standings(plain.address, lambda: registry_of(A))
        standings.read()
        assert standings.step()
    assert standings.step(), "it is gone now, and was not asked"


def test_a_running_platform_brings_what_its_console_changed(tmp_path: Path) -> None:
    settings, clock = small_settings(tmp_path), SystemClock()
    passwords = found_town(settings, clock)
    engine = open_engine(settings.database_url)
    registry = load_registry(engine, load_device_types())
    engine.dispose()
    with exported(tmp_path / "broker", registry, plugin=find_plugin()) as broker:
        url = f"mqtt://{PLATFORM}:the%20platform%27s%20own@127.0.0.1:{broker.plan.platform.port}"
        with running(settings.model_copy(update={"broker": SecretStr(url)}), clock, ("ingest",)) as platform:
            with writing(platform.engine) as connection:
                disable_gateway(connection, "GW-1", "it floods", clock.now())
            _announce(platform)
            wait_until(lambda: not admitted(broker, "GW-1", passwords["GW-1"]), "its being shut out")
            with writing(platform.engine) as connection:
                enable_gateway(connection, "GW-1")
            _announce(platform)
            wait_until(lambda: admitted(broker, "GW-1", passwords["GW-1"]), "its being let in again")
            assert admitted(broker, "GW-2", passwords["GW-2"])


def _announce(platform: Platform) -> None:
    """As the console does."""
    with reading(platform.engine) as connection:
        platform.control(RegistryChanged(registry_version(connection)))
