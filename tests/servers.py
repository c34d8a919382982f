"""Real servers for tests: a private PostgreSQL cluster and Mosquitto brokers, each a child process of the test run.

Nothing here listens beyond 127.0.0.1, nothing needs root, and a server dies with the process that started it.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import Engine, create_engine, text

_ADMIN_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
_MEMORY = Path("/dev/shm")
_ROOM = 3 << 30  # bytes
_START_S = 30.0
_STOP_S = 10.0
_SELDOM_S = 0.06


def in_ci() -> bool:
    """Whether a missing server is a failure (CI=true) instead of a skip."""
    return os.environ.get("CI") == "true"


def missing(what: str, packages: str) -> NoReturn:
    """Skip the test, or fail it in CI, with the words that tell what to install."""
    reason = f"{what} is not installed: apt-get install {packages}"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(names: Sequence[str], packages: str, folders: Sequence[Path] = ()) -> Path:
    """The first of `names` found in `folders`, the PATH or the system's sbin folders; else the test skips or fails."""
    path = os.pathsep.join([*map(str, folders), _ADMIN_PATH])
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    missing(names[0], packages)


def files_folder() -> Path:
    """Where servers and tests keep their files: in memory where that has room, else where temporary files belong.

    Files there outlive a killed process as those on a disk do; only waits for the disk are saved.
    """
    if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM:
        return _MEMORY
    return Path(tempfile.gettempdir())


_PORTS = range(10_000, 32_000)
"""Below those that a system gives to outgoing connections: one of these can't take a port while its server restarts."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now, nor is given out by the system."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float = _START_S, seldom: float = _SELDOM_S) -> None:
    """Poll `condition` after 10 ms, then ever less often down to every `seldom` s: asking costs what is asked for.

    TimeoutError naming `what` when it stays false for `seconds`.
    """
    deadline, pause = time.monotonic() + seconds, 0.01
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(pause)
        pause = min(pause * 1.2, seldom)


def accepts(port: int) -> bool:
    """Whether somebody accepts TCP connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _spawn(arguments: Sequence[str], log: Path, user: str | None = None) -> subprocess.Popen[bytes]:
    """Start a server that the kernel ends when this thread ends; as `user` when we are root."""
    become = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "INT", *become, "--", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


class Postgres:
    """A PostgreSQL cluster in a folder of its own, reached through a unix socket in that folder."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path()
        self.user = "postgres" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._administering: Engine | None = None
        self._made = 0

    @classmethod
    def installed(cls) -> "Postgres":
        """A cluster made by the newest PostgreSQL on this machine; without one the test skips or fails."""
        found = Path("/usr/lib/postgresql").glob("*/bin")
        folders = sorted(found, key=lambda folder: float(folder.parent.name), reverse=True)
        return cls(program(["initdb"], "postgresql", folders).resolve().parent)

    def start(self) -> None:
        """Make the cluster in a new temporary folder (a socket's path must be short) and wait until it answers."""
        self.folder = Path(tempfile.mkdtemp(prefix="sw-pg-", dir=files_folder()))
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        log = self.folder / "log"
        make = ["-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        if _spawn([f"{self.programs}/initdb", *make], log, self.user).wait(60) != 0:
            raise RuntimeError(f"initdb failed:\n{log.read_text()}")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "shared_buffers": "32MB",
            "max_connections": "60",
            "autovacuum": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [f"{self.programs}/postgres", "-D", f"{self.folder}/data", *options]
        self._process = _spawn(command, log, self.user)
        wait_until(self._ready, f"the start of PostgreSQL ({log})")

    def _ready(self) -> bool:
        answer = subprocess.run(
            [f"{self.programs}/pg_isready", "-q", "-h", self.folder, "-U", "postgres"], check=False, timeout=10
        )
        return answer.returncode == 0

    def stop(self) -> None:
        """End the server (open connections are cut) and remove its folder."""
        if self._administering:
            self._administering.dispose()
        if self._process:
            _end(self._process, signal.SIGINT)
        if self.folder.name:
            shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database in this cluster."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def _administer(self, statement: str) -> None:
        if self._administering is None:
            self._administering = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with self._administering.connect() as connection:
            connection.execute(text(statement))

    def create(self, template: str = "template1") -> str:
        """Make a database of its own from `template`, to which nobody may be connected; its name."""
        self._made += 1
        name = f"test_{self._made}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, cutting its connections."""
        self._administer(f"DROP DATABASE {name} WITH (FORCE)")


class Mosquitto:
    """A Mosquitto on a fixed loopback port that can be killed and started again over the same persistence file.

    Its settings hold everything for a client that is away: no limit to queued or in-flight messages, and persistence.
    `extra` lines are appended to the configuration.
    """

    def __init__(self, binary: Path, folder: Path, port: int, extra: Sequence[str] = ()) -> None:
        self.binary = binary
        self.folder = folder
        self.port = port
        self.extra = list(extra)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def installed(cls, folder: Path, extra: Sequence[str] = ()) -> "Mosquitto":
        """One on a free port that keeps its files in `folder`; without Mosquitto the test skips or fails."""
        return cls(program(["mosquitto"], "mosquitto mosquitto-clients"), folder, free_port(), extra)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "mosquitto.log"

    def start(self) -> None:
        """Start (again) on the same port and wait until it accepts connections."""
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 1",
            "max_inflight_messages 0",
            "max_queued_messages 0",
            "max_queued_bytes 0",
            "set_tcp_nodelay true",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives up root and cannot write to the test's folder
        if not any(line.startswith("allow_anonymous") for line in self.extra):
            lines.append("allow_anonymous true")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, *self.extra, ""]), encoding="utf-8")
        self._process = _spawn([str(self.binary), "-c", str(config)], self.log)
        wait_until(self._up, f"the start of Mosquitto ({self.log})")

    def _up(self) -> bool:
        if self._process and self._process.poll() is not None:
            raise RuntimeError(f"Mosquitto ended at once:\n{self.log.read_text(errors='replace')}")
        return accepts(self.port)

    def stop(self) -> None:
        """End it in good order: its persistence file is written."""
        if self._process:
            _end(self._process, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what its last autosave did not write is gone."""
        if self._process:
            _end(self._process, signal.SIGKILL)
