"""Secrets that an installation makes for itself and keeps in its state folder."""

import os
import secrets
from pathlib import Path

_LINK_KEY_FILE = "links.secret"


def kept_secret(file: Path) -> str:
    """A file's secret, readable by its owner only: made once, by whichever process is first."""
    if not file.exists():
        mine = file.with_name(f"{file.name}.{os.getpid()}-{secrets.token_hex(4)}")
        with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(secrets.token_urlsafe(24))
        try:
            os.link(mine, file)  # whole, or not at all
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return file.read_text()


def link_key(state: Path) -> bytes:
    """The key of the codes in personal links."""
    return kept_secret(state / _LINK_KEY_FILE).encode()
