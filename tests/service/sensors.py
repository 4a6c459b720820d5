"""The simulated server's counters, with a truth that can be held still and read."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from hardware.presets import PRESETS
from hardware.timeline import Timeline

HERTZ: Final = 20.0


class Sensors:
    """A simulated two-socket server whose files go with real time, from `with` to its end."""

    def __init__(self, directory: Path) -> None:
        """`directory` is empty; proc/ and sys/ are made there."""
        self.directory = directory
        self._machine = PRESETS["xeon_2s"](directory)
        self._machine.timeline = Timeline(
            epoch=time.time(), uptime=time.clock_gettime(time.CLOCK_BOOTTIME)
        )
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._began = 0.0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._machine.write(0.0)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Hold every counter where it is; its time goes on from there afterwards."""
        with self._writing:
            held = time.monotonic()
            try:
                yield
            finally:
                self._began += time.monotonic() - held

    def open_to(self, group: int, mode: int = 0o440) -> None:
        """Give root's energy counters to a group, as wattlas.tmpfiles does."""
        for path in self.counters():
            os.chown(path, 0, group)
            path.chmod(mode)

    def joules(self) -> Mapping[str, tuple[float, float]]:
        """Return, by the agent's name of the device, what the counter shows and where it wraps."""
        found: dict[str, tuple[float, float]] = {}
        for path in self.counters():
            name = (path.parent / "name").read_text().strip()
            if name.startswith("dram"):
                parent = (path.parent.parent / "name").read_text().strip()
                name = f"dram-{parent.rpartition('-')[2]}"
            elif not name.startswith("package-"):
                continue
            wraps = int((path.parent / "max_energy_range_uj").read_text())
            found[name] = (int(path.read_text()) / 1e6, (wraps + 1) / 1e6)
        return found

    def counters(self) -> list[Path]:
        """Return every energy_uj, in its zone's own directory, to which the class has links."""
        return sorted((self.directory / "sys/devices/virtual/powercap").rglob("energy_uj"))

    def _run(self) -> None:
        while not self._stop.wait(1 / HERTZ):
            with self._writing:
                self._machine.write(time.monotonic() - self._began)


def used(
    before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]
) -> float:
    """Return the joules between two readings of the same counters, each wrapped at most once."""
    return sum((after[name][0] - joules) % wraps for name, (joules, wraps) in before.items())
