"""Has records signed by a child process, without waiting for it."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

CHILD_SECONDS: Final = 60.0
"""Of real time, as the child is a real process, whatever clock the agent has."""
END_SECONDS: Final = 1.0
_CHILD: Final = (
    "import runpy, sys; sys.path[:] = sys.argv[1:];"
    "runpy.run_module('agent.audit.signer', run_name='__main__')"
)


class Answer(msgspec.Struct):
    """What the child says; see `agent.audit.signer`."""

    public: str = ""
    next: str | None = None
    signatures: list[tuple[int, str]] = []
    error: str = ""


class Child:
    """One run of the signer."""

    def __init__(
        self,
        key_file: Path,
        public_file: Path,
        records: Sequence[tuple[int, str, str | None]],
        *,
        make: bool,
        promote: str | None,
    ) -> None:
        """Start it. `records`: at most some hundred, so that they fit into a pipe. Raises OSError.

        `make`: a key that is not there. `promote`: the public key whose private one takes over.
        """
        self._since = time.monotonic()
        question = {
            "key_file": str(key_file),
            "public_file": str(public_file),
            "records": records,
            "make": make,
            "promote": promote,
        }
        where = [entry for entry in sys.path if entry]
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-I", "-c", _CHILD, *where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died: its answer will say nothing
            self._process.stdin.write(json.dumps(question).encode())
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def answer(self) -> Answer | None:
        """Return what it says; None: it has not ended yet. Never waits."""
        if self._process.poll() is None:
            if time.monotonic() - self._since < CHILD_SECONDS:
                return None
            self._process.kill()
            self.stop()
            return Answer(error=f"signing took longer than {CHILD_SECONDS:g} s; see what holds it")
        assert self._process.stdout is not None
        with self._process.stdout as output:
            said = output.read()
        try:
            return msgspec.json.decode(said, type=Answer)
        except msgspec.MsgspecError:
            status = self._process.returncode
            return Answer(error=f"the process that signs ended with status {status}")

    def stop(self) -> None:
        """End it; it may finish a file first, if that takes no longer than a moment."""
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
