"""Exports for tests: made, checked, and spoilt."""

import random
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from unit.audit.made import FIRST_HOUR, HOURS, KEY, valid

from agent.audit.export import export
from agent.audit.handed import HandedCheck
from agent.audit.ledger import open_for_checking
from agent.audit.verdict import Verdict
from agent.audit.walk import Walk
from agent.ledger.links import records

BEGIN, END = FIRST_HOUR // 24 * 86400.0, (FIRST_HOUR + HOURS) * 3600.0


def handed_over(state_dir: Path, directory: Path, **more: Any) -> Path:
    """Export a ledger."""
    with closing(open_for_checking(state_dir / "ledger.db")) as db:
        usual: dict[str, Any] = {
            "begin": BEGIN,
            "end": END,
            "how": "csv",
            "data_asset": {"classification": "internal"},
            "findings": [],
            "key": KEY,
            "progress": lambda _: None,
        }
        export(list(records(db)), directory, **(usual | more))
    return directory


def checked(directory: Path, **more: Any) -> Verdict:
    """Check an export."""
    trusted = more.get("trusted", ())
    return HandedCheck(directory, Walk(valid, **more), trusted).run()


def flip_one(directory: Path, dice: random.Random) -> tuple[Path, int]:
    """Flip a bit of one of its files; return which."""
    path = dice.choice(sorted(directory.iterdir()))
    bit = dice.randrange(8 * path.stat().st_size)
    toggle(path, bit)
    return path, bit


def toggle(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def is_named(path: Path, verdict: Verdict) -> bool:
    """Tell whether a verdict names the file. The sums and what they are of vouch for each other."""
    return any(finding.file == path.name for finding in verdict.findings) or (
        path.name == "SHA256SUMS" and bool(verdict.findings)
    )


def copied(directory: Path, to: Path) -> Path:
    return Path(shutil.copytree(directory, to))
