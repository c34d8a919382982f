"""The files of a Mosquitto that knows the town: who may connect, who may do what, and how it holds what we miss."""

import hashlib
import os
import pwd
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from devices.credentials import Pbkdf2Hash
from ingest.refusals import MAX_PAYLOAD
from ingest.topic_rights import Rights
from shouwang.broker_accounts import BrokerTown

CONF, PASSWORDS, ACL, DYNAMIC = "mosquitto.conf", "passwords", "acl", "dynamic-security.json"
PLUGINS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib")
PLUGIN = "mosquitto_dynamic_security.so"
_MARK = "# shouwang broker export, of what follows: "
_LARGEST = 4 * MAX_PAYLOAD  # what is larger the broker acknowledges and forgets; up to this the gate tells of it
_IN_FLIGHT = 5_000
_QUEUED = 1_000_000_000  # no limit but the bytes; with 0, 2.0.11 cuts whoever publishes where it may not, or too much
_SALT = 12


class ExportRefused(OSError):
    """What was asked would be unsafe, or would overwrite somebody's work; the text says what to do."""


@dataclass(frozen=True)
class Tls:
    """PEM files as the broker sees them."""

    cert: Path
    key: Path
    ca: Path | None = None


@dataclass(frozen=True)
class Listener:
    """Where a broker listens; without an address on all interfaces."""

    port: int
    address: str = ""

    @property
    def is_local(self) -> bool:
        """Can it be reached from this machine only?"""
        try:
            return ip_address(self.address).is_loopback
        except ValueError:
            return self.address == "localhost"


@dataclass(frozen=True)
class MosquittoPlan:
    """How a Mosquitto is to be set up. `plugin` is the dynamic security plugin's file where that decides."""

    folder: Path
    gateways: Listener
    platform: Listener
    tls: Tls | None = None
    user: str = "mosquitto"
    hold_bytes: int = 2**30
    autosave_s: int = 5
    plugin: Path | None = None

    def refusal(self) -> str:
        """Why it can't be set up so; empty when it can."""
        if self.tls is None and not self.gateways.is_local:
            return "passwords would cross the network in clear: give --tls CERT KEY, or --listen 127.0.0.1"
        if self.tls is None and not self.platform.is_local:
            return "the platform's password would cross the network in clear: give --tls CERT KEY"
        if self.gateways.port == self.platform.port:
            return "gateways and the platform need different ports"
        return ""


def configuration(plan: MosquittoPlan) -> str:
    """mosquitto.conf. Gateways' client ids are their user names: none can take over another's session or ours."""
    folder = plan.folder
    deciding = (
        [f"plugin {plan.plugin}", f"plugin_opt_config_file {folder / DYNAMIC}"]
        if plan.plugin
        else [f"password_file {folder / PASSWORDS}", f"acl_file {folder / ACL}"]
    )
    lines = [
        "# gateways",
        f"listener {plan.gateways.port} {plan.gateways.address}".rstrip(),
        "use_username_as_clientid true",
        *_tls(plan.tls),
        "",
        "# the platform",
        f"listener {plan.platform.port} {plan.platform.address}".rstrip(),
        *(_tls(plan.tls) if not plan.platform.is_local else []),
        "",
        "# who may what",
        "per_listener_settings false",
        "allow_anonymous false",
        *deciding,
        "",
        "# holding what the platform has not taken yet",
        "persistence true",
        f"persistence_location {folder}/",
        f"autosave_interval {plan.autosave_s}",
        "autosave_on_changes false",
        f"max_queued_messages {_QUEUED}",
        f"max_queued_bytes {plan.hold_bytes}",
        f"max_inflight_messages {_IN_FLIGHT}",
        "queue_qos0_messages false",
        "persistent_client_expiration 30d",
        "",
        "# limits",
        f"message_size_limit {_LARGEST}",
        "",
        "set_tcp_nodelay true",
        "sys_interval 10",
        f"user {plan.user}",
        "",
    ]
    return "\n".join(lines)


def _tls(tls: Tls | None) -> list[str]:
    if tls is None:
        return []
    own = [f"certfile {tls.cert}", f"keyfile {tls.key}", "tls_version tlsv1.2"]
    return [*own, f"cafile {tls.ca}"] if tls.ca else own


