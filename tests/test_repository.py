"""Rules that the repository keeps about itself."""

import ast
import re
import subprocess
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement

from console.language import texts
from ingest.formats.items import Refused
from ingest.formats.v1 import VersionOne
from ingest.words import Message

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "devices", "ingest", "detectors", "alerts", "grafana", "console", "shouwang")
README_FILES = ("README.md", "README.zh-CN.md")
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_PLACE = re.compile(r"\{(\w+)")
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    paths = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if (ROOT / path).is_file()]


TRACKED = _tracked()
OURS = [path for path in TRACKED if path.suffix == ".py"]
SHIPPED = [path for path in OURS if path.parts[0] in PACKAGES]
DOCUMENTS = [path for path in TRACKED if path.suffix == ".md" and "vendor" not in path.parts]
_READ = {".py", ".md", ".html", ".js", ".css", ".yaml", ".toml", ""}
_FOREIGN = {Path("LICENSE"), Path("tests/test_repository.py")}
WRITTEN = [path for path in TRACKED if path.suffix in _READ and "vendor" not in path.parts and path not in _FOREIGN]


@cache
def _text(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(_text(path), str(path))))


@pytest.mark.parametrize("readme", README_FILES)
def test_the_readme_lists_the_top_level_and_nothing_else(readme: str) -> None:
    rows = [line for line in _text(readme).splitlines() if line.startswith("| `")]
    listed = {name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert listed == {path.parts[0] for path in TRACKED}


def test_every_link_of_a_document_leads_somewhere() -> None:
    links = [(path, link) for path in DOCUMENTS for link in _LINK.findall(_text(path))]
    assert [(str(path), link) for path, link in links if not (ROOT / path.parent / link).exists()] == []


def test_drawings_are_well_formed_and_ask_for_nothing_outside() -> None:
    for picture in (path for path in TRACKED if path.suffix == ".svg"):
        nodes = ElementTree.parse(ROOT / picture).iter()
        links = [value for node in nodes for name, value in node.attrib.items() if name.endswith(("href", "src"))]
        assert [link for link in links if not link.startswith("#")] == [], picture


@pytest.mark.parametrize("contract", ["docs/mqtt.md", "docs/mqtt.zh-CN.md"])
def test_the_examples_of_the_mqtt_contract_are_admitted(contract: str) -> None:
    text = _text(contract)
    examples = re.findall(r"`sw/v1/\{gateway\}/([^`]+)`[^`]*```json\n(.*?)```", text, re.DOTALL)
    assert [topic for topic, _ in examples] == ["telemetry", "{device}/telemetry", "{device}/event"]
    for topic, payload in examples:
        place = f"sw/v1/GW-0001/{topic.replace('{device}', 'GAS-0001')}"
        items = VersionOne("GW-0001").decode(Message(place, payload.encode(), 0))
        assert items
        assert not [item for item in items if isinstance(item, Refused)]


LOOPS_OF_MACHINE_CODE = ["detectors/kernel.py:read"]
"""A call that is handed arrays counts their references: parted, inlined or not, it took three times as long."""


def test_files_and_functions_stay_short() -> None:
    assert [str(path) for path in OURS if len(_text(path).splitlines()) > 400] == []
    functions = [(path, node) for path in OURS for node in _nodes(path) if isinstance(node, _FUNCTION)]
    long = [f"{path}:{node.name}" for path, node in functions if (node.end_lineno or 0) - node.lineno >= 60]
    assert long == LOOPS_OF_MACHINE_CODE


def test_no_name_hides_what_a_class_or_a_file_is_for() -> None:
    vague = ("manager", "handler", "helper", "util", "utils", "data", "info")
    classes = [node.name for path in SHIPPED for node in _nodes(path) if isinstance(node, ast.ClassDef)]
    names = [*classes, *(path.stem for path in SHIPPED)]
    assert [name for name in names if name.lower().endswith(vague)] == []


def test_only_the_clock_reads_the_time() -> None:
    readers = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    calls = [(path, node) for path in SHIPPED for node in _nodes(path) if isinstance(node, ast.Call)]
    assert {str(path) for path, call in calls if ast.unparse(call.func) in readers} <= {"core/clock.py"}


def test_nothing_is_left_for_later_or_bound_to_one_machine() -> None:
    unfinished = r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplemented"
    machine = r"(?<![\w.])/(home|root|work|Users)/\w|--(extra-)?index-url\b|\b(pypi|npmjs|crates)\.(org|io|com)\b"
    found = re.compile(f"{unfinished}|{machine}")
    assert [str(path) for path in WRITTEN if found.search(_text(path))] == []


def test_the_lock_names_no_index_and_covers_every_dependency() -> None:
    lock = _text("requirements.lock")
    assert "://" not in lock
    locked: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^\w[^\\\n]*", lock, re.MULTILINE):
        requirement = Requirement(line)
        locked.setdefault(_canonical(requirement.name), []).append(requirement)
    project = tomllib.loads(_text("pyproject.toml"))
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["postgres"],
        *project["dependency-groups"]["dev"],
    ]
    for wanted in map(Requirement, asked):
        for pinned in locked[_canonical(wanted.name)]:
            (pin,) = pinned.specifier
            assert pin.operator == "=="
            assert wanted.specifier.contains(pin.version), wanted


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_other_distribution_owns_one_of_our_names() -> None:
    owners = packages_distributions()
    for name in (*PACKAGES, "tests", "benchmarks", "examples"):
        assert set(owners.get(name, [])) <= {"shouwang"}, name


def test_the_floors_that_are_checked_are_the_packages_that_are_shipped() -> None:
    project = tomllib.loads(_text("pyproject.toml"))
    (contract,) = project["tool"]["importlinter"]["contracts"]
    shipped = [
        name for name in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] if "/" not in name
    ]
    assert tuple(reversed(contract["layers"])) == PACKAGES == tuple(shipped)


def test_chinese_and_english_say_the_same_things() -> None:
    chinese, english = texts("zh"), texts("en")
    assert chinese.keys() == english.keys()
    for key, text in chinese.items():
        assert text, key
        assert english[key], key
        assert set(_PLACE.findall(text)) == set(_PLACE.findall(english[key])), key
