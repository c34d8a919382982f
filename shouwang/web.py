"""The console's web server as a part of the platform: uvicorn in a thread of its own."""

import asyncio
import socket
import threading

import uvicorn
from fastapi import FastAPI

from core.lifecycle import PartFailed

_START = 10.0  # s


class WebServer:
    """Serves `app` on `host`:`port`; port 0 takes a free one, which `port` then tells."""

    name = "console"

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._app = app
        config = uvicorn.Config(
            app, host=host, log_level="warning", access_log=False, timeout_graceful_shutdown=3, lifespan="on"
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Bind, so that a port in use is told at once, then serve."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # asyncio turns Nagle off, 40 ms an answer, only for sockets that name their protocol
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
        except OSError as error:
            listening.close()
            raise PartFailed(
                f"the console can't listen on {self.host}:{self.port}: {error.strerror}; choose another console.port"
            ) from error
        self.port = listening.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name=self.name, daemon=True)
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(_START / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            waited.wait(0.02)
        if not self._server.started:
            raise PartFailed("the console did not start")

    async def _serve(self, listening: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve([listening])

    def stop(self, timeout: float) -> None:
        """End the streams that pages hold open, then the server."""
        if self._loop and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._app.state.feed.close(), self._loop)
        self._server.should_exit = True
        if self._thread:
            self._thread.join(timeout)
