"""What people wrote, as it can be kept, sent and shown: no character that no database, message or page may hold."""

_DIRECTIONS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)
"""What turns the direction of writing: it makes a text on a page say something else than it holds."""
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
_BLANKED = dict.fromkeys(_CONTROLS, " ") | dict.fromkeys(_DIRECTIONS, "")
_DROPPED = {code: "" for code in (*_CONTROLS, *_DIRECTIONS) if chr(code) not in "\t\n"}


def one_line(text: str) -> str:
    """A text for one line: control characters and runs of blanks are one blank, none at either end.

    >>> one_line(" 路灯\\x00不亮\\r\\n第 3 杆 ")
    '路灯 不亮 第 3 杆'
    """
    return " ".join(text.translate(_BLANKED).split())


def prose(text: str) -> str:
    """A text of several lines: lines end in a line feed, other control characters are dropped, no blanks at the end.

    >>> prose("第一行\\r\\n第二行\\x00\\n")
    '第一行\\n第二行'
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_DROPPED).strip()
