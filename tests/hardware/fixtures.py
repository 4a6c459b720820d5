"""Fixtures of the simulated machine. A conftest imports those it wants."""

from pathlib import Path

import pytest

from hardware.faults import NoCompiler, build_library


@pytest.fixture(scope="session")
def fault_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled `faults.c`, for `Faults.environment`."""
    try:
        return build_library(tmp_path_factory.mktemp("faults"))
    except NoCompiler as error:
        pytest.skip(f"{error}; scripts/test installs gcc")
