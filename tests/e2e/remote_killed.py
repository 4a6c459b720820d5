"""A real agent that is killed and stopped while it sends, to a receiver that misbehaves."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web
from e2e.agents import WATTLAS, settings
from e2e.remote_lives import Samples, Way
from unit.exporters.remote_messages import read
from unit.ledger.rig import rows

WAIT_SECONDS = 60.0
SOME: Final = ("dies_before", "dies_after", "broken_off", "says_500")
ALL: Final = (*SOME, "hangs", "says_429", "dies_after", "dies_before", "dies_after")


class Misbehaving:
    """Lets happen what its list says, a request each, from the third request on."""

    def __init__(self, directory: Path, machine: Path, way: Way, troubles: tuple[str, ...]) -> None:
        self.state = directory / "state"
        more = (
            "[remote_write]\n"
            f'url = "{way.url}"\ninterval_seconds = 1.0\ntimeout_seconds = 1.0\n'
            "labels = { instance = 'node-7' }\n"
        )
        self._config = settings(
            directory / "wattlas.toml", root=machine, more=more, interval_seconds=0.2
        )
        self._log = directory / "wattlas.log"
        self._way = way
        self._left = list(troubles)
        self._process: asyncio.subprocess.Process | None = None
        self.happened: list[str] = []
        self.tried: list[Samples] = []
        """What came with each request, in order."""

    async def run(self) -> None:
        """Let everything happen; then let the agent send what waits, and stop it."""
        way = self._way
        way.instead = self._instead
        await way.open()
        try:
            await self._start()
            while self._left:
                left = len(self._left)
                await self._until(self._left[0], lambda left=left: len(self._left) < left)
            passed = len(way.passed)
            await self._until("it sends", lambda: len(way.passed) > passed + 1)
            await self._until("nothing waits", lambda: self._waiting() == 0)
            await self._end(signal.SIGTERM)
            while self._waiting():  # what was queued at the end is for the next life
                await self._start()
                await self._until("nothing waits", lambda: self._waiting() == 0)
                await self._end(signal.SIGTERM)
        finally:
            await self._end(signal.SIGKILL)
            await way.cut()

    async def _start(self) -> None:
        with self._log.open("ab") as log:
            command = [str(WATTLAS), "run", "--config", str(self._config)]
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)

    async def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(how)
            await asyncio.wait_for(process.wait(), WAIT_SECONDS)

    async def _until(self, what: str, condition: Callable[[], object]) -> None:
        """Wait for something; an agent that was killed is started again."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < end, what
            if self._process is not None and self._process.returncode is not None:
                await self._start()
            await asyncio.sleep(0.02)

    def _waiting(self) -> int:
        """Return how many moments wait."""
        database = self.state / "ledger.db"
        [(count,)] = rows(database, "SELECT count(*) FROM outbox WHERE sent = 0")
        return int(count)

    async def _instead(self, request: web.Request, body: bytes) -> web.StreamResponse | None:
        self.tried.append(read(body, request.headers["Content-Type"]))
        # the first request of a life only finds out that 2.0 is not spoken here
        if not self._left or len(self._way.passed) < 2 or "v2" in request.headers["Content-Type"]:
            return None
        trouble = self._left.pop(0)
        self.happened.append(trouble)
        answer: web.StreamResponse = await getattr(self, f"_{trouble}")(request, body)
        return answer

    async def _dies_before(self, _request: web.Request, _body: bytes) -> web.StreamResponse:
        await self._end(signal.SIGKILL)
        return web.Response(status=503)

    async def _dies_after(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Between the receiver's 2xx and the deletion in the queue."""
        answer = await self._way.on(request, body)
        await self._end(signal.SIGKILL)
        return answer

    async def _broken_off(self, request: web.Request, body: bytes) -> web.StreamResponse:
        await self._way.on(request, body)
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def _hangs(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """It has it, and answers later than the agent waits."""
        await self._way.on(request, body)
        await asyncio.sleep(1.5)
        return web.Response(status=204)

    async def _says_500(self, _request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=500)

    async def _says_429(self, _request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "1"})
