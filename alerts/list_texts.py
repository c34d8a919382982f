"""Several notices in one message, for when an address may not have a message for each."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.channels import OutgoingNotice
from alerts.measurements import Language
from alerts.notice_words import REPEATED
from alerts.texts import headline, place, reference, shorten_bytes, unmarked

_LEAST = 24  # bytes; below that an entry's words say nothing, and links give way


class _Entry(NamedTuple):
    """What of one notice may be shortened, what never is, and the link that goes when room is short."""

    words: str
    kept: str
    link: str


def list_text(notices: Sequence[OutgoingNotice], urls: Sequence[str], language: Language, limit: int) -> str:
    """Several notices as plain text within `limit` bytes, each with its numbers; `urls` may hold empty ones.

    What each says is shortened before its link goes; ticket and notice number always stand. Raises ValueError when not
    even those fit.
    """
    entries = [_entry(notice, language, url) for notice, url in zip(notices, urls, strict=True)]
    return _fitted(_count(len(notices), language), entries, limit)


def list_markdown(
    notices: Sequence[OutgoingNotice], urls: Sequence[str], language: Language, limit: int, *, personal: bool = False
) -> str:
    """The same as markdown. Raises ValueError.

    `personal`: it goes to one person, and so may its links; where anyone may forward them they must ask for sign-in.
    """
    signed = "" if personal else "（需登录）" if language == "zh" else " (sign-in)"
    label = f"{'打开' if language == 'zh' else 'open'}{signed}"
    linked = [f"[{label}]({url})" if url else "" for url in urls]
    found = [_entry(notice, language, link) for notice, link in zip(notices, linked, strict=True)]
    entries = [each._replace(words=unmarked(each.words), kept=unmarked(each.kept)) for each in found]
    return _fitted(f"**{_count(len(notices), language)}**", entries, limit)


def _count(notices: int, language: Language) -> str:
    return f"{notices} 条通知" if language == "zh" else f"{notices} notices"


def _entry(notice: OutgoingNotice, language: Language, link: str) -> _Entry:
    repeated = (REPEATED.zh if language == "zh" else REPEATED.en) if notice.repeated else ""
    kept = " ".join(part for part in (reference(notice, language), repeated) if part)
    return _Entry(f"{headline(notice, language)} {place(notice.facts, language)}".rstrip(), kept, link)


def _fitted(head: str, entries: Sequence[_Entry], limit: int) -> str:
    for linked in (True, False):
        tails = [" ".join(part for part in (each.kept, each.link if linked else "") if part) for each in entries]
        numbers = [f"{number}. " for number in range(1, len(entries) + 1)]
        fixed = _bytes(head) + sum(
            _bytes(number) + _bytes(tail) + 2 for number, tail in zip(numbers, tails, strict=True)
        )
        if (limit - fixed) // len(entries) >= _LEAST:
            break
    if fixed > limit:
        raise ValueError(f"{len(entries)} notices do not fit into {limit} bytes")
    lines = [head]
    room = limit - fixed
    for left, (number, tail, each) in enumerate(zip(numbers, tails, entries, strict=True)):
        words = shorten_bytes(each.words, room // (len(entries) - left))
        room -= _bytes(words)
        lines += [number + words, tail]
    return "\n".join(lines)


def _bytes(text: str) -> int:
    return len(text.encode())
