"""A process that stands for npu-smi: a script on PATH that prints what was recorded."""

import asyncio
from pathlib import Path

from unit.collectors.trees import FIXTURES, Clock, context

from agent.samples import Accelerator, Figures, Inventory, PowerReading, Utilization
from collectors.ascend import Ascend

RECORDS = FIXTURES / "ascend"
SCRIPT = """#!/bin/sh
echo "$* LC_ALL=$LC_ALL LANG=$LANG" >> '{folder}/calls'
case "$*" in
  info) cat '{folder}/info.txt' ;;
  "info -t power -i "*) cat "{folder}/power-$5.txt" 2>&1 ;;
  *) echo "Error parameter of $*" ;;
esac
exit {status}
"""


class Smi:
    """The tool. Put `folder` on PATH."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "bin"
        self.folder.mkdir(parents=True)

    def does(self, script: str) -> None:
        """Be this script from now on."""
        path = self.folder / "npu-smi"
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def prints(self, text: str, status: int = 0) -> None:
        """Print this at `npu-smi info`."""
        self._put("info.txt", text)
        self.does(SCRIPT.format(folder=self.folder, status=status))

    def replays(self, record: str) -> None:
        """Print what was recorded of one host."""
        for old in self.folder.glob("power-*.txt"):
            old.unlink()
        for file in (RECORDS / record).glob("power-*.txt"):
            self._put(file.name, file.read_text())
        self.prints((RECORDS / record / "info.txt").read_text())

    def remove(self) -> None:
        (self.folder / "npu-smi").unlink()

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def _put(self, name: str, text: str) -> None:
        # Renamed into place: the script may be reading the old text.
        new = self.folder / "new"
        new.write_text(text)
        new.rename(self.folder / name)


def make(root: Path, clock: Clock | None = None, **settings) -> Ascend:
    return Ascend(Ascend.Settings(**settings), context(root, clock))


def collect(collector: Ascend):
    return asyncio.run(collector.collect())


def record(name: str) -> str:
    return (RECORDS / name).read_text()


def watts(samples) -> dict[str, float]:
    return {s.device: round(s.watts, 6) for s in samples if isinstance(s, PowerReading)}


def busy(samples) -> dict[str, float]:
    return {s.device: round(s.ratio, 6) for s in samples if isinstance(s, Utilization)}


def figures(samples, device: str) -> dict[tuple[str, str], float]:
    return {
        (figure.value, which): value
        for s in samples
        if isinstance(s, Figures) and s.device == device
        for figure, which, value in s.values
    }


def names(samples) -> dict[str, tuple[str, str, str]]:
    """Return index, name and driver by device."""
    return {s.device: (s.index, s.name, s.driver) for s in samples if isinstance(s, Accelerator)}


def listed(samples) -> list[tuple[str, ...]]:
    return [s.devices for s in samples if isinstance(s, Inventory)]


def complaints(collector: Ascend) -> list[tuple[str, str]]:
    return [(problem.what, problem.reason) for problem in collector.problems()]
