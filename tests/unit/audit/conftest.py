"""One small ledger for all tests that only look at it."""

import shutil

import pytest
from unit.audit.handing import handed_over
from unit.audit.made import lived


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """A ledger that nobody may change."""
    return lived(tmp_path_factory.mktemp("audit") / "state")


@pytest.fixture
def state_dir(original, tmp_path):
    """A ledger of one's own."""
    return shutil.copytree(original, tmp_path / "state")


@pytest.fixture(scope="session")
def handed(original, tmp_path_factory):
    """An export that nobody may change."""
    return handed_over(original, tmp_path_factory.mktemp("handed") / "export")
