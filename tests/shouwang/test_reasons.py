"""Why a server or a file can't be used is told by its cause, in both languages."""

import errno
import re
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from urllib3.exceptions import MaxRetryError

from ingest.store import StoreBusy, StoreError, StoreUnavailable
from shouwang.reasons import Reason, why_away, why_no_file, why_no_store
from shouwang.short_session import BrokerSilent

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def bilingual(reason: Reason, part: str) -> None:
    assert CHINESE.search(reason.said(english=False))
    assert not CHINESE.search(reason.said(english=True))
    assert part in reason.en


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "does it run"),
        (TimeoutError("timed out"), "firewall"),
        (socket.gaierror(-2, "Name or service not known"), "DNS"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "speak TLS"),
        (ssl.SSLError(1, "[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found"), "ca= names"),
        (FileNotFoundError(2, "No such file or directory"), "ca= names"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (BrokerSilent("h:8884 refuses the connection: Not authorized"), "broker_password"),
        (BrokerSilent("h:8884 does not answer within 5 s"), "mqtts or mqtt"),
    ],
)
def test_a_cause_is_told_with_what_to_do(error: OSError, part: str) -> None:
    bilingual(why_away(error), part)


def test_the_cause_is_at_the_bottom_of_what_libraries_raise() -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    try:
        try:
            raise httpx.ConnectError("All connection attempts failed") from refused
        except httpx.ConnectError as error:
            raise StoreUnavailable("http://h can't be read") from error
    except StoreUnavailable as error:
        bilingual(why_no_store(error), "does it run")
    bilingual(why_away(MaxRetryError(None, "/", refused)), "does it run")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (StoreUnavailable("http://h refuses the token (unauthorized): give one"), "store_token"),
        (StoreError("http://h: the token may not make buckets and tokens"), "all access"),
        (StoreUnavailable("http://h has no bucket readings (not found)"), "shouwang store init"),
        (StoreUnavailable("http://h answers 502: <html>"), "see its log"),
        (StoreBusy("another process has the readings store open"), "stop that one"),
        (StoreUnavailable("the readings store r.duckdb can't be opened: IO Error"), "owner"),
    ],
)
def test_a_store_says_what_it_lacks(error: StoreError, part: str) -> None:
    bilingual(why_no_store(error), part)


def test_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError) as refused:
        (tmp_path / "none").read_text()
    bilingual(why_no_file(refused.value), str(tmp_path / "none"))
    bilingual(why_no_file(OSError(errno.ENOSPC, "No space left", "file")), "disk is full")
