"""Payloads as people can read them: JSON indented, text as it is, all else as a dump of its bytes."""

import unicodedata
from typing import Literal, NamedTuple

import msgspec

_ROW = 16


class Shown(NamedTuple):
    """A payload in the form in which it can be read."""

    form: Literal["json", "text", "bytes", "empty"]
    text: str


def shown(payload: bytes) -> Shown:
    """The payload's readable form.

    >>> shown(b'{"t":1}').form, shown(b"##0101QN=1").form, shown(b"\\x00\\xff").text
    ('json', 'text', '00000000  00 ff                                            |..|')
    """
    if not payload:
        return Shown("empty", "")
    try:
        msgspec.json.decode(payload)
        return Shown("json", msgspec.json.format(payload, indent=2).decode())
    except (ValueError, RecursionError):
        pass  # no JSON: whatever is wrong with it, it is shown in another form
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return Shown("bytes", hex_dump(payload))
    strange = any(unicodedata.category(letter) == "Cc" and letter not in "\t\r\n" for letter in text)
    return Shown("bytes", hex_dump(payload)) if strange else Shown("text", text)


def excerpt(payload: bytes) -> str:
    """The beginning of a payload as it stands in a list; bytes that are no text are spelt out.

    >>> excerpt(b"\\xff#\\x00")
    '\\\\xff#.'
    """
    text = payload.decode("utf-8", "backslashreplace")
    return "".join("." if unicodedata.category(letter) == "Cc" else letter for letter in text)


def hex_dump(payload: bytes) -> str:
    """Sixteen bytes a line: the place, the bytes, and what of them is ASCII."""
    lines = []
    for start in range(0, len(payload), _ROW):
        row = payload[start : start + _ROW]
        signs = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<{3 * _ROW}} |{signs}|")
    return "\n".join(lines)
