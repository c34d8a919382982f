"""Fixtures of the detectors' tests."""

from collections.abc import Iterator

import pytest

from detectors import watch
from detectors.compile import Compiled
from detectors.rules import RuleSet
from devices.registry import Registry


@pytest.fixture(scope="module")
def compiled_once() -> Iterator[None]:
    """The same rules for the same registry, which no test changes, are compiled once, not for each detector made."""
    compile_rules, known = watch.compile_rules, dict[tuple[int, ...], tuple[Compiled, RuleSet, Registry]]()

    def once(rules: RuleSet, registry: Registry) -> Compiled:
        key = (id(registry), *map(id, rules.rules.values()))
        if key not in known:
            known[key] = compile_rules(rules, registry), rules, registry  # kept, so that no other has their ids
        return known[key][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "compile_rules", once)
        yield
