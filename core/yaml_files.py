"""YAML that people write: plain types, no key twice in a mapping, the place of each key; no surprises.

Only `true` and `false` are truths (`on`, `off`, `yes`, `no` are text), only plain decimals are numbers (`010`, `0x1F`,
`1_000` and `22:30` are text), a date is text. Merge keys (`<<: *anchor`) work as usual. Tags, a value inside itself and
documents that grow beyond all measure are refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

YAMLError = yaml.YAMLError
Path = tuple[str | int, ...]

LONGEST = 1_000_000
"""The most characters of a document."""
DEEPEST = 32
"""The most mappings and lists within each other."""
MOST_VALUES = 200_000
"""The most keys and values, with each alias counted as what it stands for."""

_UNITS = r"[-+]?(?:0|[1-9][0-9]*)"
_RESOLVED = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]{0,17})", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        rf"{_UNITS}(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{{1,9}})?|[-+]?\.[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    """YAML lets a repeated key silently replace the first; a rule lost that way is an alarm lost."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _error(f"{event.tag} is a tag; write the plain value", event.start_mark)
        self._depth += 1
        if self._depth > DEEPEST:
            raise _error(f"stands in more than {DEEPEST} mappings or lists", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                raise _error(f"{key.value} stands twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _RESOLVED:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True)
class Document:
    """What a text says and where.

    `places` has the line and column (from 1) of every key and list item, by its path: keys as they are spelled, places
    in a list from 0.
    """

    content: Any
    places: Mapping[Path, tuple[int, int]]

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of a path, or of the nearest one above it.

        >>> read_yaml("a:\\n  - {b: 1}").place(("a", 0, "b", "c"))
        (2, 6)
        """
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def load_yaml(text: str) -> Any:
    """The one document in `text`. Raises YAMLError with the line.

    >>> load_yaml("a: &base {x: 1, y: 2}\\nb: {<<: *base, y: 3}")["b"]
    {'x': 1, 'y': 3}
    """
    return read_yaml(text).content


def read_yaml(text: str) -> Document:
    """The one document in `text`, with places. Raises YAMLError with the line.

    >>> read_yaml("open: on\\nhours: [22:30, 06:00-22:00]").content
    {'open': 'on', 'hours': ['22:30', '06:00-22:00']}
    """
    if len(text) > LONGEST:
        raise yaml.YAMLError(f"is longer than {LONGEST:,} characters")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None, {})
        _refuse_vast(node, {})
        content = loader.construct_document(node)
    finally:
        loader.dispose()
    return Document(content, dict(_places(node, ())))


def fault_of(error: YAMLError) -> tuple[int, int, str]:
    """Line, column (from 1) and what is wrong, for a person.

    >>> try:
    ...     load_yaml("a:\\n\\tb: 1")
    ... except YAMLError as error:
    ...     fault_of(error)
    (2, 1, "found character '\\\\t' that cannot start any token: indent with spaces")
    """
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return 1, 1, " ".join(str(error).split())
    what = " ".join(str(getattr(error, "problem", None) or error).split())
    return mark.line + 1, mark.column + 1, what + ": indent with spaces" * ("'\\t'" in what)


def _error(what: str, mark: Any) -> YAMLError:
    return yaml.composer.ComposerError(None, None, what, mark)


def _refuse_vast(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many values a node stands for, and how deep they go, when every alias is written out."""
    if id(node) in known:
        if not known[id(node)][0]:
            raise _error("contains itself", node.start_mark)
        return known[id(node)]
    known[id(node)] = (0, 0)
    parts = [_refuse_vast(part, known) for part in _parts(node)]
    size = 1 + sum(own for own, _ in parts)
    height = 1 + max((own for _, own in parts), default=0)
    if size > MOST_VALUES:
        raise _error(f"holds more than {MOST_VALUES:,} values", node.start_mark)
    if height > DEEPEST:
        raise _error(f"holds more than {DEEPEST} mappings or lists within each other", node.start_mark)
    known[id(node)] = (size, height)
    return known[id(node)]


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value


def _places(node: yaml.Node, path: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Runs after the construction, which has put merged keys before a mapping's own."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, _key(key))
            yield here, (key.start_mark.line + 1, key.start_mark.column + 1)
            yield from _places(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            here = (*path, place)
            yield here, (value.start_mark.line + 1, value.start_mark.column + 1)
            yield from _places(value, here)


def _key(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else "?"
