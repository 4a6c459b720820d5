"""Runs a vendor's tool: a process with a deadline that is always ended and reaped.

Such a tool sits in ioctls of its driver. When the hardware hangs, it can hang in the kernel, where
even SIGKILL does not end it; then no second one is started beside it.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from agent.collector import Transient

MOST_BYTES: Final = 1024 * 1024
"""64 NPUs make about 20 KiB of `npu-smi info`, a BMC with 400 sensors 40 KiB of `sdr elist`."""
END_SECONDS: Final = 1.0
"""How long a killed process may take to be gone."""
_SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where FreeIPMI's tools are; not on the PATH of a service's user."""


class Output(NamedTuple):
    """What a tool printed, and its exit status."""

    text: str
    errors: str
    status: int


def find(name: str) -> str | None:
    """Return where a tool is installed, None if it is not."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join((*folders, *_SYSTEM_FOLDERS)))


class Runner:
    """At most one process at a time."""

    def __init__(self, remedy: str) -> None:
        """`remedy`: what to do when the tool hangs."""
        self._remedy = remedy
        self._process: asyncio.subprocess.Process | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closed = False

    async def run(
        self, command: Sequence[str], *, seconds: float, descriptors: tuple[int, ...] = ()
    ) -> Output:
        """Return what a command printed within so many seconds, whatever its exit status.

        `descriptors`: files that it inherits. Raises `Transient`: `timeout`, `permission`, `io`
        or `garbage`.
        """
        name = os.path.basename(command[0])  # noqa: PTH119 - a name, not a file
        if self._ending is not None:
            if not self._ending.done():
                raise Transient(
                    f"an earlier {name} hangs and cannot be ended", "timeout", self._remedy
                )
            self._ending = None
        # Not to be cancelled in the middle: asyncio would wait for a process whose children hold
        # its pipes, and for ever.
        starting = asyncio.ensure_future(self._start(command, name, descriptors))
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await self._end_once_started(starting)
            raise
        self._process = process
        if self._closed:  # while it was being started
            _kill(process)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                assert process.stdout is not None
                assert process.stderr is not None
                text, errors = await asyncio.gather(
                    _all_of(process.stdout, name), _all_of(process.stderr, name)
                )
                status = await process.wait()
        except TimeoutError:
            raise Transient(
                f"{name} printed no end within {seconds:.3g} s",
                "timeout",
                f"{self._remedy}; set a longer timeout_seconds if it is just slow",
            ) from None
        finally:
            # Also when the caller was cancelled: nothing is left behind.
            self._process = None
            if process.returncode is None:
                await self._end(process)
        return Output(text, errors, status)

    def close(self) -> None:
        """Kill what runs or is being started; the event loop reaps it."""
        self._closed = True
        if self._process is not None and self._process.returncode is None:
            _kill(self._process)

    async def _start(
        self, command: Sequence[str], name: str, descriptors: tuple[int, ...]
    ) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "LANG": "C", "LC_ALL": "C", "LANGUAGE": "C", "TZ": "UTC"},
                pass_fds=descriptors,
                start_new_session=True,  # so that what it starts itself can be ended with it
            )
        except OSError as error:
            reason = "permission" if isinstance(error, PermissionError) else "io"
            why = f"{name} cannot be started ({error.strerror or error})"
            raise Transient(why, reason) from None

    async def _end_once_started(self, starting: asyncio.Future[asyncio.subprocess.Process]) -> None:
        await asyncio.wait({starting}, timeout=END_SECONDS)
        if starting.done() and not starting.cancelled() and starting.exception() is None:
            await self._end(starting.result())

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        _kill(process)
        self._ending = asyncio.ensure_future(_end_of(process))
        await asyncio.wait({self._ending}, timeout=END_SECONDS)


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _end_of(process: asyncio.subprocess.Process) -> None:
    """Wait until a process is gone, reading what is left: only at its end are the pipes closed."""
    for stream in (process.stdout, process.stderr):
        while stream is not None and await stream.read(65536):
            pass
    await process.wait()


async def _all_of(stream: asyncio.StreamReader, name: str) -> str:
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read(65536):
        size += len(piece)
        if size > MOST_BYTES:
            raise Transient(f"{name} prints more than {MOST_BYTES // 1024} KiB", "garbage")
        pieces.append(piece)
    return b"".join(pieces).decode(errors="replace")
