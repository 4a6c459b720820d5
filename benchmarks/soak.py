"""A day of the agent's life under load, on virtual time: does memory grow, does anything leak?

    python benchmarks/soak.py [--hours 24] [--gpus 8] [--json FILE] [--trace]

Run it with the Python of Wattlas' environment, after scripts/setup --dev (it compiles the NVML
stand-in and the fault library). One process and one core; 24 hours take a quarter of an hour on a
machine that does nothing else. Exit status 1: something grew. docs/design/soak.md says how it
works and what is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soak_parts.verdict import MIB, Row, judge, settled, slope_per_day

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
TABLE_ROWS = 12


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--hours", type=float, default=24.0, help="simulated time (24)")
    add("--gpus", type=int, default=8, help="H100 of the NVML stand-in, 0 to 8 (8)")
    add("--json", type=Path, metavar="FILE", help="also write every minute there")
    add("--trace", action="store_true", help="say where memory went since the first hour; slower")
    add("--leak-after", type=float, metavar="HOURS", help="then leak on purpose: is it found?")
    add("--directory", type=Path, help="work below this directory; its disk holds the ledger")
    return parser.parse_args(arguments)


def live(o: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Let the time pass in a process of its own; return what it says."""
    from hardware.faults import Faults, build_library  # noqa: PLC0415 - found by the path above

    plan = {
        "directory": str(directory),
        "seconds": o.hours * 3600,
        "gpus": o.gpus,
        "trace": o.trace,
        "leak_after": None if o.leak_after is None else o.leak_after * 3600,
    }
    (directory / "plan.json").write_text(json.dumps(plan))
    faults = Faults(directory / "faults", root=directory / "machine")
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "benchmarks")])
    environment = os.environ | faults.environment(build_library(directory)) | {"PYTHONPATH": paths}
    subprocess.run(
        [sys.executable, "-m", "soak_parts.life", directory / "plan.json"],
        env=environment,
        check=True,
    )
    said: dict[str, Any] = json.loads((directory / "said.json").read_text())
    return said


def show(said: dict[str, Any], rows: Sequence[Row]) -> bool:
    """Print the minutes, a dozen of them, and the verdict; tell whether all is well."""
    print(
        "| hour | RSS MiB | descriptors | threads | ledger.db kB | its log kB | failed readings |"
    )
    print("|---|---|---|---|---|---|---|")
    step = max(1, len(rows) // TABLE_ROWS)
    for n in sorted({0, *range(step - 1, len(rows), step), len(rows) - 1}):
        row = rows[n]
        print(
            f"| {(n + 1) / 60:.2f} | {row.rss / MIB:.2f} | {row.descriptors:.0f} |"
            f" {row.threads:.0f} | {row.ledger / 1000:.0f} | {row.wal / 1000:.0f} |"
            f" {row.failures:.0f} |"
        )
    print("\n| | found | limit | |\n|---|---|---|---|")
    findings = judge(rows)
    for one in findings:
        unit = f" {one.unit}" if one.unit else ""
        verdict = "met" if one.is_met else "MISSED"
        print(f"| {one.what} | {one.value:.3f}{unit} | ≤ {one.limit:g}{unit} | {verdict} |")
    objects = slope_per_day([row.objects for row in settled(rows)])
    counts = ", ".join(f"{count} {what}" for what, count in said["counts"].items())
    print(f"\n{len(rows)} simulated minutes, {said['series']} series; {counts};")
    print(f"{said['failures']:.0f} failed readings; Python's blocks: {objects:+.0f} a day;")
    print(f"ledger.db after the stop: {said['ledger_bytes'] / 1e6:.3f} MB;")
    print(f"{said['wall_seconds']:.0f} s, of which {said['cpu_seconds']:.0f} s of CPU time")
    return all(one.is_met for one in findings)


def main() -> None:
    """Soak, print, and write what was asked for."""
    o = options()
    with tempfile.TemporaryDirectory(prefix="wattlas-soak-", dir=o.directory) as directory:
        said = live(o, Path(directory))
    rows = [Row(*row) for row in said["rows"]]
    well = show(said, rows)
    if o.json:
        o.json.write_text(json.dumps(said) + "\n")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
