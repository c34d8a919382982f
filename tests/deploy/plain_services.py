"""The services of docker-compose.yml as plain processes of Debian's programs, by what that file says.

Commands, environments, secrets, order and health checks are the file's own. Only places differ: a volume or secret is a
folder or file of the test's, a service's name is this machine, a port is a free one.
"""

import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from shouwang.broker_export import find_plugin
from tests.deploy.compose_file import ROOT, composed, services
from tests.influx_server import InfluxOne
from tests.servers import Postgres, _end, _spawn, files_folder, free_port, program, wait_until

USER = pwd.getpwuid(os.geteuid()).pw_name
PROGRAMS = Path(sysconfig.get_path("scripts"))
_PORTS = (8000, 8883, 8884)
_HERE = "127.0.0.1"


class PlainServices:
    """All of them but Grafana, which Debian does not have; `folder` is where the file's project would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services, self.secrets = services(), composed()["secrets"]
        self.ports = {str(port): str(free_port()) for port in _PORTS}
        self.postgres = ComposedPostgres()
        self.influx = InfluxOne.installed()
        self.metrics = {name: free_port() for name in self.services}
        self.ports |= {"5432": str(self.postgres.port), "8086": str(self.influx.port)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._broker = program(["mosquitto"], "mosquitto mosquitto-clients")
        subprocess.run([ROOT / "deploy" / "secrets.sh", folder / "secrets"], check=True, capture_output=True)
        subprocess.run([ROOT / "deploy" / "secrets.sh", folder / "secrets"], check=True, capture_output=True)

    def places(self, service: str) -> dict[str, Path]:
        """What a path in the container is here."""
        told = self.services[service]
        found = {f"/run/secrets/{name}": self.folder / self.secrets[name]["file"] for name in told.get("secrets", [])}
        for volume in told.get("volumes", []):
            source, target = volume.split(":")[:2]
            found[target] = ROOT / source if source.startswith("./") else self.folder / "volumes" / source
        return found

    def local(self, service: str, text: str) -> str:
        """A value of the file, with the places of this machine in it."""
        names = "|".join(self.services)
        text = re.sub(rf"(?<=@)({names})/", rf"{_HERE}:{self.ports['5432']}/", text)
        text = re.sub(rf"(@|//)({names}):(?=\d)", rf"\g<1>{_HERE}:", text)
        text = text.replace("/usr/lib/mosquitto_dynamic_security.so", str(find_plugin()))
        for there, here in sorted(self.places(service).items(), key=lambda place: -len(place[0])):
            text = re.sub(rf"(?<![\w/]){re.escape(there)}(?=[/\s\"')?&]|$)", str(here), text)
        return re.sub(r"(?<![\d.])(\d{4})(?![\d.])", lambda found: self.ports.get(found[1], found[1]), text)

    def environment(self, service: str) -> dict[str, str]:
        """A service's own environment, and what any process of this machine needs."""
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", os.defpath), "/usr/sbin"])
        told = self.services[service]["environment"].items()
        own = {name: self.local(service, str(value or "")) for name, value in told}  # Compose: nothing is an empty text
        if "SHOUWANG_METRICS__PORT" in own:  # on one machine each process needs another one
            own["SHOUWANG_METRICS__PORT"] = str(self.metrics[service])
        caches = {"NUMBA_CACHE_DIR": os.environ["NUMBA_CACHE_DIR"]} if "NUMBA_CACHE_DIR" in os.environ else {}
        return kept | caches | {"PATH": path, "PYTHONWARNINGS": "default"} | own

    def log(self, service: str) -> str:
        """What a service said."""
        return (self.folder / f"{service}.log").read_text(encoding="utf-8", errors="replace")

    def start_servers(self) -> None:
        """The two that keep data, as their images set them up at a first start."""
        told = self.services["postgres"]
        password = self.folder / self.secrets["database_password"]["file"]
        self.postgres.begin(told["environment"], told["command"], password.read_text(encoding="utf-8"))
        self.influx.start()

    def set_up(self) -> str:
        """The one-shot service: its own shell lines; what it said."""
        told = self.services["setup"]
        for place in self.places("setup").values():
            if not place.exists():
                place.mkdir(parents=True, mode=0o700)
        done = subprocess.run(
            [*told["entrypoint"], self._setup_script()],
            env=self.environment("setup"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _setup_script(self) -> str:
        (script,) = (self.local("setup", line) for line in self.services["setup"]["command"])
        return script.replace("broker export", f"broker export --user {USER}")

    def setup_commands(self) -> list[list[str]]:
        """The arguments of each of its calls of the program."""
        lines = [shlex.split(line) for line in self._setup_script().replace("\\\n", " ").splitlines()]
        assert {words[0] for words in lines} == {"shouwang"}
        return [words[1:] for words in lines]

    def start_broker(self) -> None:
        """Mosquitto on the files that were exported for it, but on loopback alone."""
        _, *arguments = (self.local("mosquitto", word) for word in self.services["mosquitto"]["command"])
        config = Path(arguments[-1])
        text = re.sub(r"^listener (\d+).*$", rf"listener \1 {_HERE}", config.read_text(encoding="utf-8"), flags=re.M)
        own = self.folder / "mosquitto.conf"
        own.write_text(text, encoding="utf-8")
        log = self.folder / "mosquitto.log"
        self._running["mosquitto"] = _spawn([str(self._broker), *arguments[:-1], str(own)], log)
        self.wait_healthy("mosquitto", 60)

    def start(self, service: str, **more: str) -> None:
        """A role of the platform."""
        command = ["shouwang", *self.services[service]["command"]]
        with (self.folder / f"{service}.log").open("ab") as log:
            self._running[service] = subprocess.Popen(
                [str(PROGRAMS / command[0]), *command[1:]],
                stdout=log,
                stderr=log,
                env=self.environment(service) | more,
                cwd=self.folder,
            )

    def is_healthy(self, service: str) -> bool:
        """Whether the file's own health check of a service says so."""
        kind, *words = (self.local(service, word) for word in self.services[service]["healthcheck"]["test"])
        command = ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words
        if command[0] == "python":
            command[0] = sys.executable
        environment = self.environment(service) | self.postgres.environment()
        done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    def wait_healthy(self, service: str, seconds: float) -> None:
        """Wait for its health check; a process that ended is told at once with what it said."""

        def well() -> bool:
            ended = self._running[service].poll() if service in self._running else None
            assert ended is None, f"{service} ended with {ended}: {self.log(service)[-3000:]}"
            return self.is_healthy(service)

        wait_until(well, f"the health of {service}", seconds, seldom=0.5)  # each look is a process

    def memory_mb(self, service: str) -> float:
        """The most memory that a process ever had, MB."""
        lines = Path(f"/proc/{self._running[service].pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def end(self, services: Collection[str]) -> dict[str, int]:
        """SIGTERM to all of them, as `docker compose stop` does; how each ended."""
        ending = {service: self._running.pop(service) for service in services if service in self._running}
        for process in ending.values():
            process.send_signal(signal.SIGTERM)
        return {service: process.wait(30) for service, process in ending.items()}

    def stop(self) -> None:
        """End what still runs."""
        for process in reversed(self._running.values()):
            _end(process, signal.SIGKILL)
        self.influx.stop()
        self.postgres.end()


class ComposedPostgres:
    """A PostgreSQL as its image makes one: the user, the database, passwords asked for over TCP."""

    def __init__(self) -> None:
        self.port = free_port()
        self._programs = Postgres.installed().programs
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="sw-pg-", dir=files_folder()))
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, told: dict[str, Any], command: list[str], password: str) -> None:
        """Make it and start it, quick instead of durable."""
        if self._user:
            shutil.chown(self._folder, self._user, self._user)
        secret, log, data = self._folder / "password", self._folder / "log", self._folder / "data"
        secret.write_text(password, encoding="utf-8")
        secret.chmod(0o644)
        user, asked = told["POSTGRES_USER"], told["POSTGRES_INITDB_ARGS"].split()
        make = ["-D", str(data), "-U", user, f"--pwfile={secret}", "--auth-local=trust", "--no-sync", *asked]
        if _spawn([f"{self._programs}/initdb", *make], log, self._user).wait(60) != 0:
            raise RuntimeError(f"initdb failed:\n{log.read_text()}")
        own = ["-c", f"listen_addresses={_HERE}", "-c", f"port={self.port}", "-c", "fsync=off"]
        own += ["-c", f"unix_socket_directories={self._folder}"]
        program_, *arguments = command
        self._process = _spawn([f"{self._programs}/{program_}", "-D", str(data), *arguments, *own], log, self._user)
        wait_until(self._ready, f"the start of PostgreSQL ({log})")
        make = [f"{self._programs}/createdb", "-U", user, told["POSTGRES_DB"]]
        subprocess.run(make, check=True, env={**os.environ, **self.environment()})

    def _ready(self) -> bool:
        """Whether it lets somebody in: its port is open sooner, while it still says that it is starting."""
        asked = [f"{self._programs}/pg_isready", "-q"]
        return subprocess.run(asked, check=False, timeout=10, env={**os.environ, **self.environment()}).returncode == 0

    def environment(self) -> dict[str, str]:
        """Where its programs find it from within."""
        return {"PGHOST": str(self._folder), "PGPORT": str(self.port)}

    def end(self) -> None:
        """End it and remove its files."""
        if self._process:
            _end(self._process, signal.SIGINT)
        shutil.rmtree(self._folder)
