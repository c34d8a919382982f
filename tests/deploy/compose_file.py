"""docker-compose.yml as Compose reads it: variables filled in from .env.example, anchors merged."""

import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})")


def example_variables() -> dict[str, str]:
    """The variables that .env.example sets, unquoted as Compose does."""
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def used_variables() -> set[str]:
    """The variables that docker-compose.yml asks for."""
    return {found[2] for found in _VARIABLE.finditer(FILE.read_text(encoding="utf-8")) if found[2]}


def filled(variables: Mapping[str, str]) -> str:
    """The file's text with its variables filled in; one that is not there and has no default raises KeyError."""

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        return variables.get(found[2]) or (found[3] if found[3] is not None else variables[found[2]])

    return _VARIABLE.sub(value, FILE.read_text(encoding="utf-8"))


def composed() -> dict[str, Any]:
    """The whole file, as with .env.example."""
    whole: dict[str, Any] = yaml.safe_load(filled(example_variables()))
    return whole


def services() -> dict[str, dict[str, Any]]:
    """Its services, by name."""
    return dict(composed()["services"])


def platform_services() -> dict[str, dict[str, Any]]:
    """The services that run roles of the platform, by role."""
    return {name: each for name, each in services().items() if each.get("command", [""])[0] == "run"}


def in_order() -> Iterator[str]:
    """The services' names, each behind those that it waits for."""
    waits = {name: set(each.get("depends_on", {})) for name, each in services().items()}
    return iter(TopologicalSorter(waits).static_order())


def bytes_of(size: str) -> int:
    """A size such as 320M.

    >>> bytes_of("2M")
    2097152
    """
    return int(size[:-1]) * {"K": 2**10, "M": 2**20, "G": 2**30}[size[-1].upper()]
