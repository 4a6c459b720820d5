"""A receiver of remote write on loopback that behaves by script, and an agent's queue before it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from structlog.testing import capture_logs
from unit.collectors.trees import Clock
from unit.exporters.made import snapshot
from unit.exporters.remote_messages import Series, read
from unit.ledger.rig import rows

from agent.ledger import LedgerWriter
from agent.ledger.batch import Batch
from agent.quantities import Quality
from agent.remote_settings import RemoteWriteSettings
from agent.snapshot import HostPower, Snapshot
from exporters.remote_write import RemoteWriter

WAIT_SECONDS = 60.0
V2_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
Rows = dict[Series, list[tuple[int, float]]]
Answerer = Callable[["Asked"], Awaitable[web.StreamResponse]]


class Asked:
    """One request."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.request = request
        self.headers = request.headers
        self.rows = read(body, request.headers["Content-Type"])
        self.count = sum(len(points) for points in self.rows.values())
        self.is_v2 = request.headers["Content-Type"] == V2_TYPE

    @property
    def times(self) -> list[int]:
        """Unix ms of its samples, each once."""
        return sorted({at for points in self.rows.values() for at, _ in points})


def written(
    asked: Asked, count: int | None = None, status: int = 204, text: str = ""
) -> web.Response:
    """Answer as a receiver of 2.0 does."""
    headers = {
        "X-Prometheus-Remote-Write-Samples-Written": str(asked.count if count is None else count)
    }
    return web.Response(status=status, headers=headers, text=text or None)


def together(moments: int, answerer: Answerer) -> Answerer:
    """Say 429 until so many moments come in one request, and then do as `answerer` does."""

    async def answer(asked: Asked) -> web.StreamResponse:
        if len(asked.times) >= moments:
            return await answerer(asked)
        receiver = asked.request.app[RECEIVER]
        receiver.script.insert(0, answer)
        return web.Response(status=429)

    return answer


class Receiver:
    """Answers 204 (to 2.0 with what it has written) unless its script says otherwise."""

    def __init__(self, *script: int | web.Response | Answerer, version: str = "2.0") -> None:
        self.script = list(script)
        self.version = version
        self.asked: list[Asked] = []
        self.taken: list[Asked] = []
        """Requests that were answered with success, or that a script has put here."""
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def _write(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request, await request.read())
        self.asked.append(asked)
        what = self.script.pop(0) if self.script else 204
        if callable(what):
            return await what(asked)
        if isinstance(what, web.Response):
            return what
        if what >= 300:
            return web.Response(status=what, text=f"script says {what}")
        return self.take(asked)

    def take(self, asked: Asked) -> web.Response:
        """Take it and say so."""
        if asked.is_v2 and self.version == "1.0":
            return web.Response(status=415)
        self.taken.append(asked)
        return written(asked) if asked.is_v2 else web.Response(status=204)

    def samples(self) -> dict[Series, list[tuple[int, float]]]:
        """All that was taken, in the order in which it came."""
        found: Rows = {}
        for asked in self.taken:
            for series, points in asked.rows.items():
                found.setdefault(series, []).extend(points)
        return found

    async def __aenter__(self) -> Self:
        app = web.Application()
        app[RECEIVER] = self
        app.router.add_post("/api/v1/push", self._write)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/v1/push"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


RECEIVER = web.AppKey("receiver", Receiver)


def joules(amount: float, **changes: Any) -> Snapshot:
    """Return a small snapshot with an energy."""
    few: dict[str, Any] = {
        "streams": [],
        "host_joules": {Quality.MEASURED: amount},
        "host_power": HostPower({}, None),
        "utilization": [],
        "resets": {},
        "collectors": [],
        "ledger": None,
        "cross_checks": {},
        "accelerators": [],
        "peaks": {},
        "flops": [],
        "parts": [],
        "work": [],
    }
    return snapshot(**(few | changes))


class Life:
    """What an agent's life is for remote write: ticks, a ledger and a sender."""

    def __init__(
        self, directory: Path, url: str, clock: Clock | None = None, **settings: Any
    ) -> None:
        self.clock = clock or Clock()
        self._dir = directory
        usual: dict[str, Any] = {"url": url, "interval_seconds": 15.0, "timeout_seconds": 10.0}
        self.settings = RemoteWriteSettings(**(usual | settings))
        self.ledger = LedgerWriter(
            directory, self.clock, flush_seconds=10.0, minute_days=7.0, hour_days=400.0
        )
        self.writer = RemoteWriter(self.settings, self.ledger, self.clock, "node-7")
        self.queued: list[tuple[int, float]] = []
        """Time and the host's energy of what was given to the queue."""

    async def tick(self, seconds: float = 15.0, **changes: Any) -> None:
        """Let time pass and submit a snapshot."""
        self.clock.now += seconds
        wall = self.clock.wall()
        await self.submit(joules(self.clock.now * 100.0, wall=wall, **changes))

    async def submit(self, shown: Snapshot | None) -> None:
        """Submit a snapshot; None: only a state, as between two intervals."""
        outgoing = self.writer.take(shown) if shown is not None else []
        for moment in outgoing:
            self.queued.append((moment.at_ms, self.clock.now * 100.0))
        self.ledger.submit([], b"state", Batch(outgoing=outgoing))
        task = self.ledger._task
        if task is not None:
            await asyncio.wait([task])

    async def until(self, what: str, condition: Callable[[], Any]) -> None:
        """Let writes pass, without new samples, until something holds."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < end, f"{what}: not within {WAIT_SECONDS:g} s"
            await self.submit(None)
            await asyncio.sleep(0.005)

    async def sent(self) -> None:
        """Wait until nothing waits, in memory or in the ledger."""

        def nothing() -> bool:
            if self.ledger.status().unsaved:
                return False
            left = rows(self._dir / "ledger.db", "SELECT count(*) FROM outbox WHERE sent = 0")
            return left == [(0,)] and self.view.queue_samples == 0

        await self.until("all is sent", nothing)

    @property
    def view(self) -> Any:
        """How it is doing."""
        view = self.writer.view()
        return view if view is not None else _UNKNOWN

    async def __aenter__(self) -> Self:
        self.ledger.open()
        self.writer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.writer.stop()
        await self.ledger.close()


class _Unknown:
    queue_samples = -1
    up = None


_UNKNOWN = _Unknown()
ENERGY: Series = (
    ("__name__", "wattlas_host_energy_joules_total"),
    ("instance", "node-7"),
    ("job", "wattlas"),
    ("quality", "measured"),
)


def energies(receiver: Receiver) -> Sequence[tuple[int, float]]:
    """Return what the receiver has of the host's energy, as it came."""
    return receiver.samples().get(ENERGY, [])


Scenario = Callable[[Life], Awaitable[None]]


def play(receiver: Receiver, scenario: Scenario, directory: Path, **settings: Any) -> list[Any]:
    """Run a scenario with an agent that sends to a receiver; return what was logged."""

    async def run() -> None:
        async with receiver, Life(directory, receiver.url, **settings) as life:
            await scenario(life)

    with capture_logs() as logs:
        asyncio.run(run())
    return [line for line in logs if line["event"].startswith("remote_write")]


async def three(life: Life) -> None:
    """Send three moments, each by itself."""
    for _ in range(3):
        await life.tick()
        await life.sent()
    assert [at for at, _ in life.queued] == [1_700_001_015_000 + n * 15_000 for n in range(3)]
