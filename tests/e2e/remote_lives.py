"""An agent on virtual time that sends by remote write, real receivers, and a way between them."""

import asyncio
import json
import math
import struct
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import ClientSession, web
from e2e.truth_lives import find_collectors
from engines.prometheus import Prometheus
from engines.victoria import VictoriaMetrics
from hardware import VirtualClock, xeon_2s
from hardware.site.processes import free_port
from unit.exporters.remote_messages import Series, read

from agent import logs
from agent.app import App
from agent.ledger import Ledger, LedgerWriter
from agent.ledger.outbox import Outgoing
from agent.ledger.saved import AgentState
from agent.remote_settings import RemoteWriteSettings
from agent.settings import load
from agent.snapshot import Snapshot
from exporters.remote_encoding import labels_of
from exporters.remote_write import RemoteWriter

WAIT_SECONDS = 60.0
Samples = dict[Series, list[tuple[int, float]]]
"""Unix ms and value, by sorted labels, the metric's name among them."""
SETTINGS = """\
[agent]
state_dir = "{directory}/state"
work_socket = ""
interval_seconds = {seconds}

[paths]
procfs = "{directory}/machine/proc"
sysfs = "{directory}/machine/sys"

[ledger]
flush_seconds = 3600.0

[carbon]
providers = ["static"]

[collectors]
dcgm.enabled = false
grid.enabled = false
"""


def receiver(directory: Path, config: str = "global: {}\n") -> Prometheus:
    """Return a Prometheus that takes remote write; not started."""
    return Prometheus(directory, config, "--web.enable-remote-write-receiver")


