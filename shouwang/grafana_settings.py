"""Where Grafana is, and where it finds what it shows."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator, model_validator

from grafana.kit import Places
from shouwang.setting_faults import begins_with

_WEB = {"http", "https"}


class GrafanaSettings(BaseModel):
    """A Grafana that is there already; `shouwang grafana push` signs in with a service account's `token` (Admin).

    The other addresses are those by which Grafana reaches what it asks, where they are not the platform's own:
    `readings_url` and `readings_token` of the InfluxDB (best a token that may only read), `desk` HOST:PORT of the
    PostgreSQL, `metrics_url` of a Prometheus (none: without). `tiles` lie behind maps, `{z}/{x}/{y}` in WGS84.
    """

    model_config = ConfigDict(extra="forbid")

    url: str = ""
    token: SecretStr = SecretStr("")
    reader_password: SecretStr = SecretStr("")
    readings_url: str = ""
    readings_token: SecretStr = SecretStr("")
    desk: str = ""
    desk_sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "disable"
    metrics_url: str = ""
    tiles: str = Places.tiles
    attribution: str = Places.attribution

    @field_validator("url", "readings_url", "metrics_url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in _WEB or not urlsplit(value).hostname):
            raise ValueError(begins_with("http://", "https://"))
        return value.rstrip("/")

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if self.url and not self.token.get_secret_value():
            raise ValueError("缺少 token · url needs token: that of a service account of role Admin")
        return self
