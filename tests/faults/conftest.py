"""The fault campaign: a reduced form in every test run, the whole by `scripts/faults`."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

FULL = os.environ.get("WATTLAS_FAULTS") == "full"
"""Whether this is the whole campaign."""
RESULTS = os.environ.get("WATTLAS_FAULTS_RESULTS", "")
"""File that figures are added to, a JSON line each; "": none."""


@pytest.fixture(scope="session")
def count() -> Callable[[int, int], int]:
    """Return how often something is tried: the first figure, or the second in the campaign."""
    return lambda reduced, full: full if FULL else reduced


@pytest.fixture(scope="session")
def tell() -> Callable[..., None]:
    """Note what a trial came to: `tell("disk full", trials=3, energy_error=0.0002)`."""

    def note(fault: str, **figures: float | str) -> None:
        if RESULTS:
            with Path(RESULTS).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"fault": fault, **figures}) + "\n")

    return note
