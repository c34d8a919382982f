"""Pictures to send, of any size."""

import io

from PIL import Image


def jpeg(width: int = 32, height: int = 24, shade: int = 128) -> bytes:
    """A plain picture."""
    kept = io.BytesIO()
    Image.new("RGB", (width, height), (shade, shade, shade)).save(kept, "JPEG")
    return kept.getvalue()
