"""The dispatch role: the channels' adapters, and what its threads do."""

from collections.abc import Callable, Collection
from threading import Event as Signal
from typing import Protocol

from sqlalchemy import Engine, exists, select

from alerts.channels import Channel, Limit
from alerts.channels.apprise_url import AppriseUrl
from alerts.channels.dingtalk import BASE_URL as DINGTALK_URL
from alerts.channels.dingtalk import DingTalkRobot
from alerts.channels.email import Email
from alerts.channels.feishu import BASE_URL as FEISHU_URL
from alerts.channels.feishu import FeishuRobot
from alerts.channels.phone_page import PhonePage
from alerts.channels.signed_webhook import SignedWebhook
from alerts.channels.transport import open_client
from alerts.channels.wecom_app import WecomApp
from alerts.channels.wecom_robot import BASE_URL as WECOM_URL
from alerts.channels.wecom_robot import WecomRobot
from alerts.measurements import Language
from alerts.tables import notice
from alerts.unsent import refuse_unknown
from core.clock import MINUTE, Clock
from core.database import reading, writing
from shouwang.channel_settings import ChannelSettings
from shouwang.cloud_channels import make_cloud_channel

_IDLE = 0.1  # s between two looks of an idle sender
_LOOK = 5.0  # s between two looks for notices that no channel takes


def make_channel(name: str, settings: ChannelSettings, engine: Engine, console_url: str, language: Language) -> Channel:
    """The adapter that a channel's settings name."""
    secret = settings.secret.get_secret_value()
    match settings.kind:
        case "phone":
            return PhonePage(name, engine, console_url, language)
        case "wecom_robot":
            return WecomRobot(name, open_client(), console_url, settings.url or WECOM_URL, language)
        case "wecom_app":
            return WecomApp(
                name,
                open_client(),
                console_url,
                corp_id=settings.corp_id,
                agent_id=settings.agent_id or 0,
                secret=secret,
                buttons=settings.calls_back,
                base_url=settings.url or WECOM_URL,
                language=language,
            )
        case "dingtalk":
            return DingTalkRobot(name, open_client(), console_url, secret, settings.url or DINGTALK_URL, language)
        case "feishu":
            return FeishuRobot(name, open_client(), console_url, secret, settings.url or FEISHU_URL, language)
        case "webhook":
            limit = Limit(settings.per_minute, MINUTE) if settings.per_minute else None
            return SignedWebhook(
                name, open_client(), console_url, secret.encode(), settings.deduplicates, limit, language
            )
        case "email":
            limit = Limit(settings.per_minute, MINUTE) if settings.per_minute else None
            return Email(name, settings.mail_server, console_url, limit, language)
        case "apprise":
            limit = Limit(settings.per_minute, MINUTE) if settings.per_minute else None
            return AppriseUrl(name, console_url, limit, language)
    return make_cloud_channel(name, settings, language)


class Turns(Protocol):
    """A sender, or what watches one."""

    def turn(self, now: int) -> int:
        """Do what is due; how many requests were made."""
        ...

    def finish(self) -> None:
        """Record what the last turn came to."""
        ...


def sending(sender: Turns, clock: Clock) -> Callable[[Signal], None]:
    """A sender's thread: one message after the other, then a look every tenth of a second."""

    def work(ending: Signal) -> None:
        while not ending.is_set():
            if not sender.turn(clock.now()):
                ending.wait(_IDLE)
        sender.finish()

    return work


def refusing(engine: Engine, channels: Collection[str], clock: Clock, look: float = _LOOK) -> Callable[[Signal], None]:
    """Fails notices whose contact names a channel that the settings don't have, instead of letting them wait.

    `look` is the time in s between two looks.
    """
    unknown = exists().where(notice.c.state == "queued", notice.c.channel.not_in(channels))

    def work(ending: Signal) -> None:
        while not ending.wait(look):
            with reading(engine) as connection:
                found = connection.scalar(select(unknown))
            if found:
                with writing(engine) as connection:
                    refuse_unknown(connection, channels, clock.now())

    return work
