"""WeCom template cards: what a group robot's and an application's have in common.

The provider cuts what is longer than it advises without a word; so every text is shortened here, with a mark.
"""

from typing import Any, NamedTuple

from alerts.channels import OutgoingNotice
from alerts.measurements import Language, Measurement
from alerts.sms_texts import shorten
from alerts.texts import advice, details, headline, navigation_url, place, reference

_SOURCE, _TITLE, _DESCRIPTION, _BIG, _UNDER = 13, 26, 30, 10, 15  # characters, as the provider advises
_SUBTITLE, _NAME, _VALUE, _JUMP = 112, 7, 26, 13
_LEAST = 20
_ROWS = 6
_JUMPS = 3

Card = dict[str, Any]


class Said(NamedTuple):
    """The words of a card around its facts."""

    source: str
    map: str
    navigate: str
    open_ticket: str
    sign_in: str
    limit: str
    contact: str


SAID: dict[Language, Said] = {
    "zh": Said("守望", "地图", "导航", "打开工单", "打开工单（需登录）", "限值", "联系"),
    "en": Said("Shouwang", "Map", "Navigate", "Open ticket", "Ticket, sign-in", "limit", "Contact"),
}


def text_notice(notice: OutgoingNotice, url: str, language: Language, *, signed_in: bool) -> Card:
    """A card that is only read: the measured number large, links to the ticket and for navigation.

    `signed_in`: the ticket's link asks for nothing more, as a personal one.
    """
    words = SAID[language]
    jumps = [(words.open_ticket if signed_in else words.sign_in, url), (words.navigate, navigation_url(notice.facts))]
    return {
        "card_type": "text_notice",
        **_common(notice, language),
        **_emphasis(notice, language),
        "horizontal_content_list": _rows(notice, language),
        "jump_list": [{"type": 1, "title": shorten(title, _JUMP), "url": link} for title, link in jumps if link][
            :_JUMPS
        ],
        "card_action": {"type": 1, "url": url},
    }


def button_card(notice: OutgoingNotice, url: str, language: Language, buttons: list[Card], task: str) -> Card:
    """A card whose buttons call back; without a large number and a list of links, so navigation is one of its rows."""
    words = SAID[language]
    map_link = navigation_url(notice.facts)
    row = {"type": 1, "keyname": words.map, "value": words.navigate, "url": map_link}
    navigate = [row] if map_link else []
    return {
        "card_type": "button_interaction",
        **_common(notice, language),
        "horizontal_content_list": [*navigate, *_rows(notice, language)][:_ROWS],
        "card_action": {"type": 1, "url": url},
        "task_id": task,
        "button_list": buttons,
    }


def _common(notice: OutgoingNotice, language: Language) -> Card:
    line = headline(notice, language)
    title = shorten(line, _TITLE)
    vital = [line if title != line else "", place(notice.facts, language), advice(notice.facts, language)]
    subtitle = "\n".join(_fair([part for part in vital if part], _SUBTITLE))
    return {
        "source": {"desc": shorten(SAID[language].source, _SOURCE)},
        "main_title": {"title": title, "desc": shorten(reference(notice, language), _DESCRIPTION)},
        **({"sub_title_text": subtitle} if subtitle else {}),
    }


def _fair(parts: list[str], characters: int) -> list[str]:
    """The parts in so many characters, line ends included; each takes what it needs but leaves a little."""
    shortened: list[str] = []
    room = characters
    for place_of, part in enumerate(parts, start=1):
        kept = sum(min(len(each), _LEAST) + 1 for each in parts[place_of:])
        shortened.append(shorten(part, room - kept))
        room -= len(shortened[-1]) + 1
    return shortened


def _emphasis(notice: OutgoingNotice, language: Language) -> Card:
    facts = notice.facts
    found = Measurement(facts.measured, facts.value, facts.limit, facts.unit, facts.within, facts.times)
    number = found.text(language)
    if not number or len(number) > _BIG:
        return {}
    under = f"{SAID[language].limit} {found.limit_text}" if found.limit_text else ""
    return {"emphasis_content": {"title": number, **({"desc": shorten(under, _UNDER)} if under else {})}}


def _rows(notice: OutgoingNotice, language: Language) -> list[Card]:
    """What a card's subtitle does not hold: since when, the device, what an event brought, and whom to ring."""
    facts = notice.facts
    colon = "：" if language == "zh" else ": "
    reach = " ".join(part for part in (facts.phone, facts.contact) if part)  # the number first: the end may be cut
    above = {
        place(facts, language),
        advice(facts, language),
        " ".join(part for part in (facts.contact, facts.phone) if part),
    }
    pairs = [(name, value) for name, _, value in (line.partition(colon) for line in details(facts, language))]
    rows = [(name, value) for name, value in pairs if value not in above]
    rows += [(SAID[language].contact, reach)] if reach else []
    return [{"keyname": shorten(name, _NAME), "value": shorten(value, _VALUE)} for name, value in rows[:_ROWS]]
