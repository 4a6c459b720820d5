"""What was checked, against which limit, and what came out."""

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Report:
    """The table at the end, filled as it goes."""

    lines: list[tuple[bool, str, str, str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    transcript: TextIO | None = None

    def say(self, text: str) -> None:
        """Print what is being done."""
        for out in (sys.stdout, self.transcript):
            if out is not None:
                out.write(f"[{time.monotonic() - self.began:4.0f} s] {text}\n")
                out.flush()

    def check(self, what: str, limit: str, figure: object, ok: bool) -> None:
        """Note one check."""
        self.lines.append((ok, what, limit, str(figure)))
        self.say(f"{'ok    ' if ok else 'FAILED'}  {what}: {figure}  (limit: {limit})")

    def failed(self, what: str, why: object) -> None:
        """Note a group of checks that could not be finished."""
        self.check(what, "it can be done", why, ok=False)

    @property
    def passed(self) -> bool:
        """Whether all did."""
        return all(ok for ok, *_ in self.lines) and bool(self.lines)

    def table(self) -> str:
        """Return it as Markdown."""
        rows = [("check", "limit", "figure", "")]
        rows += [
            (what, limit, figure, "ok" if ok else "FAILED")
            for ok, what, limit, figure in self.lines
        ]
        rows = [tuple(" ".join(cell.split()).replace("|", "\\|") for cell in row) for row in rows]
        rows.insert(1, ("---",) * 4)
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
