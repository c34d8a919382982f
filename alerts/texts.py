"""Texts of notices in Chinese and English, within the byte limits of each channel."""

from urllib.parse import quote

from alerts.channels import OutgoingNotice
from alerts.facts import Facts
from alerts.measurements import Language, Measurement, figure, span_text
from alerts.notice_words import CAUSES, DRILL, HAZARDS, ONE_FOR_ALL, REPEATED, SAFETY, SAID, SEVERITIES
from alerts.words import UNNAMED, Words
from core.clock import local
from devices.geometry import wgs84_to_gcj02

_TITLE_BYTES = 180
_NAME_BYTES = 60


def shorten_bytes(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, cut between characters and ended with … where it was cut.

    >>> shorten_bytes("可燃气体", 9)
    '可燃…'
    """
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    mark = "…" if limit >= 3 else ""
    return raw[: max(0, limit - len(mark.encode()))].decode(errors="ignore") + mark


def fit(head: str, middle: str, tail: str, limit: int) -> str:
    """Three parts, a line each, in at most `limit` bytes: the middle gives way first, then the head, never the tail.

    The tail carries the ticket's number and link and must itself be within the limit.

    >>> fit("head", "a long middle", "20261123-0007", 27)
    'head\\na lon…\\n20261123-0007'
    """
    room = limit - len(tail.encode(errors="replace"))
    head = shorten_bytes(head, max(0, room - 1))
    middle = shorten_bytes(middle, max(0, room - len(head.encode()) - 2))
    return "\n".join(part for part in (head, middle, tail.encode(errors="replace").decode()) if part)


def headline(notice: OutgoingNotice, language: Language) -> str:
    """The one line that must be read: severity, hazard, value and limit, what is new, whether it may be a repeat.

    【紧急】可燃气体泄漏 52 %LEL（限值 25）; a drill's begins with 【演练】.
    """
    facts = notice.facts
    title = severity_name(facts, language)
    hazard = hazard_name(facts, language)
    notes = [_pick(CAUSES[facts.cause], language)] if facts.cause in CAUSES else []
    notes += [_pick(REPEATED, language)] if notice.repeated else []
    marks = [_pick(DRILL, language)] if facts.drill else []
    marked = "".join(f"【{mark}】" if language == "zh" else f"[{mark}] " for mark in [*marks, title])
    opened, closed = ("〔", "〕") if language == "zh" else (" (", ")")
    line = f"{marked}{hazard}{measurement(facts, language)}"
    return shorten_bytes("".join([line, *(f"{opened}{note}{closed}" for note in notes)]), _TITLE_BYTES)


def hazard_name(facts: Facts, language: Language) -> str:
    """What is wrong, in the words of the rule, else of the hazard."""
    title = facts.title_zh if language == "zh" else facts.title_en
    return title or _pick(HAZARDS.get(facts.hazard, UNNAMED), language)


def severity_name(facts: Facts, language: Language) -> str:
    """提示, 预警, 报警 or 紧急."""
    return _pick(SEVERITIES.get(facts.severity, Words("通知", "INFO")), language)


def measurement(facts: Facts, language: Language) -> str:
    """Value, unit and limit, with a space before; empty where the hazard is not measured in a unit."""
    found = Measurement(facts.measured, facts.value, facts.limit, facts.unit, facts.within, facts.times)
    text = found.text(language)
    if not text or not found.limit_text:
        return f" {text}" if text else ""
    return f" {text}（限值 {found.limit_text}）" if language == "zh" else f" {text} (limit {found.limit_text})"


def details(facts: Facts, language: Language) -> list[str]:
    """The lines below the headline, the most needed first: place, what to bring and beware of, time, contact."""
    chinese = language == "zh"
    colon = "：" if chinese else ": "
    lines = {
        "地点" if chinese else "Place": place(facts, language),
        "工单" if chinese else "Ticket": _pick(ONE_FOR_ALL, language) if facts.sites else "",
        "须知" if chinese else "Do": advice(facts, language),
        "发生" if chinese else "Since": _since(facts, language),
        "设备" if chinese else "Device": facts.device or _devices(facts, language),
        "详情" if chinese else "Details": said(facts, language),
        "联系" if chinese else "Contact": " ".join(part for part in (facts.contact, facts.phone) if part),
    }
    return [f"{label}{colon}{text}" for label, text in lines.items() if text]


def said(facts: Facts, language: Language) -> str:
    """What an event brought besides its value, such as a lorry's plate and axles."""
    told = {name: value for name, value in facts.said.items() if name in SAID and value not in (None, "")}
    texts = {name: figure(value) if isinstance(value, int | float) else value for name, value in told.items()}
    return ("，" if language == "zh" else ", ").join(
        f"{_pick(SAID[name], language)} {text}" for name, text in texts.items() if text
    )


def navigation_url(facts: Facts) -> str:
    """A link that starts a phone's navigation, which takes GCJ-02; empty without a position."""
    if facts.lng is None or facts.lat is None:
        return ""
    lng, lat = wgs84_to_gcj02(facts.lng, facts.lat)
    name = quote(shorten_bytes(facts.place_zh or facts.number, _NAME_BYTES), safe="")
    return f"https://uri.amap.com/navigation?to={lng:.6f},{lat:.6f},{name}&mode=car&src=shouwang&callnative=1"


def navigation_line(facts: Facts, language: Language) -> str:
    """That link behind its label, as a line of a message; empty without a position."""
    link = navigation_url(facts)
    return f"{'导航：' if language == 'zh' else 'Navigate: '}{link}" if link else ""


def phone_text(notice: OutgoingNotice, language: Language) -> str:
    """The whole message for one person's own phone; the personal link travels beside it."""
    lines = [headline(notice, language), *details(notice.facts, language), reference(notice, language)]
    lines.append(navigation_line(notice.facts, language))
    return "\n".join(line for line in lines if line)


def robot_text(notice: OutgoingNotice, url: str, language: Language, limit: int) -> str:
    """A group robot's plain text within `limit` bytes; the kind that can mention people."""
    middle = "\n".join(details(notice.facts, language))
    tail = [reference(notice, language), navigation_line(notice.facts, language), url]
    return fit(headline(notice, language), middle, "\n".join(part for part in tail if part), limit)


def reference(notice: OutgoingNotice, language: Language) -> str:
    """Ticket and notice number, by which a message can be told from its repeat."""
    if language == "zh":
        return f"工单 {notice.facts.number} · 通知 {notice.id}"
    return f"Ticket {notice.facts.number}, notice {notice.id}"


def _pick(words: Words, language: Language) -> str:
    return words.zh if language == "zh" else words.en


def advice(facts: Facts, language: Language) -> str:
    """What to beware of: the rule's own words, else the hazard's."""
    from_rule = facts.advice_zh if language == "zh" else facts.advice_en
    return from_rule or _pick(SAFETY.get(facts.hazard, Words("", "")), language)


def place(facts: Facts, language: Language) -> str:
    """Name, address and area, as far as they are known."""
    name, area = (facts.place_zh, facts.area_zh) if language == "zh" else (facts.place_en, facts.area_en)
    address = facts.address if facts.address != name else ""
    named = " ".join(part for part in (name, address) if part)
    if not area:
        return named
    return f"{named}（{area}）" if language == "zh" else f"{named} ({area})".lstrip()


def _since(facts: Facts, language: Language) -> str:
    if facts.onset is None:
        return ""
    text = local(facts.onset).strftime("%m-%d %H:%M:%S")
    if not facts.age:
        return text
    age = span_text(facts.age, language)
    return text + (f"（数据迟到 {age}）" if language == "zh" else f" (data {age} old)")


def _devices(facts: Facts, language: Language) -> str:
    """The devices that a finding about a site is made of, and how many more there are."""
    named = ("、" if language == "zh" else ", ").join(facts.devices)
    if facts.members <= len(facts.devices):
        return named
    return f"{named} 等 {facts.members} 台" if language == "zh" else f"{named}, {facts.members} in all"


def unmarked(text: str) -> str:
    """Signs that markdown would take as its own, as their full-width twins."""
    return text.translate(str.maketrans("<>[]*`", "＜＞［］＊｀"))
