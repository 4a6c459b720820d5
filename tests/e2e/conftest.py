"""What the end-to-end tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.agents import settings, simulated
from hardware.fixtures import fault_library

__all__ = ["fault_library"]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A simulated server with two sockets, RAPL and a power meter."""
    with simulated(tmp_path_factory.mktemp("machine") / "xeon") as root:
        yield root


@pytest.fixture
def config(tmp_path: Path, machine: Path) -> Path:
    """Settings of an agent on the simulated server."""
    return settings(tmp_path / "wattlas.toml", root=machine)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Settings of an agent on this machine's own kernel."""
    return settings(tmp_path / "wattlas.toml")
