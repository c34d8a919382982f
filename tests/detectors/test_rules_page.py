"""The examples of the page for people who write rules are read as they stand there."""

import re
from pathlib import Path

import pytest

from core.yaml_files import load_yaml
from detectors.rule_fields import HEADER_FIELDS, OVERRIDE_FIELDS, RULE_FIELDS
from detectors.rules import load_packs

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("rules.md", "rules.zh-CN.md")
FILE = ("pack:", "schedules:", "rules:", "overrides:")
REST = {
    "hazard": "device",
    "category": "公共服务",
    "title_zh": "测",
    "title_en": "test",
    "advice_zh": "带",
    "advice_en": "bring",
    "basis": "K",
}


def examples(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def whole(example: str) -> str:
    """A file; of an example that shows some keys of a rule one with the others added."""
    if example.startswith(FILE):
        return example
    own = "".join(f"    {line}\n" for line in example.splitlines())
    return "rules:\n  an.example:\n" + own + "".join(f"    {key}: {value}\n" for key, value in REST.items())


@pytest.mark.parametrize("page", PAGES)
def test_every_example_is_sound(page: str, tmp_path: Path) -> None:
    for number, example in enumerate(examples(page)):
        file = tmp_path / f"example_{number}.yaml"
        file.write_text(whole(example), "utf-8")
        rules = load_packs([file]).rules.values()
        assert any(f"pack {file.name}" in (rule.source, *(o.source for o in rule.overrides)) for rule in rules)


def test_both_pages_show_the_same() -> None:
    chinese, english = (([load_yaml(example) for example in examples(page)]) for page in PAGES)
    assert chinese == english
    assert len(english) > 10


@pytest.mark.parametrize("page", PAGES)
def test_every_key_is_on_the_page(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    for key in {*HEADER_FIELDS, *OVERRIDE_FIELDS, *RULE_FIELDS}:
        assert re.search(rf"\b{key}\b", text), key
