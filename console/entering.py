"""Texts as forms and programs send them."""

from pydantic import BeforeValidator

from alerts.wording import prose


def _tidied(value: object) -> object:
    return prose(value) if isinstance(value, str) else value


PROSE = BeforeValidator(_tidied)
"""Before a text of several lines is measured: a browser counts each line break as one character and sends two."""