def password_lines(town: BrokerTown, platform: str, platform_password: str) -> str:
    """Mosquitto's password file: the platform, and the gateways that may connect."""
    lines = [f"{platform}:{stable_hash(platform_password)}"]
    lines += [f"{account.username}:{account.password}" for account in town.accounts.values() if account.admitted]
    return "\n".join([*lines, ""])


def stable_hash(password: str) -> Pbkdf2Hash:
    """The hash of a random password with a salt made from it, so that writing it again changes nothing."""
    return Pbkdf2Hash.of(password, hashlib.sha256(b"salt of " + password.encode()).digest()[:_SALT])


def acl_lines(town: BrokerTown, platform: str) -> str:
    """Mosquitto's access file: of the accounts in the password file, what each may write and read."""
    lines = _account_lines(platform, town.platform)
    for account in town.accounts.values():
        if account.admitted:
            lines += _account_lines(account.username, account.rights)
    return "\n".join(lines)


def _account_lines(username: str, rights: Rights) -> list[str]:
    may = [f"topic write {topic}" for topic in rights.publish] + [f"topic read {topic}" for topic in rights.subscribe]
    return [f"user {username}", *may, ""]


def marked(text: str) -> str:
    """The text under a first line that tells whether it was edited since."""
    return f"{_MARK}{_digest(text)}\n{text}"


def is_untouched(content: str) -> bool:
    """Was this written by `marked` and not edited since?"""
    first, _, text = content.partition("\n")
    return first == f"{_MARK}{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_files(plan: MosquittoPlan, files: Mapping[str, str], force: bool = False) -> list[str]:
    """Write what changed, each file whole or not at all, for its owner only; the names of those that were written.

    The broker's user becomes their owner where we are root. Raises ExportRefused, before anything is written, when a
    file is there that was made or edited by somebody else.
    """
    edited = [name for name in files if not force and _edited(plan.folder / name)]
    if edited:
        raise ExportRefused(
            f"{', '.join(edited)} in {plan.folder} was made or edited by hand: nothing was written; "
            "choose another folder, or --force to overwrite it"
        )
    owner = _owner(plan.user)
    plan.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if owner:
        os.chown(plan.folder, *owner)
    changed = [name for name, text in files.items() if _content(plan.folder / name) != text]
    for name in changed:
        replace_file(plan.folder / name, files[name], owner)
    return changed


def write_once(plan: MosquittoPlan, name: str, text: str, force: bool = False) -> list[str]:
    """Write a file that the broker itself keeps from then on; what is there already stays, unless forced."""
    path = plan.folder / name
    if path.exists() and not force:
        return []
    replace_file(path, text, _owner(plan.user))
    return [name]


def _edited(path: Path) -> bool:
    content = _content(path)
    return content is not None and not is_untouched(content)


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None


def _owner(user: str) -> tuple[int, int] | None:
    """The ids of the broker's user where we may give files away; ExportRefused when there is no such user."""
    if os.geteuid():
        return None
    try:
        found = pwd.getpwnam(user)
    except KeyError as unknown:
        raise ExportRefused(f"there is no user {user}: install Mosquitto, or name its user with --user") from unknown
    return found.pw_uid, found.pw_gid


def replace_file(path: Path, text: str, owner: tuple[int, int] | None) -> None:
    """Put a file in place of what is there, readable by its owner only, durable before it is seen."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
            if owner:
                os.fchown(opened.fileno(), *owner)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def platform_password(file: Path) -> str:
    """The platform's password at the broker, made once and kept in a file for its owner only."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, secrets.token_urlsafe(24) + "\n", None)
    return file.read_text(encoding="utf-8").strip()


def find_plugin() -> Path:
    """Mosquitto's dynamic security plugin on this machine. Raises ExportRefused when there is none."""
    for place in (*PLUGINS, *_beside_the_program()):
        if (file := Path(place) / PLUGIN).is_file():
            return file
    raise ExportRefused(f"{PLUGIN} is not installed here: install Mosquitto 2, or name it with --plugin")


def _beside_the_program() -> list[str]:
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")
    return [str(Path(program).resolve().parents[1] / "lib")] if program else []
