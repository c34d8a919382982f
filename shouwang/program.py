"""Which program this is, and what of its settings came by the environment."""

import os
from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("shouwang")
    except PackageNotFoundError:
        return "unknown"


def variables_set() -> list[str]:
    """The names of the environment's variables that are settings; never their values."""
    return sorted(name for name in os.environ if name.upper().startswith("SHOUWANG_"))
