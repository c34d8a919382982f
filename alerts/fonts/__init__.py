"""The Chinese font of pictures and printed pages: a subset of Noto Sans SC, carried along with its licence."""

from importlib.resources import files
from pathlib import Path

FONT = Path(str(files("alerts"))) / "fonts" / "NotoSansSC-Regular.subset.ttf"
"""TrueType outlines, one weight."""
