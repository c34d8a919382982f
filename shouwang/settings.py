"""Settings: a TOML file, then SHOUWANG_… in the environment; checked as a whole, all errors at once."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from ingest.influx_address import SCHEMES, InfluxAddress
from ingest.mqtt import BrokerAddress
from shouwang.channel_settings import ChannelSettings, OutsideSettings, SystemName
from shouwang.desk_settings import DeskSection
from shouwang.grafana_settings import GrafanaSettings
from shouwang.metrics_page import MetricsSettings
from shouwang.reading_settings import AnomalySettings, IngestSettings, JournalSettings, LearningSettings, Section
from shouwang.secret_files import SUFFIX, from_environment, from_table, opened
from shouwang.setting_faults import begins_with, words_of

_PREFIX = "SHOUWANG_"
_OUTSIDE = (f"{_PREFIX}CONFIG", f"{_PREFIX}TEST_")
_MASK = "********"
_FILES = ("sqlite:///", "duckdb:///")
_ACCOUNT = re.compile(r"^([\w+.-]+://)(?:([^:@/]*)(:))?.*@", re.DOTALL)
_OPTION = re.compile(r"([?&])(?!(?:ca|client_id|sslmode|sslrootcert)=)([^=&#]+)=[^&]*")


class SettingsError(ValueError):
    """Settings that can't be used; `problems` has one line for each fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ConsoleSettings(Section):
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
            raise ValueError(begins_with("http://", "https://"))
        return value.rstrip("/")


class HeartbeatSettings(Section):
    """The outside address that is told every `every_s` seconds that all is well; it rings when it hears nothing."""

    url: SecretStr = SecretStr("")
    every_s: float = Field(default=60, ge=5, le=3600)

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(begins_with("http://", "https://"))
        return value


class BackupSettings(Section):
    """Where `shouwang backup` writes (empty: `backups` in the state folder), and how many it keeps."""

    folder: str = ""
    keep: int = Field(default=14, ge=1)

    def folder_in(self, state: Path) -> Path:
        """The folder of backups of a platform with this state folder."""
        return Path(self.folder) if self.folder else state / "backups"


class RoutingSettings(Section):
    """An OSRM-compatible routing service that tells real ways ahead; without its URL distances are straight lines.

    `most` is how many positions it takes in one request (its max-table-size); it is asked anew every `every_h` hours.
    """

    url: SecretStr = SecretStr("")
    profile: str = Field(default="driving", pattern=r"^[a-z0-9_-]+$")
    most: int = Field(default=100, ge=2)
    every_h: float = Field(default=24, ge=1, le=72)

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(begins_with("http://", "https://"))
        return value


Role = Literal["ingest", "store", "detect", "dispatch", "console"]
ROLES: tuple[Role, ...] = ("ingest", "store", "detect", "dispatch", "console")


class _Environment(EnvSettingsSource):
    """What is no JSON where JSON is expected stays a text, so that it is told with all other faults.

    What a file holds that a variable …_FILE names is as if it stood in the variable without that ending.
    """

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        plain = {name: value for name, value in self.env_vars.items() if not name.endswith(SUFFIX)}
        self.env_vars = {**plain, **from_environment(os.environ, _PREFIX, problems=[])}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """Everything an operator decides.

    `state` is the folder of all files; URLs choose the adapters; readings stay `keep_days`, their roll-ups of 5 minutes
    and of an hour longer. Every `canary_s` seconds (0: never) the platform sends a reading of its own the whole way.
    A password or token may stand apart from its URL. Any setting may be a file's content: write its name with _file.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid")

    state: Path = Path("state")
    database: str = Field(default="", repr=False)
    broker: SecretStr = SecretStr("embedded://127.0.0.1:1883")
    store: SecretStr = SecretStr("")
    database_password: SecretStr = SecretStr("")
    broker_password: SecretStr = SecretStr("")
    store_token: SecretStr = SecretStr("")
    keep_days: int = Field(default=730, gt=0)
    keep_5m_days: int = Field(default=1826, gt=0)
    keep_1h_days: int = Field(default=3652, gt=0)
    device_types: list[Path] = []
    rules: list[Path] = []
    journal: JournalSettings = JournalSettings()
    ingest: IngestSettings = IngestSettings()
    learning: LearningSettings = LearningSettings()
    anomaly: AnomalySettings = AnomalySettings()
    console: ConsoleSettings = ConsoleSettings()
    desk: DeskSection = DeskSection()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    routing: RoutingSettings = RoutingSettings()
    grafana: GrafanaSettings = GrafanaSettings()
    backup: BackupSettings = BackupSettings()
    metrics: MetricsSettings = MetricsSettings()
    channels: dict[str, ChannelSettings] = {"phone": ChannelSettings(kind="phone")}
    outside: dict[SystemName, OutsideSettings] = {}
    language: Literal["zh", "en"] = "zh"
    canary_s: float = Field(default=10, ge=0)
    demo: bool = False

    @model_validator(mode="before")
    @classmethod
    def _opened(cls, given: dict[str, Any]) -> dict[str, Any]:
        return opened(given)

    @field_validator("broker")
    @classmethod
    def _known_broker(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        _one_of_schemes(url, "embedded", "mqtt", "mqtts")
        if urlsplit(url).scheme != "embedded":
            BrokerAddress.parse(url)
        return value

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if urlsplit(url).scheme in SCHEMES:
            InfluxAddress.parse(url)
        elif url and not url.startswith("duckdb:///"):
            raise ValueError(begins_with("duckdb:///", *(f"{scheme}://" for scheme in SCHEMES)))
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

    @property
    def influx(self) -> InfluxAddress | None:
        """Where the InfluxDB is that keeps the readings, None when the embedded store does."""
        url = self.store.get_secret_value()
        return InfluxAddress.parse(url) if urlsplit(url).scheme in SCHEMES else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return _Environment(settings_cls), init_settings  # the environment wins over the file


def _one_of_schemes(url: str, *schemes: str) -> None:
    if urlsplit(url).scheme not in schemes:
        raise ValueError(begins_with(*(f"{scheme}://" for scheme in schemes)))
    if url.startswith(_FILES):
        return
    try:
        parts = urlsplit(url)
        whole = parts.port != 0 and not parts.fragment and "@" not in parts.path
    except ValueError:
        whole = False
    if not whole:
        zh = "不是网址：用户名和口令里的 / : @ # ? 要写成百分号形式，如 / 写成 %2F"
        en = "is no URL: write / : @ # ? in a user name or password in percent form, such as %2F for /"
        raise ValueError(f"{zh} · {en}")


def load_settings(file: Path | None) -> Settings:
    """Read the file (none: defaults) and the environment. Raises SettingsError with every problem.

    Relative paths in the file are relative to the file.
    """
    problems = _unknown_variables()
    from_environment(os.environ, _PREFIX, problems)
    content = _read(file, problems) if file else {}
    try:
        settings = Settings(**content)
    except ValidationError as error:
        for fault in error.errors():
            problems.append(f"{_origin(fault['loc'], file)}: {words_of(fault)}")
    if problems:
        raise SettingsError(problems)
    return settings


def _origin(key: tuple[int | str, ...], file: Path | None) -> str:
    """Where the value of a key was written: the environment's variable, or the file and the key."""
    parts = [str(part) for part in key]
    variables = {name.upper(): name for name in os.environ}
    for length in range(len(parts), 0, -1):
        name = f"{_PREFIX}{'__'.join(parts[:length])}".upper()
        for written in (name, f"{name}{SUFFIX}".upper()):
            if written in variables:
                return f"environment: {variables[written]}"
    return f"{file or 'settings'}: {'.'.join(parts)}"


