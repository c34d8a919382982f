"""A process tells its metrics on a port of its own, or nowhere."""

import httpx
import pytest

from core.lifecycle import PartFailed
from core.metrics import Metrics
from shouwang.metrics_page import MetricsPage
from shouwang.settings import Settings
from tests.servers import accepts, free_port


def test_a_port_of_its_own_tells_what_the_process_counts_until_it_ends() -> None:
    metrics, port = Metrics(), free_port()
    page = MetricsPage(metrics.registry, "127.0.0.1", port)
    page.start()
    metrics.messages.inc(7)
    told = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    assert "shouwang_messages_total 7.0" in told.text
    assert "\nshouwang_broker_connected " not in told.text, "this process has no session"
    metrics.broker_connected.set(0)
    assert "\nshouwang_broker_connected 0.0" in httpx.get(told.url, trust_env=False).text
    assert "python_info" not in told.text, "the platform's own registry"
    page.stop(5)
    assert not accepts(port)


def test_a_port_in_use_is_told_and_by_default_there_is_none() -> None:
    first = MetricsPage(Metrics().registry, "127.0.0.1", port := free_port())
    first.start()
    try:
        with pytest.raises(PartFailed, match=r"metrics\.port"):
            MetricsPage(Metrics().registry, "127.0.0.1", port).start()
    finally:
        first.stop(5)
    assert Settings().metrics.port == 0
