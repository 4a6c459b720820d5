"""The example of CONTRIBUTING.md is taken from the page, built, installed and run."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from unit.collectors.trees import Clock

from agent.collector import Absent, Context, Paths, Transient, find_collectors
from agent.quantities import Component, Quality
from agent.samples import PowerReading

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def blocks():
    """The fenced blocks of the page: the project file, the module, the settings."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    found = re.findall(r"^```(toml|python)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in found] == ["toml", "python", "toml"]
    return [text for _, text in found]


@pytest.fixture(scope="module")
def installed(blocks, tmp_path_factory):
    """A directory into which pip has installed the example's wheel."""
    project = tmp_path_factory.mktemp("wattlas-supply")
    (project / "pyproject.toml").write_text(blocks[0])
    (project / "wattlas_supply.py").write_text(blocks[1])
    target = project / "installed"
    python = [sys.executable, "-m"]
    subprocess.run([*python, "hatchling", "build", "-t", "wheel"], cwd=project, check=True)
    (wheel,) = (project / "dist").glob("*.whl")
    pip = [*python, "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--no-index", "--target", target, wheel], cwd=project, check=True
    )
    return target


@pytest.fixture
def supply(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    found = find_collectors()
    assert "supply" not in found.broken
    yield found.classes["supply"]
    sys.modules.pop("wattlas_supply")


@pytest.fixture
def sysfs(tmp_path):
    for name, text in {"AC0": "231500000\n", "BAT0": "9000000\n", "BAT1": "garbage\n"}.items():
        folder = tmp_path / "class/power_supply" / name
        folder.mkdir(parents=True)
        (folder / "power_now").write_text(text)
    return tmp_path


def collect(supply, sysfs, settings):
    context = Context(Paths(sysfs=sysfs), Clock(), lambda _component, _device: None)
    collector = supply(settings, context)
    try:
        return asyncio.run(collector.collect())
    finally:
        collector.close()


def test_the_agent_finds_it_and_it_reads(supply, sysfs):
    samples = collect(supply, sysfs, supply.Settings())
    assert [(s.device, s.watts) for s in samples] == [("AC0", 231.5), ("BAT0", 9.0)]
    assert samples[0] == PowerReading(
        collector="supply",
        component=Component.PSU,
        device="AC0",
        at=Clock().boottime(),
        watts=231.5,
        quality=Quality.INTEGRATED,
        counted=False,
    )


def test_its_settings_are_those_of_the_page(supply, sysfs, blocks):
    table = tomllib.loads(blocks[2])["collectors"]["supply"]
    settings = msgspec.convert(table, supply.Settings)
    assert settings.interval_seconds == 5.0
    assert [s.device for s in collect(supply, sysfs, settings)] == ["AC0"]


def test_nothing_there_and_nothing_readable_are_told_apart(supply, sysfs, tmp_path):
    with pytest.raises(Absent):
        collect(supply, tmp_path / "empty", supply.Settings())
    with pytest.raises(Transient):
        collect(supply, sysfs, supply.Settings(skip=("AC0", "BAT0")))


def test_the_commands_of_the_page_are_there():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    scripts = set(re.findall(r"scripts/[a-z-]+", page))
    assert [script for script in sorted(scripts) if not os.access(ROOT / script, os.X_OK)] == []
