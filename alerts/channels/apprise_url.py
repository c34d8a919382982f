"""Any service that Apprise knows, by its URL: the long tail. Needs the extra [notify].

Apprise says only yes or no. Yes is that the service's server answered well, for some without a look at what it said;
no is anything else, from a wrong password to an answer that was lost after the message arrived.
"""

import logging
import warnings
from functools import cache
from types import ModuleType
from typing import Any

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.transport import printable
from alerts.links import ticket_url
from alerts.measurements import Language
from alerts.notice_words import REPEATED
from alerts.texts import details, fit, headline, navigation_line, reference
from detectors.words import Severity

_BODY_BYTES = 2048
_TITLE_BYTES = 180
_TYPES = {int(Severity.NOTICE): "info", int(Severity.WARNING): "warning"}


class AppriseUrl(PlainChannel):
    """Sends to whatever the address, an Apprise URL, names: a person or a group, so without a personal link.

    A yes is accepted, as far as anybody can say, without a receipt; a no is uncertain, never failed, as the message may
    have arrived.
    """

    def __init__(self, name: str, console_url: str, limit: Limit | None = None, language: Language = "zh") -> None:
        for noisy in ("apprise", "urllib3", "requests"):  # their words hold whole URLs, and so what opens the service
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        self.name = name
        self.limits = (limit,) if limit else ()
        self._console_url = console_url
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        library = _library()
        if library is None:
            return Outcome("failed", "extra", "the platform lacks its extra shouwang[notify]")
        service = _service(library, notice.address)
        if service is None:
            return Outcome("failed", "address", "this is no Apprise URL, or of a service that is not there")
        title, body = self._texts(notice, service)
        kind = library.NotifyType(_TYPES.get(notice.facts.severity, "failure"))
        plain, cut = library.NotifyFormat.TEXT, library.OverflowMode.TRUNCATE
        try:
            said = service.notify(body=body, title=title, notify_type=kind, overflow=cut, body_format=plain)
        except (library.exception.AppriseException, OSError, ValueError, TypeError) as error:
            return Outcome("uncertain", type(error).__name__, "the service's module failed")
        if said:
            return Outcome("accepted", "yes", "Apprise says yes; nothing proves that it arrived")
        return Outcome("uncertain", "no", "Apprise says no, and not whether the message arrived")

    def _texts(self, notice: OutgoingNotice, service: Any) -> tuple[str, str]:
        """What can't be missed comes first: services cut the end."""
        language = self._language
        title = printable(headline(notice, language))
        if service.title_maxlen <= 0:  # it is put before the body then
            title = title[: service.body_maxlen // 2]
        room = min(_BODY_BYTES, service.body_maxlen)
        repeated = (REPEATED.zh if language == "zh" else REPEATED.en) if notice.repeated else ""
        head = " ".join(part for part in (reference(notice, language), repeated) if part)
        url = ticket_url(self._console_url, notice.ticket)
        middle = "\n".join(details(notice.facts, language))
        way = navigation_line(notice.facts, language)
        whole = "\n".join(part for part in (head, url, middle, way) if part)
        # half an address leads nowhere: it goes along whole or not at all
        if len(whole.encode(errors="replace")) <= room:
            return title, printable(whole)
        return title, printable(fit(f"{head}\n{url}", middle, "", room))


@cache
def _library() -> ModuleType | None:
    """Apprise with all its services, which takes a second; None without the extra.

    One of its modules uses one that is on its way out of Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import apprise  # noqa: PLC0415 - an extra that only this channel needs
        except ImportError:
            return None
        apprise.Apprise.instantiate("json://127.0.0.1")
    return apprise


def _service(library: ModuleType, address: str) -> Any:
    asset = library.AppriseAsset(async_mode=False, app_id="Shouwang", app_desc="", app_url="")
    try:
        return library.Apprise.instantiate(address.strip(), asset=asset, suppress_exceptions=True)
    except (TypeError, ValueError):
        return None
