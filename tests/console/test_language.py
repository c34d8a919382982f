"""Both languages say everything, and templates say nothing by themselves."""

import ast
import re
from html.parser import HTMLParser
from importlib.resources import files
from itertools import chain
from pathlib import Path
from string import Formatter

import pytest

import alerts
from alerts.alert_decisions import CLOSED_HOW
from alerts.lifecycle import ACTION_WORDS, STATUS_WORDS
from alerts.ticket_decisions import decide_recovery
from console.acting import BUTTONS, FALSE_CAUSES, RETURN_REASONS
from console.chain import STEPS
from console.language import LANGUAGES, named, texts
from detectors.rule_checks import HAZARDS
from detectors.rules import load_packs
from detectors.words import Severity

TEMPLATES = sorted((path for path in (files("console") / "templates").iterdir()), key=lambda path: path.name)
SPOKEN = {"alt", "aria-label", "title", "placeholder", "value"}
WORD = re.compile(r"[^\W\d_]{2,}")


class Spoken(HTMLParser):
    """Collects what a reader would see or hear of a template that came from the template itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        spoken = SPOKEN - {"value"} if tag != "button" or "name" in given else SPOKEN
        self.found += [text or "" for name, text in attrs if name in spoken]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    chinese, english = (texts(language) for language in LANGUAGES)
    assert chinese.keys() == english.keys()
    assert {key for key in chinese if places(chinese[key]) != places(english[key])} == set()
    assert all(text.strip() for text in chain(chinese.values(), english.values()))


def test_english_texts_hold_no_chinese() -> None:
    allowed = {"language.zh"}
    assert {key for key, text in texts("en").items() if re.search(r"[一-鿿]", text)} <= allowed


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_uses_no_literal_text(template) -> None:  # type: ignore[no-untyped-def]
    said = re.sub(
        r"\{% block (?:body_class|main_class|scheme) %\}[\w-]*\{% endblock %\}", "", template.read_text("utf-8")
    )
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", said, flags=re.DOTALL)
    parser = Spoken()
    parser.feed(source)
    assert [text for text in parser.found if WORD.search(text)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_text_that_a_template_names_exists(template) -> None:  # type: ignore[no-untyped-def]
    named_keys = re.findall(r"""\bt\("([a-z_]+(?:\.[a-z_]+)+)"\s*[,)]""", template.read_text("utf-8"))
    assert set(named_keys) <= texts("zh").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_that_pages_show_has_a_name(language: str) -> None:
    rules = load_packs().rules.values()
    codes = {
        "action": (*ACTION_WORDS, *BUTTONS),
        "status": (*STATUS_WORDS, *STEPS),
        "severity": [int(level) for level in Severity if level],
        "hazard": HAZARDS,
        "category": [rule.category for rule in rules],
        "reason": RETURN_REASONS,
        "closed_how": CLOSED_HOW,
        "because": CLOSED_HOW,
        "cause_of": FALSE_CAUSES,
    }
    missing = [f"{family}.{code}" for family, given in codes.items() for code in given]
    assert [key for key in missing if key not in texts(language)] == []


def logged_reasons() -> set[str]:
    """What the desk's code writes as the reason of a log row, read from its source."""
    places = {"note": 4, "admit": 3, "press": 3}
    found: set[str] = set()
    for module in Path(alerts.__file__).parent.glob("*.py"):
        for call in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in places:
                given = call.args[places[call.func.id]]
                either = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
                found |= {one.value for one in either if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_in_a_tickets_log_has_words(language: str) -> None:
    recovered = decide_recovery(0, "dispatched", 3, False, True)[1]
    reasons = logged_reasons() - {""} | {recovered, "chattering_begins", "quiet_long_enough", "its_ticket_ended"}
    assert len(reasons) > 15
    assert sorted(code for code in reasons if f"because.{code}" not in texts(language)) == []


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert named("en", "hazard", "volcano") == "volcano"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_was_taken_for_a_truth_value(language: str) -> None:
    assert [key for key, said in texts(language).items() if said in ("True", "False")] == []
