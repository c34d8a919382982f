"""Pictures that people send: whether they are whole pictures, and a small one to show. Needs Pillow (`reports`).

Reading a picture to its end takes up to seconds, so it is done before the transaction that keeps it.
"""

import hashlib
import io
from typing import NamedTuple

from alerts.refusals import PhotoRefused

MOST_BYTES = 4 * 1024 * 1024
SMALL = (320, 240)
"""Pixels that a small picture fits into."""
_MOST_PIXELS = 60_000_000
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_QUALITY = 80


class WholePicture(NamedTuple):
    """A picture that was read to its end, as it came; `sha256` in hex."""

    content: bytes
    media_type: str
    sha256: str


def read_picture(content: bytes) -> WholePicture:
    """Read what was sent as a picture. Raises PhotoRefused."""
    if len(content) > MOST_BYTES:
        raise PhotoRefused("too_large", limit=str(MOST_BYTES // 1024 // 1024))
    media_type = media_type_of(content)
    if media_type is None or not _whole(content, _FORMATS[media_type]):
        raise PhotoRefused("no_picture")
    return WholePicture(content, media_type, hashlib.sha256(content).hexdigest())


def media_type_of(content: bytes) -> str | None:
    """What kind of picture the first bytes say it is.

    >>> media_type_of(b"RIFF\\x10\\x00\\x00\\x00WEBPVP8 ")
    'image/webp'
    """
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def small_picture(content: bytes) -> bytes | None:
    """A JPEG that fits into `SMALL`, upright and without what the camera noted; None without Pillow."""
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415 - an extra that only photos need
    except ImportError:
        return None
    made = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        picture.draft("RGB", (2 * max(SMALL), 2 * max(SMALL)))  # a JPEG is read no larger than it is needed
        upright = ImageOps.exif_transpose(picture)
        upright.thumbnail(SMALL)
        seen = upright.convert("RGBA")
        ground = Image.new("RGB", seen.size, "white")
        ground.paste(seen, mask=seen)
        ground.save(made, "JPEG", quality=_QUALITY)
    return made.getvalue()


def _whole(content: bytes, expected: str) -> bool:
    """Whether the picture can be read to its end, as what it says it is."""
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - an extra that only photos need
    except ImportError:
        raise PhotoRefused("no_pillow") from None
    try:
        with Image.open(io.BytesIO(content), formats=[expected]) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return False
            picture.verify()  # its checksums; the picture must be opened anew after it
        with Image.open(io.BytesIO(content), formats=[expected]) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True
