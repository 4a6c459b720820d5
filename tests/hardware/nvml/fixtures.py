"""Fixtures and helpers of tests that ask the stand-in through pynvml."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pynvml
import pytest

from hardware.faults import NoCompiler
from hardware.nvml.boards import Board
from hardware.nvml.standin import Standin

Make = Callable[..., Standin]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make a stand-in from boards, load it into this process and initialise NVML."""

    def make(*boards: Board, **options: Any) -> Standin:
        standin = Standin(tmp_path / "nvml.state", boards, **options)
        try:
            standin.preload()
        except NoCompiler as error:
            pytest.skip(f"{error}; scripts/test installs gcc")
        pynvml.nvmlInit()
        return standin

    yield make
    with suppress(pynvml.NVMLError_Uninitialized):  # a test did it
        pynvml.nvmlShutdown()


def fields(handle: Any, *asked: int | tuple[int, int]) -> list[int | tuple[str, int]]:
    """Return the value of each field, or its error."""
    answers: list[int | tuple[str, int]] = []
    for each in pynvml.nvmlDeviceGetFieldValues(handle, list(asked)):
        member = {1: "uiVal", 3: "ullVal"}.get(each.valueType, "")
        if each.nvmlReturn:
            answers.append(("error", each.nvmlReturn))
        else:
            answers.append(getattr(each.value, member))
    return answers
