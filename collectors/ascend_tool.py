"""Runs npu-smi: a process with a deadline that is always ended and never waited for in vain.

The tool talks to the driver through ioctls. When the driver hangs, it hangs in the kernel and even
SIGKILL does not end it; then no second one is started beside it.
"""

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from typing import Final

from agent.collector import Transient

TOOL: Final = "npu-smi"
MOST_BYTES: Final = 1024 * 1024
"""64 chips make about 20 KiB."""
END_SECONDS: Final = 1.0
"""How long a killed process may take to be gone."""
REMEDY_HANGS: Final = "look at dmesg: the NPU driver does not answer"


class Tool:
    """The installed npu-smi."""

    def __init__(self) -> None:
        self._ending: asyncio.Task[int] | None = None

    def path(self) -> str | None:
        """Return where it is installed; None: it is not."""
        return shutil.which(TOOL)

    async def run(self, *arguments: str, seconds: float) -> str:
        """Return what it prints, errors too, whatever its exit status (it says little).

        Raises `Transient`: `timeout` after so many seconds, `permission`, `io` or `garbage`.
        """
        command = " ".join((TOOL, *arguments))
        if self._ending is not None:
            if not self._ending.done():
                raise Transient(
                    f"an earlier {TOOL} hangs and cannot be ended", "timeout", REMEDY_HANGS
                )
            self._ending = None
        process = await self._start(command, arguments)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                assert process.stdout is not None
                text = await _all_of(process.stdout, command)
                await process.wait()
        except TimeoutError:
            raise Transient(
                f"{command} printed no end within {seconds:.3g} s",
                "timeout",
                f"time `{TOOL} info` by hand; set a longer timeout_seconds if it is just slow",
            ) from None
        finally:
            # Also when the caller was cancelled: nothing is left behind.
            if process.returncode is None:
                await self._end(process)
        return text

    async def _start(self, command: str, arguments: tuple[str, ...]) -> asyncio.subprocess.Process:
        path = self.path()
        if path is None:
            raise Transient(f"{TOOL} is not installed any more", "gone")
        try:
            return await asyncio.create_subprocess_exec(
                path,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "LANG": "C", "LC_ALL": "C"},
                start_new_session=True,  # so that what it starts itself can be ended with it
            )
        except OSError as error:
            reason = "permission" if isinstance(error, PermissionError) else "io"
            why = f"{command} cannot be started ({error.strerror or error})"
            raise Transient(why, reason) from None

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self._ending = asyncio.ensure_future(_end_of(process))
        await asyncio.wait({self._ending}, timeout=END_SECONDS)


async def _end_of(process: asyncio.subprocess.Process) -> int:
    """Wait until a process is gone, reading what is left: only at its end is the pipe closed."""
    while process.stdout is not None and await process.stdout.read(65536):
        pass
    return await process.wait()


async def _all_of(stream: asyncio.StreamReader, command: str) -> str:
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read(65536):
        size += len(piece)
        if size > MOST_BYTES:
            raise Transient(f"{command} prints more than {MOST_BYTES // 1024} KiB", "garbage")
        pieces.append(piece)
    return b"".join(pieces).decode(errors="replace")
