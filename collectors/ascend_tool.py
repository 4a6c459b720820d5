"""Runs npu-smi."""

import shutil
from typing import Final

from agent.collector import Transient
from collectors.tool import Runner

TOOL: Final = "npu-smi"
REMEDY_HANGS: Final = "look at dmesg: the NPU driver does not answer"


class Tool:
    """The installed npu-smi."""

    def __init__(self) -> None:
        self._runner = Runner(REMEDY_HANGS)

    def path(self) -> str | None:
        """Return where it is installed; None: it is not."""
        return shutil.which(TOOL)

    async def run(self, *arguments: str, seconds: float) -> str:
        """Return what it prints, errors too, whatever its exit status (it says little).

        Raises `Transient`: `gone`, `timeout` after so many seconds, `permission`, `io` or
        `garbage`.
        """
        path = self.path()
        if path is None:
            raise Transient(f"{TOOL} is not installed any more", "gone")
        output = await self._runner.run([path, *arguments], seconds=seconds)
        return output.text + output.errors
