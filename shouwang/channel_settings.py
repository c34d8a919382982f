"""What settings say of channels for notices and of other platforms."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from alerts.channels.email import MailServer
from alerts.channels.template import VARIABLES
from shouwang.setting_faults import begins_with

Kind = Literal[
    "phone",
    "wecom_robot",
    "wecom_app",
    "dingtalk",
    "feishu",
    "webhook",
    "aliyun_sms",
    "aliyun_voice",
    "tencent_sms",
    "tencent_voice",
    "email",
    "apprise",
]
TEMPLATED = frozenset({"aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice"})
"""Kinds that fill an approved template and whose provider tells later what became of it."""
SystemName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
NEEDED: dict[str, tuple[str, ...]] = {
    "webhook": ("secret",),
    "wecom_app": ("corp_id", "agent_id", "secret"),
    "aliyun_sms": ("key_id", "secret", "signature", "template"),
    "aliyun_voice": ("key_id", "secret", "template"),
    "tencent_sms": ("key_id", "secret", "app_id", "signature", "template"),
    "tencent_voice": ("key_id", "secret", "app_id", "template"),
    "email": ("url", "sender"),
}
"""What a kind does not work without."""
_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")
_LEAST_SECRET = 16


class ChannelSettings(BaseModel):
    """One channel for notices: its kind, where its provider is, and what opens it.

    `senders` is how many work at once, each with one request under way. `secret` is the webhook's, the application's,
    the AccessKey's or SecretKey's, the mail account's or, where a robot signs, that of a robot without its own.
    `token` and `aes_key` (its 43 characters) are those of the application's callback; without them its cards have no
    buttons. A text message's or call's `token` is the last part of the address for its receipts; without one there are
    none. `key_id` is the AccessKey's, the SecretId or the mail account, `template` and `signature` are those that the
    provider approved, `variables` the template's own in its order, `variable_characters` how many one of
    them takes in a text message, `caller` the number that a call shows.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    url: str = Field(default="", repr=False)
    secret: SecretStr = SecretStr("")
    deduplicates: bool = False
    per_minute: int | None = Field(default=None, gt=0)
    per_day: int | None = Field(default=None, gt=0)
    senders: int = Field(default=1, ge=1, le=16)
    corp_id: str = ""
    agent_id: int | None = Field(default=None, gt=0)
    token: SecretStr = SecretStr("")
    aes_key: SecretStr = SecretStr("")
    key_id: str = Field(default="", repr=False)
    app_id: str = ""
    region: str = ""
    signature: str = ""
    template: str = ""
    variables: list[str] = []
    variable_characters: int | None = Field(default=None, ge=13, le=500)  # a ticket's number has 13
    caller: str = ""
    sender: str = ""

    @property
    def calls_back(self) -> bool:
        """Whether the provider's callback is set up."""
        return bool(self.token.get_secret_value() and self.aes_key.get_secret_value())

    @property
    def takes_receipts(self) -> bool:
        """Whether there is an address for the provider's receipts."""
        return self.kind in TEMPLATED and bool(self.token.get_secret_value())

    @property
    def mail_server(self) -> MailServer:
        """Where e-mail is handed in. Raises ValueError."""
        return MailServer.parse(self.url, self.sender, self.key_id, self.secret.get_secret_value())

    @field_validator("aes_key")
    @classmethod
    def _is_aes_key(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if key and not _AES_KEY.fullmatch(key):
            raise ValueError("要填服务商给的 43 个字符 · must be the 43 letters and digits that the provider shows")
        return value

    @field_validator("variables")
    @classmethod
    def _are_known(cls, value: list[str]) -> list[str]:
        unknown = [name for name in value if name not in VARIABLES]
        if unknown or len(set(value)) < len(value):
            raise ValueError(f"可选 {', '.join(VARIABLES)}，各一次 · must be some of these, each once")
        return value

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "ChannelSettings":
        missing = [name for name in NEEDED.get(self.kind, ()) if not _given(getattr(self, name))]
        if missing:
            mend = "; set secret, or secret_file for a file that holds it" if "secret" in missing else ""
            raise ValueError(f"缺少 {', '.join(missing)} · {self.kind} needs {', '.join(missing)}{mend}")
        if self.kind in TEMPLATED and 0 < len(self.token.get_secret_value()) < _LEAST_SECRET:
            zh = "token 至少 {} 个字符，以免他人伪造回执"
            en = "token must have at least {} characters: others could send receipts"
            raise ValueError(f"{zh} · {en}".replace("{}", str(_LEAST_SECRET)))
        if self.kind == "email":
            self.mail_server  # noqa: B018 - raises what is wrong with it
        return self


class OutsideSettings(BaseModel):
    """Another platform that hands tickets in and is told what becomes of them.

    `secret` signs both ways. Moves of its tickets go to `url`; without one it is told nothing. It may move its own
    tickets as somebody of `role` may.
    """

    model_config = ConfigDict(extra="forbid")

    secret: SecretStr
    url: SecretStr = SecretStr("")
    role: Literal["leader", "dispatcher"] = "leader"

    @field_validator("secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().strip()) < _LEAST_SECRET:
            raise ValueError(f"至少 {_LEAST_SECRET} 个字符 · must have at least {_LEAST_SECRET} characters")
        return value

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(begins_with("http://", "https://"))
        return value


def _given(value: object) -> bool:
    return bool(value.get_secret_value().strip() if isinstance(value, SecretStr) else value)
