"""The metrics of one process for a Prometheus, on a port of their own: whatever roles it runs, and with no sign-in."""

import threading
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from pydantic import BaseModel, ConfigDict, Field

from core.lifecycle import PartFailed


class MetricsSettings(BaseModel):
    """Where each process tells its metrics (`http://host:port/metrics`); port 0, the default: nowhere.

    Nobody is asked who he is there: figures of the platform, no readings and no names. Keep it inside.
    """

    model_config = ConfigDict(extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)


class MetricsPage:
    """Serves a registry on `host`:`port`."""

    name = "metrics"

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._registry, self._host, self._port = registry, host, port
        self._serving: tuple[WSGIServer, threading.Thread] | None = None

    def start(self) -> None:
        """Bind, so that a port in use is told at once, and serve."""
        try:
            self._serving = start_http_server(self._port, self._host, self._registry)
        except OSError as error:
            place, why = f"{self._host}:{self._port}", error.strerror
            raise PartFailed(
                f"不能在 {place} 提供平台指标（{why}）：请改 metrics.port，每个进程各用一个。\n"
                f"the metrics can't be told on {place}: {why}; choose another metrics.port, one for each process"
            ) from error

    def stop(self, timeout: float) -> None:
        """Hear nobody more."""
        if self._serving:
            server, thread = self._serving
            server.shutdown()
            server.server_close()
            thread.join(timeout)
