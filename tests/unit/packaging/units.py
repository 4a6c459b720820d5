"""Helpers for the tests of the systemd unit and its drop-ins."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[3] / "packaging"
UNIT = PACKAGING / "wattlas.service"
DROP_INS = PACKAGING / "drop-ins"


def tool(name):
    """The mark that skips a test without a tool of systemd."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed here")


def _offline_analysis():
    """systemd-analyze security reads a file since systemd 250; Ubuntu 22.04 has 249."""
    if shutil.which("systemd-analyze") is None:
        return False
    said = subprocess.run(["systemd-analyze", "--version"], capture_output=True, check=True).stdout
    return int(re.search(rb"\d+", said)[0]) >= 250


needs_offline_analysis = pytest.mark.skipif(
    not _offline_analysis(), reason="no systemd-analyze of version 250 or newer"
)


def exposure(unit):
    """What systemd says of a unit's file, in tenths: 0 is best, 100 worst."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    level = re.search(r"Overall exposure level for \S+: (\d+)\.(\d)", done.stdout)
    assert level, done.stderr
    return int(level[1] + level[2])


def open_points(unit):
    """The settings that systemd counts against a unit."""
    command = ["systemd-analyze", "security", "--offline=true", "--json=short", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {line["name"] for line in json.loads(done.stdout) if line["exposure"]}


def parse(text):
    """Sections to keys to values, in order; a key may come more than once."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            keys = sections.setdefault(header[1], {})
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"no directive: {line!r}"
            keys.setdefault(key, []).append(value)
    return sections
