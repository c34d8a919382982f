"""A token that may only read: on each engine, on a server that keeps hashes, and when something is not as it was."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from ingest.influx_address import InfluxAddress
from ingest.influx_reader import READER, give_reader
from ingest.influx_setup import set_up, version_of
from ingest.influx_wire import InfluxWire
from ingest.store import StoreError, StoreUnavailable
from tests.fakes.influx_two import ALL_ACCESS, ORG, InfluxTwo
from tests.ingest.influx_scene import AddressOf, address_of

__all__ = ["address_of"]

BUCKETS = ["readings", "readings_5m", "readings_1h"]


@pytest.fixture
def server() -> Iterator[InfluxTwo]:
    """A 2.x with these buckets and another one."""
    with InfluxTwo(*BUCKETS, "other") as served:
        yield served


def address(server: InfluxTwo, token: str = ALL_ACCESS) -> InfluxAddress:
    return InfluxAddress(server.url, token, ORG, "readings")


@pytest.fixture
def wires() -> Iterator[Callable[[InfluxAddress], InfluxWire]]:
    """Makes wires that are closed at the end."""
    with ExitStack() as closing:

        def made(address: InfluxAddress) -> InfluxWire:
            wire = InfluxWire(address)
            closing.callback(wire.close)
            return wire

        yield made


def test_a_token_reads_and_nothing_else_and_stays(
    address_of: AddressOf, wires: Callable[[InfluxAddress], InfluxWire]
) -> None:
    there = address_of(f"r{random.getrandbits(48):x}")
    buckets = [there.bucket, f"{there.bucket}_5m"]
    set_up(there, dict.fromkeys(buckets, 60 * 365))
    owner = wires(there)
    owner.write(there.bucket, b"gas level=1.5 1790000000000000")
    kept: list[str] = []
    assert give_reader(there, buckets, "", kept.append).startswith(f"{READER}: made")
    assert "stands" in give_reader(there, buckets, kept[0], kept.append)
    (token,) = kept
    reader = wires(there._replace(token=token))
    found = [row[1] for _, part in reader.query(there.bucket, ["SELECT level FROM gas"]) for row in part.values]
    assert found == [1.5]
    if version_of(there).startswith("1."):  # this one asks nobody who he is: what it would judge by
        grants = owner.query(there.bucket, [f'SHOW GRANTS FOR "{READER}"'])
        granted = {tuple(row) for _, part in grants for row in part.values}
        assert {(bucket, "READ") for bucket in buckets} <= granted
        assert {right for _, right in granted} == {"READ"}
    else:
        with pytest.raises(StoreUnavailable, match="insufficient permissions"):
            reader.write(there.bucket, b"gas level=2.5 1790000000000001")
        with pytest.raises(StoreError, match="all access"):
            give_reader(there._replace(token=token), buckets, "", kept.append)


def test_a_token_that_is_lost_or_may_more_or_less_is_made_anew_and_the_one_before_ends(server: InfluxTwo) -> None:
    kept: list[str] = []
    assert "made" in give_reader(address(server), BUCKETS, "", kept.append)
    assert "stands" in give_reader(address(server), BUCKETS, kept[-1], kept.append)
    for wrong in ("", "forgotten", ALL_ACCESS):
        said = give_reader(address(server), BUCKETS, wrong, kept.append)
        assert said == f"{READER}: made anew, the one before has ended"
        assert len(server.tokens) == 1
    assert "made anew" in give_reader(address(server), [*BUCKETS, "other"], kept[-1], kept.append), "may less"
    assert "made anew" in give_reader(address(server), BUCKETS, kept[-1], kept.append), "may more"
    assert {right["action"] for each in server.tokens.values() for right in each["permissions"]} == {"read"}
    headers = {"Authorization": f"Token {kept[-2]}"}
    assert httpx.get(f"{server.url}/api/v2/buckets", headers=headers, trust_env=False).status_code == 401


def test_the_one_before_ends_only_when_the_new_one_is_kept(server: InfluxTwo) -> None:
    kept: list[str] = []
    give_reader(address(server), BUCKETS, "", kept.append)

    def no_room(_: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        give_reader(address(server), BUCKETS, "forgotten", no_room)
    assert len(server.tokens) == 1, "one that nobody has"
    assert "stands" in give_reader(address(server), BUCKETS, kept[0], kept.append)


def test_what_keeps_it_from_being_made_is_told(server: InfluxTwo) -> None:
    with pytest.raises(StoreError, match="no bucket missing: run `shouwang store init`"):
        give_reader(address(server), ["missing"], "", pytest.fail)
    with pytest.raises(StoreError, match="all access"):
        give_reader(address(server, "wrong"), BUCKETS, "", pytest.fail)
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        give_reader(InfluxAddress("http://127.0.0.1:1", "t", ORG, "readings"), BUCKETS, "", pytest.fail)
