"""The Dockerfile: instructions that hold, all packages in, an exact base, and no development tools in the end."""

import io
import json
import re
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser
from packaging.utils import canonicalize_name

from tests.deploy.compose_file import ROOT, services

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHIPPED = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]

OUTSIDE = set(runpy.run_path(str(ROOT / "deploy" / "outside_runtime.py"))["outside"]())


def instructions(text: str) -> list[dict[str, Any]]:
    parser = DockerfileParser(fileobj=io.BytesIO())
    parser.content = text
    found: list[dict[str, Any]] = parser.structure
    return [each for each in found if each["instruction"] != "COMMENT"]


def test_every_instruction_is_one_that_holds() -> None:
    found = instructions(DOCKERFILE)
    known = {"ARG", "FROM", "ENV", "LABEL", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}
    assert {each["instruction"] for each in found} <= known  # ADD fetches, SHELL and ONBUILD surprise
    for each in found:
        if each["instruction"] == "WORKDIR":
            assert each["value"].startswith("/")
        if each["instruction"] in ("ENTRYPOINT", "CMD"):
            assert json.loads(each["value"]), "a shell in between would swallow SIGTERM"
        if each["instruction"] == "RUN":
            assert not re.search(r"\b(sudo|apt|curl|wget)\b", each["value"])
            assert "pip install" not in each["value"] or re.search("--require-hashes|--no-deps", each["value"])
    last_stage = [each["instruction"] for each in found][-4:]
    assert last_stage == ["USER", "WORKDIR", "ENTRYPOINT", "CMD"]


def test_its_base_is_exact() -> None:
    assert re.search(r"^ARG PYTHON=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${PYTHON}", "${PYTHON}"]


@pytest.mark.parametrize("path", SHIPPED)
def test_every_package_that_is_shipped_is_copied_and_not_ignored(path: str) -> None:
    assert f"COPY {path} {path}\n" in DOCKERFILE
    assert f"!{path}\n" in (ROOT / ".dockerignore").read_text(encoding="utf-8")


def test_it_runs_as_the_user_that_owns_its_volumes() -> None:
    user = services()["ingest"]["user"]
    assert f"USER {user}\n" in DOCKERFILE
    (made,) = re.findall(r"install --directory --owner=(\d+) --group=(\d+)(.*?)\n(.*?)\n", DOCKERFILE)
    assert f"{made[0]}:{made[1]}" == user
    own = {volume.split(":")[1] for volume in services()["setup"]["volumes"] if not volume.startswith("./")}
    assert own == set(made[3].split()) - {"\\"}
    (shared,) = re.findall(r"chmod 0750 (\S+)\n", DOCKERFILE)  # for the group alone, which Grafana's container is given
    assert f"grafana-files:{shared}" in services()["setup"]["volumes"]
    assert services()["grafana"]["group_add"] == [made[1]]


def test_where_kernels_are_kept_is_where_they_were_made() -> None:
    places = re.findall(r"NUMBA_CACHE_DIR=(\S+)", DOCKERFILE)
    assert len(set(places)) == 1
    assert f"kernels:{places[0]}" in services()["detect"]["volumes"]


def test_what_a_service_does_not_need_is_left_out() -> None:
    assert {"pytest", "mypy", "ruff", "playwright", "hypothesis", "hatchling", "dockerfile-parse"} <= OUTSIDE
    needed = {"shouwang", "numpy", "numba", "llvmlite", "psycopg", "psycopg-binary", "sqlalchemy", "duckdb", "tzdata"}
    needed |= {"reportlab", "matplotlib", "apprise", "cryptography", "influxdb-client", "grafana-foundation-sdk"}
    assert not needed & OUTSIDE


_IMPORT_ALL = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
for package in sys.argv[2].split(","):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not found.name.endswith("__main__") and ".migrations." not in found.name:
            importlib.import_module(found.name)
"""


def test_nothing_that_is_shipped_imports_what_is_left_out() -> None:
    names: dict[str, list[str]] = {}
    for module, owners in packages_distributions().items():
        for owner in owners:
            names.setdefault(canonicalize_name(owner), []).append(module)
    absent = [module for each in OUTSIDE for module in names.get(each, [])]
    assert {"pytest", "mypy", "playwright", "hypothesis"} <= set(absent)
    packages = [path for path in SHIPPED if "/" not in path]
    command = [sys.executable, "-c", _IMPORT_ALL, ",".join(absent), ",".join(packages)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
