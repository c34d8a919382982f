"""The doctor goes to servers: whether their certificates hold, for how long, and whether mail would be taken."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import DAY, SystemClock
from shouwang.diagnosis import _broker
from shouwang.findings import Finding, Standing
from shouwang.reaching import end_of_certificate, reach_findings
from shouwang.settings import Settings
from tests.certificates import own_certificate
from tests.providers.email import ACCOUNT, PASSWORD, SENDER, MailHost

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@contextmanager
def serving(file: Path, days: float, address: str = "127.0.0.1") -> Iterator[int]:
    """A server that only shows its certificate, which ends in so many days."""
    context = own_certificate(file, begins=-timedelta(days=400), ends=timedelta(days=days), address=address)
    with socket.create_server(("127.0.0.1", 0)) as line:

        def talk() -> None:
            while True:
                try:
                    caller, _ = line.accept()
                except OSError:
                    return
                with caller, suppress(OSError):
                    context.wrap_socket(caller, server_side=True).close()

        talking = threading.Thread(target=talk)
        talking.start()
        yield line.getsockname()[1]
        line.shutdown(socket.SHUT_RDWR)
        talking.join()


def found(**given: Any) -> dict[str, Finding]:
    told = {each.what: each for each in reach_findings(Settings(**given), SystemClock().now())}
    for each in told.values():
        assert CHINESE.search(each.zh)
        assert not CHINESE.search(each.text)
    return told


@pytest.mark.parametrize(
    ("days", "standing", "part"),
    [
        (90, Standing.GOOD, "until"),
        (20, Standing.DOUBTFUL, "in 19 days: renew it"),
        (2, Standing.BROKEN, "in 1 days: renew it"),
    ],
)
def test_a_certificate_that_ends_soon_is_told_before_it_does(
    tmp_path: Path, days: float, standing: Standing, part: str
) -> None:
    file = tmp_path / "server.pem"
    with serving(file, days) as port:
        told = found(broker=f"mqtts://p:w@127.0.0.1:{port}?ca={file}")["certificate broker"]
        assert abs(end_of_certificate("127.0.0.1", port, str(file)) - SystemClock().now() - days * DAY) < DAY
    assert told.standing is standing
    assert part in told.text


@pytest.mark.parametrize(
    ("days", "address", "part"), [(-1, "127.0.0.1", "has ended"), (9, "127.0.0.9", "not for this address")]
)
def test_a_certificate_that_does_not_hold_is_told_by_its_cause(
    tmp_path: Path, days: float, address: str, part: str
) -> None:
    file = tmp_path / "server.pem"
    with serving(file, days, address) as port:
        settings = Settings(broker=f"mqtts://p:w@127.0.0.1:{port}?ca={file}")  # type: ignore[arg-type]
        broker = _broker(settings)
        assert found(broker=settings.broker) == {}, "that is told of the broker"
        console = found(console={"base_url": f"https://127.0.0.1:{port}"})["certificate console"]
    assert (broker.standing, console.standing) == (Standing.BROKEN, Standing.DOUBTFUL)
    assert part in broker.text
    assert f"127.0.0.1:{port} 连不上：它的证书" in broker.zh


def test_an_authority_that_nobody_knows_and_a_file_that_is_none(tmp_path: Path) -> None:
    with serving(tmp_path / "server.pem", 9) as port:
        url = f"mqtts://p:w@127.0.0.1:{port}"
        stranger, missing = (_broker(Settings(broker=url + more)) for more in ("", "?ca=/none"))  # type: ignore[arg-type]
    assert "nobody here knows who signed" in stranger.text
    assert "the file that ca= names" in missing.text


def test_a_mail_server_is_asked_for_its_door_only(tmp_path: Path) -> None:
    with MailHost(tmp_path) as host:
        url = f"smtp://127.0.0.1:{host.port}?ca={host.certificate}"
        channel = {"kind": "email", "url": url, "sender": SENDER, "key_id": ACCOUNT, "secret": PASSWORD}
        good = found(channels={"post": channel})["mail post"]
        wrong = found(channels={"post": channel | {"secret": "another"}})["mail post"]
        stranger = found(channels={"post": channel | {"url": url.partition("?")[0]}})["mail post"]
        assert host.messages == []
    away = found(channels={"post": channel})["mail post"]
    assert good.standing is Standing.GOOD
    assert "does not let desk-account in (535)" in wrong.text
    assert "nobody here knows who signed" in stranger.text
    assert "does it run" in away.text
    assert {each.standing for each in (wrong, stranger, away)} == {Standing.BROKEN}
    assert not [each for each in (wrong, stranger, away) if PASSWORD in str(each) or "another" in each.text]
