"""What the truth test must still know after the agent was killed."""

import mmap
import os
from array import array
from pathlib import Path

from hardware import VirtualClock

from agent.samples import EnergyCounter, PowerReading, Sample

HEARD = ("package-0", "package-1", "dram-0", "dram-1", "nvme0", "power_meter")
"""Devices whose readings are noted."""
FALL = 1e-9
"""Relative; below this a fall is the rounding of a sum."""


class Board:
    """The last exported value of every counter, in files that outlive `kill -9`."""

    _MOST = 256

    def __init__(self, directory: Path) -> None:
        with (directory / "board").open("a+b") as file:
            file.truncate(self._MOST * 8)
            self._values = memoryview(mmap.mmap(file.fileno(), self._MOST * 8)).cast("d")
        self._names_path = directory / "board.names"
        self._falls_path = directory / "falls"
        self._names_path.touch()
        lines = self._names_path.read_text().splitlines()
        self._places = {name: place for place, name in enumerate(lines)}

    def export(self, name: str, value: float, when: str) -> None:
        """Note a value that the world has seen; a fall is written down for the test."""
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = len(self._places)
            with self._names_path.open("a") as file:
                file.write(f"{name}\n")
        before = self._values[place]
        if value < before and value < before - FALL * max(1.0, before):
            with self._falls_path.open("a") as file:
                file.write(f"{when}: {name} fell from {before!r} to {value!r}\n")
        self._values[place] = value

    def values(self) -> dict[str, float]:
        """Return everything, by name."""
        return {name: self._values[place] for name, place in self._places.items()}


class Heard:
    """When each device was read with success: what the gaps must follow from."""

    def __init__(self, directory: Path, clock: VirtualClock) -> None:
        self._clock = clock
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._logs = {name: os.open(directory / f"heard.{name}", flags, 0o600) for name in HEARD}

    def record(self, sample: Sample) -> None:
        """Take a sample as it is delivered."""
        if isinstance(sample, EnergyCounter | PowerReading) and sample.device in self._logs:
            log = self._logs[sample.device]
            os.write(log, array("d", (self._clock.now,)).tobytes())

    @staticmethod
    def times(directory: Path, device: str) -> list[float]:
        """Return the times of a device's readings."""
        return array("d", (directory / f"heard.{device}").read_bytes()).tolist()