class Way:
    """What is between the agent and its receivers: it passes on to all of them, or is cut.

    Answers with what the first says that does not say 2xx, else with what the first says.
    """

    def __init__(self, *receivers: str) -> None:
        self.receivers = receivers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1/write"
        self.passed: list[tuple[int, Samples]] = []
        """Status and samples of each request that the receivers had."""
        self.instead: Callable[[web.Request, bytes], Any] | None = None
        """Does something else than to pass on."""
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None

    async def open(self) -> None:
        """Let the agent through."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/api/v1/write", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self._session = ClientSession()

    async def cut(self) -> None:
        """Let nobody through: connections are refused."""
        if self._runner is not None and self._session is not None:
            await self._runner.cleanup()
            await self._session.close()
        self._runner = self._session = None

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.instead is not None:
            answer = await self.instead(request, body)
            if answer is not None:
                return answer
        return await self.on(request, body)

    async def on(self, request: web.Request, body: bytes) -> web.Response:
        """Pass a request on."""
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k not in {"Host", "Content-Length"}}
        answers = []
        for url in self.receivers:
            async with self._session.post(url, data=body, headers=headers) as answer:
                answers.append((answer.status, dict(answer.headers), await answer.text()))
        status, said, text = next((a for a in answers if a[0] >= 300), answers[0])
        self.passed.append((status, read(body, request.headers["Content-Type"])))
        kept = {k: v for k, v in said.items() if k.startswith("X-Prometheus")}
        return web.Response(status=status, text=text or None, headers=kept)


class Life:
    """The real agent on a simulated server with two sockets, and its remote write."""

    def __init__(self, directory: Path, url: str, seconds: float, **settings: Any) -> None:
        logs.configure("critical")
        self.directory, self.seconds = directory, seconds
        self.remote = RemoteWriteSettings(url=url, interval_seconds=seconds, **settings)
        self.clock = VirtualClock(directory / "clock")
        self.machine = xeon_2s(directory / "machine", None, self.clock)
        path = directory / "wattlas.toml"
        path.write_text(SETTINGS.format(directory=directory, seconds=seconds))
        self._settings = load(path, {n: c.Settings for n, c in find_collectors().classes.items()})
        self.queued: Samples = {}
        """All that was given to the queue and the ledger has taken."""
        self._points: dict[bytes, list[tuple[int, float]]] = {}
        self.moments: list[int] = []
        self.checked = 0
        self.begin()

    def begin(self) -> None:
        """Start the agent."""
        ledger = self._settings.ledger
        self.ledger = LedgerWriter(
            self.directory / "state",
            self.clock,
            flush_seconds=ledger.flush_seconds,
            minute_days=ledger.minute_days,
            hour_days=ledger.hour_days,
        )
        self.app = App(
            self._settings, find_collectors(), self.clock, ledger=self.ledger, grace_seconds=None
        )
        self.writer = RemoteWriter(self.remote, self.ledger, self.clock, "node-7")
        self.app.outgoing, self.app.sending = self._take, self.writer.view
        self.app.start()
        self.writer.start()

    async def end(self) -> None:
        """Stop it."""
        await self.writer.stop()
        await self.app.stop()

    def _take(self, shown: Snapshot) -> list[Outgoing]:
        outgoing = self.writer.take(shown)
        for moment in outgoing:
            assert not self.moments or moment.at_ms > self.moments[-1]
            self.moments.append(moment.at_ms)
            for kept, value in zip(moment.series, moment.values, strict=True):
                points = self._points.get(kept)
                if points is None:
                    labels = tuple((k.decode(), v.decode()) for k, v in labels_of(kept))
                    points = self._points[kept] = self.queued.setdefault(labels, [])
                points.append((moment.at_ms, value))
        return outgoing

    async def run(self, until: float) -> None:
        """Let time pass, a tick and a sample every interval."""
        while self.clock.now < until:
            self.machine.write(self.clock.now + self.seconds, proc=True)
            await self.tick()

    async def tick(self) -> None:
        """Tick, and let the sender do what it can at once."""
        await self.app.tick()
        task = self.ledger._task
        if task is not None:
            await asyncio.wait([task])
        await asyncio.sleep(0)

    async def sent(self) -> None:
        """Tick without letting time pass until nothing waits."""
        end, before = time.monotonic() + WAIT_SECONDS, -1
        while True:
            await self.tick()
            view = self.writer.view()
            if view is not None and view.queue_samples == 0:
                return
            if view is not None and view.samples > before:
                end, before = time.monotonic() + WAIT_SECONDS, view.samples
            assert time.monotonic() < end, view
            await asyncio.sleep(0.002)

    def compare_with_the_ledger(self) -> None:
        """What was queued last is what the state says that the ledger has."""
        identities, body = Ledger.peek(self.directory / "state")
        state = msgspec.msgpack.decode(body or b"", type=AgentState)
        assert abs(round(state.meter.wall * 1000) - self.moments[-1]) <= 2
        for identity, stream in zip(identities, state.meter.streams, strict=True):
            labels = {
                "__name__": "wattlas_component_energy_joules_total",
                "component": identity.component.value,
                "device": identity.device,
                "instance": "node-7",
                "job": "wattlas",
                "quality": identity.quality.value,
                "source": identity.source,
            }
            points = self.queued.get(tuple(sorted(labels.items())))
            if points is not None and points[-1][0] == self.moments[-1]:
                assert points[-1][1] == stream.joules
                self.checked += 1


def of_prometheus(prometheus: Prometheus, start: float, end: float) -> Samples:
    """Return the raw samples of all our series: a range selector gives them as they are."""
    found: Samples = {}
    data = prometheus.get(
        "query", query=f'{{job="wattlas"}}[{math.ceil(end - start)}s]', time=f"{end:.3f}"
    )
    for row in data["result"]:
        points = [(round(t * 1000), float(v)) for t, v in row["values"]]
        found[tuple(sorted(row["metric"].items()))] = points
    return found


def of_victoria(victoria: VictoriaMetrics) -> Samples:
    """Return the raw samples of all our series; staleness markers are left out."""
    with urllib.request.urlopen(f"{victoria.url}/internal/force_flush", timeout=WAIT_SECONDS):
        pass
    query = urllib.parse.urlencode({"match[]": '{job="wattlas"}'})
    found: Samples = {}
    with urllib.request.urlopen(f"{victoria.url}/api/v1/export?{query}", timeout=WAIT_SECONDS) as a:
        for line in a:
            row = json.loads(line)
            points = zip(row["timestamps"], row["values"], strict=True)
            labels = tuple(sorted(row["metric"].items()))
            found.setdefault(labels, []).extend((t, float(v)) for t, v in points if v is not None)
    return found


def is_stale(value: float) -> bool:
    """Tell a staleness marker."""
    return struct.pack("<d", value) == b"\x02\0\0\0\0\0\xf0\x7f"


class Engines:
    """A Prometheus and a VictoriaMetrics that take what comes."""

    def __init__(self, directory: Path) -> None:
        self.prometheus = receiver(directory / "prometheus")
        self.victoria = VictoriaMetrics(directory / "victoria")

    @property
    def urls(self) -> list[str]:
        """Where they take it."""
        return [f"{self.prometheus.url}/api/v1/write", f"{self.victoria.url}/api/v1/write"]

    def __enter__(self) -> Self:
        self.victoria.__enter__()
        self.prometheus.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.prometheus.__exit__(None, None, None)
        self.victoria.__exit__(None, None, None)
