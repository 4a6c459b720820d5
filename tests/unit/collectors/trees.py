"""Recorded trees on disk, a clock that a test sets, and a process without rights.

A fixture is a folder with `tree.txt`, for each later reading `tree-2.txt` … with what changed,
and `expected.json`: for each reading the samples without `at`, the problems' reasons, and the
seconds to the next.
Lines of a tree: `path = text`, `path -> target of a link`, `# comment`. A backslash and n in a
text is a new line; each text ends in one, as the kernel's do.
"""

import json
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from agent.collector import Absent, BlockingCollector, Context, Paths, Transient
from agent.quantities import Seconds

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOBODY = 65534


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def boottime(self) -> Seconds:
        return Seconds(self.now)

    def monotonic(self) -> Seconds:
        return Seconds(self.now)

    def wall(self) -> Seconds:
        return Seconds(1.7e9 + self.now)


def context(root: Path, clock: Clock | None = None) -> Context:
    """Return a context whose /sys is `root`/sys and whose /proc is `root`/proc."""
    paths = Paths(procfs=root / "proc", sysfs=root / "sys")
    return Context(paths, clock or Clock(), lambda _component, _device: None)


def put(path: Path, content: str | bytes | int) -> Path:
    """Write a file as the kernel prints it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
    return path


def plant(root: Path, text: str) -> None:
    """Make the files and links that a tree lists."""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if " -> " in line:
            name, target = line.split(" -> ")
            link = root / name.strip()
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target.strip())
        else:
            name, _, value = line.partition(" =")
            put(root / name.strip(), value.strip().replace("\\n", "\n"))


def fixtures(collector: str) -> list[Path]:
    """Return the recorded machines of one collector."""
    return sorted(path for path in (FIXTURES / collector).iterdir() if path.is_dir())


def replay(folder: Path, root: Path, make: Callable[[Context], BlockingCollector]) -> None:
    """Assert that a recorded machine gives what `expected.json` says."""
    clock = Clock()
    collector = make(context(root, clock))
    expected = json.loads((folder / "expected.json").read_text())
    for number, step in enumerate(expected, 1):
        plant(root, (folder / ("tree.txt" if number == 1 else f"tree-{number}.txt")).read_text())
        seconds = step.pop("seconds", 1.0)
        assert reading(collector) == step, f"reading {number} of {folder.name}"
        clock.now += seconds
    collector.close()


def reading(collector: BlockingCollector) -> dict[str, Any]:
    """Return one reading as `expected.json` writes it."""
    try:
        samples = [plain(sample) for sample in collector.read()]
    except (Absent, Transient) as error:
        return {"outcome": type(error).__name__, "reason": getattr(error, "reason", "")}
    problems = [[problem.what, problem.reason] for problem in collector.problems()]
    return {"samples": samples, "problems": problems}


def plain(sample: Any) -> dict[str, Any]:
    """Return a sample without its time and without what is as always."""
    fields: dict[str, Any] = msgspec.to_builtins(sample)
    usual = {"collector": fields["collector"], "at": fields["at"], "quality": "integrated"}
    usual |= {"accuracy": fields.get("accuracy"), "counted": True, "calibration": 1.0}
    return {
        key: round(value, 6) if isinstance(value, float) else value
        for key, value in fields.items()
        if value is not None and usual.get(key, ...) != value
    }


@contextmanager
def readable_by_all() -> Iterator[Path]:
    """Give a folder that another user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        yield root


def without_rights(function: Callable[[], Any]) -> Any:
    """Return what `function` returns when root's rights do not help it."""
    if os.geteuid() != 0:
        return function()
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside idle threads
        child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(sender, pickle.dumps(function()))
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    assert data, "the child failed"
    return pickle.loads(data)
