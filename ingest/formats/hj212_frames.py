"""Frames of HJ 212-2017: `##`, four digits of length, data, four hex digits of check sum, CR LF; and data as fields.

>>> data = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"
>>> framed(data)[:6], framed(data)[-6:]
(b'##0101', b'1C80\\r\\n')
>>> cut(b"noise" + framed(data) + b"##0101QN=").rest
b'##0101QN='
"""

import re
from typing import NamedTuple

from ingest.formats.items import Refused

LONGEST = 2 + 4 + 9_999 + 4
"""Bytes of a frame, without what ends it."""
_END = re.compile(rb"##\s*+(?:\d{1,4}+)?+(.*&&)\s*+([0-9A-Fa-f]{4})(?=\s|$)", re.DOTALL)


def _shifted(register: int) -> int:
    for _ in range(8):
        register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return register


_SHIFTED = [_shifted(low) for low in range(256)]


class Cut(NamedTuple):
    """A stream's frames by their data, what could not be read, and the beginning of a frame whose rest is to come."""

    frames: list[bytes]
    refused: list[Refused]
    rest: bytes


class Packet(NamedTuple):
    """A frame's data: the fields before CP, and CP's groups of name and value; texts as their bytes (latin-1)."""

    head: dict[str, str]
    groups: list[dict[str, str]]


def crc(data: bytes) -> int:
    """The check sum: each byte is joined to the register's upper half, which is then shifted out bit by bit."""
    register = 0xFFFF
    for byte in data:
        register = _SHIFTED[(register >> 8) ^ byte]
    return register


def framed(data: bytes) -> bytes:
    """Data as a frame."""
    return b"##%04d%s%04X\r\n" % (len(data), data, crc(data))


def cut(stream: bytes) -> Cut:
    """The frames of a stream; what stands between them is passed over.

    Where the check sum fits, in lower case too, a wrong length, spaces before it and a missing CR LF are accepted.
    """
    found, place = Cut([], [], b""), 0
    while (start := stream.find(b"##", place)) >= 0:
        following = stream.find(b"##", start + 2)
        segment = stream[start : following if following >= 0 else len(stream)]
        data, length = _by_length(segment) or _by_end(segment) or (None, len(segment))
        if data is not None:
            found.frames.append(data)
        elif refused := _fault(segment, following >= 0):
            found.refused.append(refused)
        else:
            return found._replace(rest=segment)
        place = start + length
    if place == 0 and stream.strip(b"\r\n\t #"):
        found.refused.append(Refused("not_decodable", "no frame: ## is missing", 0, stream))
    return found._replace(rest=b"#" if stream[place:].endswith(b"#") else b"")


def _by_length(segment: bytes) -> tuple[bytes, int] | None:
    """The data that the length tells, with the frame's length, if its check sum fits."""
    digits = segment[2:6]
    if len(digits) < 4 or not digits.isdigit():
        return None
    end = 6 + int(digits)
    data, given = segment[6:end], segment[end : end + 4]
    return (data, end + 4) if _fits(data, given) else None


def _by_end(segment: bytes) -> tuple[bytes, int] | None:
    """The data up to a check sum that fits, whatever the length says."""
    found = _END.match(segment)
    if found is None:
        return None
    for data in (found[1], found[1].strip()):
        if _fits(data, found[2]):
            return data, found.end()
    return None


def _fits(data: bytes, given: bytes) -> bool:
    return len(given) == 4 and given.upper() == b"%04X" % crc(data)


def _fault(segment: bytes, followed: bool) -> Refused | None:
    """Why a segment is no frame; None while the rest of it may still come."""
    found, digits = _END.match(segment), segment[2:6]
    whole = len(digits) == 4 and digits.isdigit() and len(segment) >= 10 + int(digits)
    readings = segment.count(b"-Rtd=")
    if found and (whole or followed or segment[found.end() :].strip(b" ")):
        told = f"the check sum is {found[2].decode()}, that of the data {crc(found[1]):04X}"
        return Refused("bad_crc", told, readings, segment)
    if whole or followed or len(segment) > LONGEST:
        return Refused("broken_frame", "the frame ends without a check sum", readings, segment)
    return None


def packet(data: bytes) -> Packet | None:
    """The fields of a frame's data, names in upper case before CP; None when there is no CP."""
    head, cp, body = data.decode("latin-1").partition("CP=&&")
    if not cp:
        return None
    groups = [_pairs(group, ",") for group in body.partition("&&")[0].split(";")]
    return Packet({name.upper(): value for name, value in _pairs(head, ";").items()}, groups)


def _pairs(text: str, between: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(between))
    return {name.strip(): value.strip() for name, equals, value in parts if equals}
