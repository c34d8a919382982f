"""What the doctor finds by going there: how long certificates last, and whether the mail server lets us in."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from alerts.channels.email import MailServer
from core.clock import DAY, SECOND, local
from ingest.mqtt import BrokerAddress
from shouwang.findings import Finding, Standing
from shouwang.reasons import why_away
from shouwang.settings import Settings

_TIMEOUT = 5.0  # s
_SOON = 30 * DAY
"""Renewing takes a person, an order and a day on which they have time."""
_NOW = 3 * DAY


class Secured(NamedTuple):
    """A server that is reached by TLS; `ca` is a file of what to trust instead of the system's authorities.

    `told`: another finding says already when it can't be reached.
    """

    name: str
    host: str
    port: int
    ca: str | None = None
    told: bool = False


def reach_findings(settings: Settings, now: int) -> list[Finding]:
    """Certificates of the servers that the settings name, and mail servers."""
    certificates = (found for server in _secured(settings) if (found := _certificate(server, now)))
    return [*certificates, *_mail_servers(settings)]


def end_of_certificate(host: str, port: int, ca: str | None = None) -> int:
    """Until when (µs UTC) a server's certificate is valid. Raises OSError when it is not, or not to be trusted."""
    context = ssl.create_default_context(cafile=ca or None)
    line = socket.create_connection((host, port), _TIMEOUT)
    with line, context.wrap_socket(line, server_hostname=host) as talk:
        shown = talk.getpeercert() or {}
    return int(ssl.cert_time_to_seconds(str(shown["notAfter"]))) * SECOND


def _secured(settings: Settings) -> Iterator[Secured]:
    url = settings.broker.get_secret_value()
    if urlsplit(url).scheme == "mqtts":
        address = BrokerAddress.parse(url)
        yield Secured("broker", address.host, address.port, address.ca, told=True)
    influx = settings.influx
    for name, base, ca, told in (
        ("store", influx.base if influx else "", influx.ca if influx else "", True),
        ("console", settings.console.base_url, "", False),
        ("grafana", settings.grafana.url, "", False),
    ):
        parts = urlsplit(base)
        if parts.scheme == "https" and parts.hostname:
            yield Secured(name, parts.hostname, parts.port or 443, ca, told=told)


def _certificate(server: Secured, now: int) -> Finding | None:
    what, place = f"certificate {server.name}", f"{server.host}:{server.port}"
    try:
        ends = end_of_certificate(server.host, server.port, server.ca)
    except OSError as error:
        if server.told:
            return None
        why = why_away(error)
        return Finding(what, Standing.DOUBTFUL, f"{place}: {why.en}", f"{place}：{why.zh}")
    left, on = (ends - now) // DAY, f"{local(ends):%Y-%m-%d}"
    if ends - now >= _SOON:
        return Finding(what, Standing.GOOD, f"{place}, until {on}", f"{place}，有效期到 {on}")
    text = f"{place}: it ends on {on}, in {left} days: renew it, and start the server again"
    zh = f"{place}：{on} 到期，还有 {left} 天：请换新证书，并重启它"
    return Finding(what, Standing.BROKEN if ends - now < _NOW else Standing.DOUBTFUL, text, zh)


def _mail_servers(settings: Settings) -> Iterator[Finding]:
    for name, channel in settings.channels.items():
        if channel.kind == "email":
            server = channel.mail_server
            place = f"{server.host}:{server.port}"
            if fault := _refusal_of_mail(server):
                zh, en = fault
                yield Finding(f"mail {name}", Standing.BROKEN, f"{place} {en}", f"{place} {zh}")
            else:
                yield Finding(f"mail {name}", Standing.GOOD, f"{place} lets us in", f"{place} 允许登录")


def _refusal_of_mail(server: MailServer) -> tuple[str, str] | None:
    """Why the server would take no mail of ours, Chinese and English; signs in and sends nothing."""
    try:
        _sign_in(server)
    except smtplib.SMTPAuthenticationError as error:
        zh = f"不让 {server.account} 登录（{error.smtp_code}）：请改正 key_id 和 secret，多数邮箱要用授权码"
        en = f"does not let {server.account} in ({error.smtp_code}): mend key_id and secret; many want a code"
        return zh, en
    except smtplib.SMTPNotSupportedError:
        return "不支持 STARTTLS 或登录：请改用 smtps://", "offers no STARTTLS or no sign-in: use smtps://"
    except smtplib.SMTPException as error:
        return f"没有像邮件服务器那样应答（{error}）", f"does not answer as a mail server does: {error}"
    except OSError as error:
        why = why_away(error)
        return f"连不上：{why.zh}", f"can't be reached: {why.en}"
    return None


def _sign_in(server: MailServer) -> None:
    trust = None if server.security == "none" else ssl.create_default_context(cafile=server.ca or None)
    if server.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT, context=trust)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT)
    with smtp:
        if server.security == "starttls":
            smtp.starttls(context=trust)
        if server.account:
            smtp.login(server.account, server.password)
