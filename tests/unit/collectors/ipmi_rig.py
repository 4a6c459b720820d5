"""The `ipmi` collector with a simulated BMC, or with scripts that stand for the tools."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hardware.ipmi import NoSimulator
from hardware.ipmi.bmc import build_module
from unit.collectors.trees import Clock, context

from agent.samples import PowerReading, Sample
from collectors.ipmi import Ipmi


class Tools:
    """A folder that is all of PATH but the shell's own commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "bin"
        self.folder.mkdir()

    def does(self, script: str, name: str = "ipmi-dcmi") -> None:
        """Be this shell script from now on."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def prints(self, text: str, name: str = "ipmi-dcmi") -> None:
        """Print this."""
        (self.root / f"{name}.txt").write_text(text)
        self.does(f"/bin/cat '{self.root}/{name}.txt'", name)


def make(root: Path, clock: Clock | None = None, **settings: Any) -> Ipmi:
    """Return a collector whose /dev is `root`/dev."""
    typed = msgspec.convert({"timeout_seconds": 60.0, **settings}, Ipmi.Settings)
    return Ipmi(typed, context(root, clock))


def read(collector: Ipmi) -> PowerReading:
    """Return one reading."""
    samples: Sequence[Sample] = asyncio.run(collector.collect())
    (sample,) = samples
    assert isinstance(sample, PowerReading)
    return sample


def module(folder: Path) -> Path:
    """Return the DCMI module, or skip the test."""
    try:
        return build_module(folder)
    except NoSimulator as error:
        pytest.skip(f"{error}; scripts/setup --dev installs it")


def figure(collector: Ipmi) -> tuple[str, float]:
    """Return the label and the power of one reading, W."""
    reading = read(collector)
    return reading.device, reading.watts
