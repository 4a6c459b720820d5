"""Prometheus itself checks the recording rules and works their examples out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

DASHBOARDS = Path(__file__).parents[3] / "dashboards"
pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not installed here; scripts/setup --dev does it",
)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["check", "rules"], "rules/site.rules.yml"),
        (["test", "rules"], "tests/site.rules.test.yml"),
    ],
)
def test_promtool_is_content(command, file):
    done = subprocess.run(
        ["promtool", *command, DASHBOARDS / file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
