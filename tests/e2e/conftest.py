"""What the end-to-end tests share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.agents import settings, simulated
from hardware.faults import NoCompiler
from hardware.fixtures import fault_library
from hardware.nvml.build import build
from hardware.site import SimulatedSite

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


@pytest.fixture(scope="session")
def living_site() -> Iterator[SimulatedSite]:
    """A whole simulated site whose agents serve.

    It takes half a minute to make, so the files that use it are in `ONE_SITE` of tests/conftest.py
    and run in one process. What a test changes, it changes back.
    """
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed here; scripts/setup --dev does it")
    try:
        build()
    except NoCompiler:
        pytest.skip("no C compiler")
    # a Unix socket's path is short, so not pytest's own directory
    with (
        tempfile.TemporaryDirectory(prefix="ws") as name,
        SimulatedSite(Path(name) / "s", site_days=400, meter_seconds=1.0) as site,
    ):
        site.wait_for_figures()
        yield site
