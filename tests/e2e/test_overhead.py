"""The benchmark runs and what it says is sane; its figures are judged by people, elsewhere."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")

pytestmark = pytest.mark.e2e


def numbers(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What the benchmark wrote and printed in its quick form."""
    directory = tmp_path_factory.mktemp("overhead")
    file = directory / "figures.json"
    benchmark = [sys.executable, ROOT / "benchmarks/overhead.py", "--quick"]
    done = subprocess.run(
        [*benchmark, "--json", file, "--directory", directory],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert [f.name for f in directory.iterdir()] == ["figures.json"], "something was left behind"
    return json.loads(file.read_text()), done.stdout


def test_every_figure_is_a_finite_number_that_is_not_negative(quick):
    figures, _ = quick
    figures = {k: v for k, v in figures.items() if PEER or k not in {"cpu_ratio", "start"}}
    for key in ("cpu", "cpu_ratio", "latency", "crowd", "late", "start", "read", "memory"):
        assert all(math.isfinite(n) for n in numbers(figures.get(key, {}))), key
    for key in ("latency", "crowd", "late", "start", "read", "memory"):
        assert all(n >= 0 for n in numbers(figures.get(key, {}))), key


def test_the_agent_is_small_and_on_time(quick):
    figures, _ = quick
    assert 10 < figures["memory"]["rss"] < 64
    assert figures["late"]["skipped"] == 0
    assert figures["crowd"]["skipped"] == 0
    assert figures["crowd"]["series"] > 4500
    assert figures["late"]["ticks"] > 0


def test_the_table_has_every_row(quick):
    figures, printed = quick
    assert len(figures["rows"]) >= 14
    for row in figures["rows"]:
        assert row["what"] in printed
    assert "targets met" in printed


@pytest.mark.skipif(not PEER, reason="prometheus-node-exporter is not installed")
def test_the_peer_is_beside_it(quick):
    figures, _ = quick
    assert math.isfinite(figures["cpu_ratio"]["median"])
    assert figures["cpu_ratio"]["median"] > 0
    assert figures["latency"]["node_exporter, default"]["series"] > 100
