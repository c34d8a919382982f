"""What dashboards say, in Chinese and English: one table from the files beside, a line a text."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@cache
def table() -> Mapping[str, tuple[str, str]]:
    """Every text by its dotted key: Chinese, English. Raises ValueError for a key that two files have."""
    found: dict[str, tuple[str, str]] = {}
    parts = sorted((part for part in files("grafana.words").iterdir() if part.name.endswith(".yaml")), key=str)
    for part in parts:
        for key, said in _flat(yaml.safe_load(part.read_text("utf-8"))).items():
            if key in found:
                raise ValueError(f"{part.name}: {key} is said in another file too")
            found[key] = said
    return found


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[str, str]]:
    texts: dict[str, tuple[str, str]] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            texts.update(_flat(value, f"{prefix}{key}."))
        else:
            chinese, english = value
            texts[f"{prefix}{key}"] = (chinese, english)
    return texts


class Words:
    """The texts in one language.

    >>> Words("zh")("severity.alarm"), Words("en")("severity.alarm")
    ('报警', 'Alarm')
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._place = LANGUAGES.index(language)

    def __call__(self, key: str, **values: object) -> str:
        """A text with its {places} filled in. Raises KeyError for an unknown key."""
        said = table()[key][self._place]
        return said.format_map(values) if values else said

    def family(self, name: str) -> dict[str, str]:
        """All texts `{name}.{code}` by their codes, such as every status that a ticket can have.

        >>> Words("en").family("device_state")["in_service"]
        'In service'
        """
        codes = [key.removeprefix(f"{name}.") for key in table() if key.startswith(f"{name}.")]
        return {code: self(f"{name}.{code}") for code in codes}

    def either(self, chinese: str, english: str) -> str:
        """Of two texts that come with what they name, such as a metric's, the one in this language."""
        return (chinese, english)[self._place]
