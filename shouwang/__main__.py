"""`python -m shouwang` is `shouwang`."""

from shouwang.cli import app

app()
