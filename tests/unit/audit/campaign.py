"""10,000 single bits flipped in ledgers and exports; prints a table for docs/audit.md.

PYTHONPATH=tests .venv/bin/python -m unit.audit.campaign [--trials 10000] [--seed 1]
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from unit.audit import handing
from unit.audit.flips import contents, flip_in_file, is_named, trials, unflip
from unit.audit.made import checked, lived, said

Tally = Counter[str]
HEAD = (
    "| flipped | trials | found and named | found | contents unchanged | missed |\n"
    "|---|---|---|---|---|---|\n"
)


def by_sql(state_dir: Path, count: int, seed: int) -> Tally:
    """Values in the tables, types kept."""
    tally: Tally = Counter()
    with closing(sqlite3.connect(state_dir / "ledger.db", isolation_level=None)) as db:
        for one, verdict in trials(db, count, seed):
            found, named = not verdict.clean, is_named(one, verdict)
            tally["found and named" if named else "found" if found else "missed"] += 1
            if not named:
                sys.stderr.write(f"{one} {said(verdict)}\n")
    return tally


def in_the_file(state_dir: Path, count: int, seed: int) -> Tally:
    """Any bit of ledger.db."""
    tally: Tally = Counter()
    path, dice = state_dir / "ledger.db", random.Random(seed)
    before = repr(contents(path))
    for _ in range(count):
        bit = flip_in_file(path, dice)
        found = _judged(state_dir)
        changed = repr(contents(path)) != before
        kind = "found" if found else "missed" if changed else "in free space: contents the same"
        tally[kind] += 1
        if kind == "missed":
            sys.stderr.write(f"bit {bit} of {path}\n")
        unflip(path, bit)
    return tally


def _judged(state_dir: Path) -> list[str]:
    try:
        return said(checked(state_dir))
    except sqlite3.Error as error:
        return [f"cannot be read: {error}"]


def in_an_export(directory: Path, count: int, seed: int) -> Tally:
    """Any bit of any file of an export; each file as often as the others."""
    tally: Tally = Counter()
    dice = random.Random(seed)
    for _ in range(count):
        path, bit = handing.flip_one(directory, dice)
        verdict = handing.checked(directory)
        named = handing.is_named(path, verdict)
        tally["found and named" if named else "missed" if verdict.clean else "found"] += 1
        if not named:
            sys.stderr.write(f"bit {bit} of {path} {said(verdict)}\n")
        handing.toggle(path, bit)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from-kind", type=int, default=0, help="leave out the first kinds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        state_dir = lived(Path(temporary) / "state")
        csv = handing.handed_over(state_dir, Path(temporary) / "csv")
        parquet = handing.handed_over(state_dir, Path(temporary) / "parquet", how="parquet")
        kinds: list[tuple[str, Callable[[Path, int, int], Tally], Path]] = [
            ("a value of a table, through SQL", by_sql, state_dir),
            ("any bit of the file ledger.db", in_the_file, state_dir),
            ("any bit of an export, CSV", in_an_export, csv),
            ("any bit of an export, Parquet", in_an_export, parquet),
        ]
        sys.stdout.write(HEAD)
        for title, campaign, place in kinds[options.from_kind :]:
            began = time.monotonic()
            tally = campaign(place, options.trials, options.seed)
            free = tally["in free space: contents the same"]
            row = (tally["found and named"], tally["found"], free, tally["missed"])
            cells = " | ".join(f"{number:,}" for number in row)
            sys.stdout.write(f"| {title} | {options.trials:,} | {cells} |\n")
            sys.stdout.flush()
            sys.stderr.write(f"{title}: {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
