"""A child process that works, as `wattlas bench` sees it."""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import agent
from agent.bench.result import Slice

READY_SECONDS = 120.0
"""Importing a GPU library from a slow disk and making its context can take most of a minute."""
ANSWER_SECONDS = 60.0
START = (
    "import runpy, sys; sys.path.append(sys.argv[1]);"
    " runpy.run_module(sys.argv[2], run_name='__main__')"
)
"""Finds us also where a launcher, not the environment, told this process where we are."""


class BenchError(Exception):
    """The bench cannot go on: one plain sentence with the remedy."""


class Child:
    """One process of the load. Its slices of work gather in `slices`."""

    def __init__(self, what: str, module: str = "agent.bench.load") -> None:
        """`what` names it in sentences: `the CPU`, `GPU 0`; `module` is what it runs."""
        self.what = what
        self._module = module
        self.described: dict[str, Any] = {}
        self.slices: list[Slice] = []
        self._process: asyncio.subprocess.Process | None = None
        self._answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._number = 0

    async def open(
        self, device: str, precisions: Sequence[str], *, index: int = 0, cpus: Sequence[int] = ()
    ) -> None:
        """Start it, and let it load its library. Raises `BenchError`."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-c",
            START,
            str(Path(agent.__file__).parents[1]),
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for `wattlas bench`, which ends it in order
        )
        self._reader = asyncio.create_task(self._read())
        self._order(
            do="open", device=device, index=index, cpus=list(cpus), precisions=list(precisions)
        )
        self.described = await self._answer("opened", READY_SECONDS)

    async def prepare(self, precision: str, size: int | None) -> int:
        """Fill the matrices; return their size, which it chooses where none is given."""
        self._order(do="prepare", precision=precision, size=size)
        answer = await self._answer("prepared", READY_SECONDS)
        return int(answer["size"])

    def work(self, flops: float | None, start: float) -> None:
        """Begin at `start` to do `flops` operations per second; None: as many as it can; 0: none.

        It goes on until the next order.
        """
        self._number += 1
        self.slices.clear()
        self._order(do="work", number=self._number, flops=flops, start=start)

    async def rest(self, start: float) -> None:
        """End the work and wait until all of it was told of; `slices` keeps it."""
        ended = self._number
        self._number += 1
        self._order(do="work", number=self._number, flops=0, start=start)
        while (await self._answer("level", ANSWER_SECONDS))["number"] != ended:
            pass

    async def died(self) -> None:
        """Return when it has ended, which it does not by itself."""
        if self._reader is not None:
            await asyncio.shield(self._reader)

    async def end(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            self._reader.cancel()
        self._errors.close()

    async def failure(self) -> BenchError:
        """Return the sentence for a child that ended by itself."""
        assert self._process is not None
        status = await self._process.wait()
        if status < 0:
            name = signal.Signals(-status).name
            hint = "; was there enough memory?" if -status == signal.SIGKILL else ""
            return BenchError(f"the load on {self.what} was ended by {name}{hint}")
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else f"exit status {status}"
        return BenchError(f"the load on {self.what} failed: {last}")

    def _order(self, **order: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _answer(self, event: str, seconds: float) -> dict[str, Any]:
        """Return the next answer of that kind."""
        while True:
            try:
                answer = await asyncio.wait_for(self._answers.get(), seconds)
            except TimeoutError:
                raise BenchError(
                    f"the load on {self.what} has not answered for {seconds:.0f} s; is the host"
                    " swapping, or its GPU lost?"
                ) from None
            if answer is None:
                raise await self.failure()
            if answer["event"] == "failed":
                raise Unable(str(answer["why"]))
            if answer["event"] == event:
                return answer

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            answer = json.loads(line)
            if answer["event"] == "slice":
                piece = Slice(answer["begin"], answer["end"], answer["flop"], answer["cpu"])
                self.slices.append(piece)
            else:
                self._answers.put_nowait(answer)
        self._answers.put_nowait(None)


class Unable(BenchError):
    """A library is missing or cannot do what was asked for; the sentence says which."""
