"""Apprise: what its yes and its no are worth, and what is said without it."""

import pytest

from alerts.channels import apprise_url
from alerts.channels.apprise_url import AppriseUrl
from alerts.texts import navigation_url
from tests.alerts.notices.notice_rows import outgoing
from tests.providers.apprise_url import Service, address
from tests.providers.provider import Answer

TAIL = AppriseUrl("tail", "https://town.example")


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_a_no_says_not_whether_it_arrived(status: int) -> None:
    with Service() as service:
        service.script.append(Answer(b"", status))
        outcome = TAIL.send(outgoing(address(service.url)))
    assert (outcome.state, outcome.code) == ("uncertain", "no")


@pytest.mark.parametrize("url", ["", "nonsense", "nosuch://x", "http://[", "json://"])
def test_what_is_no_address_fails(url: str) -> None:
    assert TAIL.send(outgoing(url)).state == "failed"


def test_without_the_extra_it_fails_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise_url, "_library", lambda: None)
    assert TAIL.send(outgoing("json://127.0.0.1")).code == "extra"


def test_what_cannot_be_missed_comes_first() -> None:
    with Service() as service:
        TAIL.send(outgoing(address(service.url), advice_zh="勿" * 3000))
    first, second = service.held[0].splitlines()[1:3]
    assert "20261123-0007" in first
    assert second == "https://town.example/tickets/7"


@pytest.mark.parametrize(("advice", "ways"), [("勿靠近", 1), ("勿" * 3000, 0)])
def test_the_way_goes_along_whole_or_not_at_all(advice: str, ways: int) -> None:
    with Service() as service:
        notice = outgoing(address(service.url), advice_zh=advice)
        TAIL.send(notice)
    assert service.held[0].count(navigation_url(notice.facts)) == service.held[0].count("amap") == ways