def _read(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{file}: 读不出来，请查路径和权限 · can't be read: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{file}: 不合 TOML 写法 · not TOML: {error}")
        return {}
    content = from_table(content, file, problems)
    if isinstance(content.get("state"), str):
        content["state"] = file.parent / content["state"]
    for key in ("device_types", "rules"):
        if isinstance(content.get(key), list):
            content[key] = [file.parent / str(entry) for entry in content[key]]
    kept = content.get("backup")
    if isinstance(kept, dict) and isinstance(kept.get("folder"), str) and kept["folder"]:
        kept["folder"] = str(file.parent / kept["folder"])
    for key in ("database", "store"):
        if isinstance(content.get(key), str):
            content[key] = _beside(file, content[key])
    return content


def _beside(file: Path, url: str) -> str:
    """The URL of a database's file, relative to the settings file; any other as it is."""
    for scheme in _FILES:
        if url.startswith(scheme) and url != scheme:
            return f"{scheme}{file.parent / url.removeprefix(scheme)}"
    return url


def _unknown_variables() -> list[str]:
    known = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    return [
        f"environment: {name}: 没有这个设置 · there is no such setting"
        for name in os.environ
        if name.upper().startswith(_PREFIX)
        and not name.upper().startswith(_OUTSIDE)
        and name.upper().split("__")[0].removesuffix(SUFFIX.upper()) not in known
    ]


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings as plain values, secrets and passwords in URLs hidden."""
    shown = settings.model_dump(mode="json")
    shown["broker"] = _mask_url(settings.broker.get_secret_value())
    shown["store"] = _mask_url(settings.store.get_secret_value() or f"duckdb:///{settings.store_file}")
    shown["database"] = _mask_url(settings.database_url)
    shown["heartbeat"]["url"] = _MASK if settings.heartbeat.url.get_secret_value() else ""
    shown["outside"] = {name: _masked_system(system) for name, system in settings.outside.items()}
    shown["channels"] = {name: _masked_channel(channel) for name, channel in settings.channels.items()}
    return shown


def _masked_channel(channel: ChannelSettings) -> dict[str, Any]:
    """What of a channel was decided."""
    shown = channel.model_dump(mode="json", exclude_defaults=True)
    shown |= {name: _MASK for name, value in channel if name in shown and isinstance(value, SecretStr)}
    return shown | ({"url": _mask_url(channel.url)} if channel.url else {})


def _masked_system(system: OutsideSettings) -> dict[str, Any]:
    """What of another platform was decided."""
    url = system.url.get_secret_value()
    return {"role": system.role, "secret": _MASK, **({"url": _mask_url(url)} if url else {})}


def _mask_url(url: str) -> str:
    """The URL with its password, or a user name that stands alone (a token), and its options' values hidden.

    >>> _mask_url("mqtts://town:s3cr/t@broker.example?ca=/etc/ca.pem")
    'mqtts://town:********@broker.example?ca=/etc/ca.pem'
    """
    if url.startswith(_FILES):
        return url
    hidden = _ACCOUNT.sub(lambda found: f"{found[1]}{found[2] or ''}{found[3] or ''}{_MASK}@", url)
    return _OPTION.sub(rf"\1\2={_MASK}", hidden)
