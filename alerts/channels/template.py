"""What a provider's approved template is filled with: its own variables, each short and none empty."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.channels import OutgoingNotice
from alerts.channels.transport import printable
from alerts.measurements import Language
from alerts.sms_texts import VARIABLE_CHARACTERS, sms_variables

VARIABLES = ("level", "hazard", "value", "place", "note", "contact", "number", "code")
"""All that a template may name."""
SMS_VARIABLES = VARIABLES
VOICE_VARIABLES = ("level", "hazard", "place", "note", "number")


class Template(NamedTuple):
    """A template's code at the provider, and the signature that the provider puts before its text."""

    code: str
    signature: str = ""


def filled(
    notice: OutgoingNotice, language: Language, names: Sequence[str], longest: int = VARIABLE_CHARACTERS
) -> dict[str, str]:
    """The named variables in their order, each of at most `longest` characters.

    What is not known is "-": providers refuse empty ones and control signs.
    """
    told = sms_variables(notice, language, longest)
    return {name: printable(told[name]).strip() or "-" for name in names}


def for_a_voice(told: dict[str, str]) -> dict[str, str]:
    """The same without signs that a voice does not speak."""
    return {name: text.replace("·", "，") for name, text in told.items()}


def international(number: str) -> str:
    """A number with its country, mainland China's where it has none.

    >>> international("13800000001"), international("+85261234567")
    ('+8613800000001', '+85261234567')
    """
    number = "".join(number.split())
    return number if number.startswith("+") else f"+86{number}"
