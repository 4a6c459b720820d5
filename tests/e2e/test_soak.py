"""A third of an hour of benchmarks/soak.py: nothing grows, and what does grow is found.

The promise of 1 MiB a day is judged by the whole day, which a person runs; see docs/performance.md.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOUND_MINUTES, LEAKING_MINUTES = 12, 6

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]


@pytest.fixture(scope="module")
def verdict():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("soak_parts.verdict")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def soaked(tmp_path_factory):
    """What a short soak wrote, printed and ended with; at last it leaks on purpose."""
    file = tmp_path_factory.mktemp("soak") / "soak.json"
    directory = tmp_path_factory.mktemp("below")
    hours = (SOUND_MINUTES + LEAKING_MINUTES) / 60
    command = [sys.executable, ROOT / "benchmarks/soak.py", "--gpus", "2", "--json", file]
    command += ["--hours", str(hours), "--leak-after", str(SOUND_MINUTES / 60)]
    done = subprocess.run(
        [*map(str, command), "--directory", str(directory)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert file.exists(), done.stderr
    assert list(directory.iterdir()) == [], "something was left behind"
    return json.loads(file.read_text()), done


def test_nothing_grows(soaked, verdict):
    said, _ = soaked
    rows = [verdict.Row(*row) for row in said["rows"]]
    assert len(rows) == SOUND_MINUTES + LEAKING_MINUTES
    assert [f for f in verdict.judge(rows[:SOUND_MINUTES]) if not f.is_met] == []


def test_a_leak_is_found(soaked, verdict):
    said, done = soaked
    rows = [verdict.Row(*row) for row in said["rows"]]
    missed = {f.what for f in verdict.judge(rows[SOUND_MINUTES:]) if not f.is_met}
    assert missed == {"memory, growth", "descriptors, growth"}
    assert done.returncode == 1
    assert "MISSED" in done.stdout


def test_the_load_was_there(soaked):
    said, _ = soaked
    counts = said["counts"]
    seconds = 60 * (SOUND_MINUTES + LEAKING_MINUTES)
    assert counts["scrapes"] == pytest.approx(2 * seconds / 15, abs=4)
    assert counts["reports"] == pytest.approx(3 * seconds / 5, abs=9)
    assert counts["broken off"] > seconds / 7 / 3
    assert said["failures"] > 5
    assert said["series"] > 200


def test_a_day_is_judged_by_its_slope_after_the_first_hour(verdict):
    """2 MiB in the first hour, then 0.9 or 1.1 MiB a day; a wave of noise is no slope."""

    def day(mib_per_day, ledger_mb_per_day=0.5):
        return [
            verdict.Row(
                rss=(50 + min(n, 60) / 30 + mib_per_day * n / 1440 + 0.05 * (-1) ** n) * 2**20,
                descriptors=60 + n % 3,
                threads=4,
                ledger=1e6 * ledger_mb_per_day * n / 1440,
                wal=4e6 * (n % 7) / 7,
                objects=350_000,
                failures=n,
            )
            for n in range(1440)
        ]

    def missed(rows):
        return [f.what for f in verdict.judge(rows) if not f.is_met]

    assert missed(day(0.9)) == []
    assert missed(day(1.1)) == ["memory, slope"]
    assert missed(day(0.0, 1.1)) == ["ledger"]
    found = {f.what: f.value for f in verdict.judge(day(0.9))}
    assert found["memory, slope"] == pytest.approx(0.9, abs=0.01)
    assert found["ledger"] == pytest.approx(0.5)
