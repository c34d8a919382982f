"""The adapters of text messages and calls that the settings name."""

from collections.abc import Callable, Sequence
from typing import Any

from alerts.channels import Channel
from alerts.channels.aliyun import AccessKey
from alerts.channels.aliyun_sms import AliyunSms
from alerts.channels.aliyun_voice import AliyunVoice
from alerts.channels.template import Template
from alerts.channels.tencent import SecretKey
from alerts.channels.tencent_sms import TencentSms
from alerts.channels.tencent_voice import TencentVoice
from alerts.channels.transport import open_client
from alerts.measurements import Language
from shouwang.channel_settings import ChannelSettings


def make_cloud_channel(name: str, settings: ChannelSettings, language: Language) -> Channel:
    """The adapter of a kind that fills a template; what the settings leave out stays the adapter's own."""
    return _MADE[settings.kind](name, settings, language)


def _given(settings: ChannelSettings, names: Sequence[str], language: Language) -> dict[str, Any]:
    told = {"base_url": settings.url, **{each: getattr(settings, each) for each in names}}
    return {each: value for each, value in told.items() if value} | {"language": language}


def _aliyun_sms(name: str, settings: ChannelSettings, language: Language) -> Channel:
    more = _given(settings, ("variables", "variable_characters", "per_day"), language)
    return AliyunSms(name, open_client(), _access(settings), _template(settings), **more)


def _aliyun_voice(name: str, settings: ChannelSettings, language: Language) -> Channel:
    more = _given(settings, ("variables", "caller"), language)
    return AliyunVoice(name, open_client(), _access(settings), _template(settings), **more)


def _tencent_sms(name: str, settings: ChannelSettings, language: Language) -> Channel:
    more = _given(settings, ("variables", "variable_characters", "per_day", "region"), language)
    return TencentSms(name, open_client(), _secret(settings), settings.app_id, _template(settings), **more)


def _tencent_voice(name: str, settings: ChannelSettings, language: Language) -> Channel:
    more = _given(settings, ("variables", "region"), language)
    return TencentVoice(name, open_client(), _secret(settings), settings.app_id, _template(settings), **more)


def _access(settings: ChannelSettings) -> AccessKey:
    return AccessKey(settings.key_id, settings.secret.get_secret_value())


def _secret(settings: ChannelSettings) -> SecretKey:
    return SecretKey(settings.key_id, settings.secret.get_secret_value())


def _template(settings: ChannelSettings) -> Template:
    return Template(settings.template, settings.signature)


_MADE: dict[str, Callable[[str, ChannelSettings, Language], Channel]] = {
    "aliyun_sms": _aliyun_sms,
    "aliyun_voice": _aliyun_voice,
    "tencent_sms": _tencent_sms,
    "tencent_voice": _tencent_voice,
}
