"""One board's calls to NVML: what it does not support is learnt, what went wrong is noted."""

from typing import Any, Final

from agent.collector import Problem
from collectors.nvml_library import (
    DRIVER_GONE,
    FUNCTION_NOT_FOUND,
    LOST,
    NO_PERMISSION,
    TIMEOUT,
    UNSUPPORTED,
    BoardLost,
    DriverGone,
    Library,
)

REMEDY_PERMISSION: Final = (
    "let the agent's user open /dev/nvidia*: ls -l /dev/nvidia*, and in a container, start it with "
    "--gpus all; for GPM under a restricted driver, see NVreg_RestrictProfilingToAdminUsers"
)
REMEDY_LOST: Final = (
    "see sudo dmesg | grep -i xid; a board that has fallen off the bus comes back with "
    "sudo nvidia-smi --gpu-reset or a reboot"
)
_REASONS: Final = {NO_PERMISSION: "permission", TIMEOUT: "timeout"}


class Calls:
    """Asks one board."""

    def __init__(self, library: Library, handle: Any) -> None:
        self.library = library
        self.handle = handle
        self.unsupported: set[str] = set()
        """What is not asked again."""
        self.troubles: dict[str, int] = {}
        """What failed at this reading, with NVML's return code."""

    def ask(self, name: str, *args: Any, about: str = "") -> Any:
        """Return what pynvml's function `name` says of the board, None if it says nothing.

        `about` tells apart what the same function is asked for. Raises `BoardLost` and
        `DriverGone`.
        """
        key = about or name
        if key in self.unsupported:
            return None
        try:
            return getattr(self.library.api, name)(self.handle, *args)
        except self.library.errors as error:
            self.failed(key, self.library.code(error), function=name)
            return None

    def failed(self, what: str, code: int, *, function: str = "") -> None:
        """Take note of a return code that is not 0. Raises `BoardLost` and `DriverGone`."""
        if code in DRIVER_GONE:
            raise DriverGone(self.library.text(code))
        if code in LOST:
            raise BoardLost(self.library.text(code))
        if code in UNSUPPORTED:
            self.unsupported.add(what)
            if code == FUNCTION_NOT_FOUND and function:
                self.library.missing.add(function)
        else:
            self.troubles[what] = code

    def problems(self, device: str) -> list[Problem]:
        """Return what went wrong at this reading, as `wattlas check` shows it."""
        found = []
        for what, code in self.troubles.items():
            reason = _REASONS.get(code, "io")
            remedy = REMEDY_PERMISSION if code == NO_PERMISSION else ""
            why = f"{what}: {self.library.text(code)}"
            found.append(Problem(f"{device} {what}", why, remedy, reason))
        return found
