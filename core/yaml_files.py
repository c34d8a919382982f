"""YAML that people write: safe types only, no key twice in a mapping, merge keys (`<<: *anchor`) as usual."""

from typing import Any

import yaml

YAMLError = yaml.YAMLError


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a repeated key silently replace the first; a rule lost that way is an alarm lost."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node


def load_yaml(text: str) -> Any:
    """The one document in `text`. Raises YAMLError with the line.

    >>> load_yaml("a: &base {x: 1, y: 2}\\nb: {<<: *base, y: 3}")["b"]
    {'x': 1, 'y': 3}
    """
    return yaml.load(text, _UniqueKeys)
