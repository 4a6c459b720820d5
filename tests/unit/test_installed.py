"""What is tested is the installed wheel, alone under its names, with the pinned libraries."""

import importlib
import json
import re
import sysconfig
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
PACKAGES = ["agent", "collectors", "dashboards", "exporters"]
WITH_PYTHON = {"pip", "setuptools"}  # the environment has them from Python itself
REMEDY = "run scripts/setup --dev"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def sources(package: str) -> Iterator[Path]:
    for path in sorted((ROOT / package).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield path.relative_to(ROOT)


@pytest.mark.parametrize("name", PACKAGES)
def test_it_comes_from_site_packages(name):
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(SITE_PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_else_provides_the_name(name):
    assert set(packages_distributions()[name]) == {"wattlas"}


def test_the_wheel_brings_nothing_but_its_packages():
    files = distribution("wattlas").files or []
    tops = {file.parts[0] for file in files if ".dist-info" not in file.parts[0]}
    assert tops - {".."} == set(PACKAGES)  # "..": bin/wattlas


def test_it_is_no_editable_install():
    direct = distribution("wattlas").read_text("direct_url.json")
    assert direct is None or "dir_info" not in json.loads(direct)


@pytest.mark.parametrize("name", PACKAGES)
def test_it_is_this_checkout(name):
    stale = [
        str(path)
        for path in sources(name)
        if not (SITE_PACKAGES / path).is_file()
        or (SITE_PACKAGES / path).read_bytes() != (ROOT / path).read_bytes()
    ]
    assert stale == [], f"the installed wheel is older than these sources: {REMEDY}"


def test_every_library_is_pinned_and_installed_as_pinned():
    lines = (ROOT / "packaging/constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {canonical(name): version for name, version in pins.items()}
    wrong = []
    for name in sorted(needed() - WITH_PYTHON):
        try:
            found = distribution(name).version.removeprefix("v")
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed: {REMEDY}")
            continue
        if name not in pinned:
            wrong.append(f"{name} is not pinned: run scripts/pins")
        elif found != pinned[name]:
            wrong.append(f"{name} is {found}, pinned is {pinned[name]}: {REMEDY}")
    assert wrong == []


def needed() -> set[str]:
    """All that pyproject.toml asks for, and what those ask for in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    waiting = [Requirement(line) for line in asked]
    names: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonical(wanted.name)
        if name in names:
            continue
        names.add(name)
        try:
            lines = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for line in lines:
            further = Requirement(line)
            extras = wanted.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(further)
    return names
