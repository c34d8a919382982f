"""Settings: a TOML file, then SHOUWANG_… in the environment; checked as a whole, all errors at once."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

_PREFIX = "SHOUWANG_"
_OUTSIDE = (f"{_PREFIX}CONFIG", f"{_PREFIX}TEST_")
_MASK = "********"
_GIGABYTE = 2**30


class SettingsError(ValueError):
    """Settings that can't be used; `problems` has one line for each fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JournalSettings(_Section):
    """How much the journal may hold, and how long it keeps what everybody has read."""

    quota_gb: float = Field(default=8, gt=0)
    reserve_gb: float = Field(default=1, ge=0)
    replay_hours: float = Field(default=24, ge=0)

    @property
    def quota_bytes(self) -> int:
        return int(self.quota_gb * _GIGABYTE)

    @property
    def reserve_bytes(self) -> int:
        return int(self.reserve_gb * _GIGABYTE)


class ConsoleSettings(_Section):
    """Where the web pages are served; `base_url` is what links in messages begin with."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    base_url: str = ""

    @property
    def address(self) -> str:
        """What links begin with: the base URL, or this machine's own address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}"

    @field_validator("base_url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")


class ChannelSettings(_Section):
    """One channel for notices: its kind, where its provider is, and its secret."""

    kind: Literal["phone", "wecom_robot", "webhook"]
    url: str = ""
    secret: SecretStr = SecretStr("")
    deduplicates: bool = False
    per_minute: int | None = Field(default=None, gt=0)


Role = Literal["ingest", "store", "detect", "dispatch", "console"]
ROLES: tuple[Role, ...] = ("ingest", "store", "detect", "dispatch", "console")


class Settings(BaseSettings):
    """Everything an operator decides.

    `state` is the folder of all files; URLs choose the adapters; readings stay `keep_days`.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid")

    state: Path = Path("state")
    database: str = ""
    broker: SecretStr = SecretStr("embedded://127.0.0.1:1883")
    store: SecretStr = SecretStr("")
    keep_days: int = Field(default=730, gt=0)
    device_types: list[Path] = []
    rules: list[Path] = []
    journal: JournalSettings = JournalSettings()
    console: ConsoleSettings = ConsoleSettings()
    channels: dict[str, ChannelSettings] = {"phone": ChannelSettings(kind="phone")}
    language: Literal["zh", "en"] = "zh"
    demo: bool = False

    @field_validator("broker")
    @classmethod
    def _known_broker(cls, value: SecretStr) -> SecretStr:
        _one_of_schemes(value.get_secret_value(), "embedded", "mqtt", "mqtts")
        return value

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            _one_of_schemes(value.get_secret_value(), "duckdb")
        return value

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value:
            _one_of_schemes(value, "sqlite", "postgresql+psycopg")
        return value

    @property
    def database_url(self) -> str:
        """The database's URL; a SQLite file in the state folder by default."""
        return self.database or f"sqlite:///{self.state / 'shouwang.db'}"

    @property
    def store_file(self) -> Path:
        """The file of the embedded readings store."""
        url = self.store.get_secret_value()
        return Path(url.removeprefix("duckdb:///")) if url else self.state / "readings.duckdb"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment wins over the file


def _one_of_schemes(url: str, *schemes: str) -> None:
    if urlsplit(url).scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")


def load_settings(file: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file (none: defaults) and the environment. Raises SettingsError with every problem.

    Relative paths in the file are relative to the file.
    """
    environment = os.environ if environment is None else environment
    problems = _unknown_variables(environment)
    content = _read(file, problems) if file else {}
    try:
        settings = Settings(**content)
    except ValidationError as error:
        where = file or "settings"
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"])
            problems.append(f"{where}: {key}: {fault['msg'].removeprefix('Value error, ')}")
    if problems:
        raise SettingsError(problems)
    return settings


def _read(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{file}: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{file}: not TOML: {error}")
        return {}
    for key in ("state",):
        if isinstance(content.get(key), str):
            content[key] = file.parent / content[key]
    for key in ("device_types", "rules"):
        if isinstance(content.get(key), list):
            content[key] = [file.parent / str(entry) for entry in content[key]]
    return content


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    return [
        f"environment: {name}: no such setting"
        for name in environment
        if name.startswith(_PREFIX) and not name.startswith(_OUTSIDE) and name.split("__")[0] not in known
    ]


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings as plain values, secrets and passwords in URLs hidden."""
    shown = settings.model_dump(mode="json")
    shown["broker"] = _mask_url(settings.broker.get_secret_value())
    shown["store"] = _mask_url(settings.store.get_secret_value() or f"duckdb:///{settings.store_file}")
    shown["database"] = _mask_url(settings.database_url)
    for name, channel in settings.channels.items():
        shown["channels"][name]["secret"] = _MASK if channel.secret.get_secret_value() else ""
    return shown


def _mask_url(url: str) -> str:
    """The URL with its password, or a user name that stands alone (a token), hidden."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    return urlunsplit(parts._replace(netloc=f"{name}:{_MASK}@{host}" if colon else f"{_MASK}@{host}"))
