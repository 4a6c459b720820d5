"""The running agent: a tick on a monotonic grid, its signals, and systemd."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from agent import host as this_host
from agent.app import App
from agent.clock import Clock, SystemClock
from agent.collector import Found
from agent.ledger import LedgerWriter
from agent.notify import Notifier
from agent.settings import Settings
from agent.settings_error import SettingsError
from agent.trace import Recorder
from exporters.http import HttpServer
from exporters.prometheus import PrometheusPages
from exporters.remote_write import RemoteWriter

SILENT_TICKS: Final = 5
"""This many intervals without a tick and the agent calls itself unhealthy."""

log = structlog.get_logger()


async def run(
    settings: Settings,
    found: Found,
    reload: Callable[[], Settings],
    record: Path | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; reload settings on SIGHUP.

    Raises `LedgerError`, `ListenError` or OSError where only a person can help.
    """
    clock = SystemClock()
    recorder = Recorder(record.open("xb")) if record else None
    ledger = LedgerWriter(
        Path(settings.agent.state_dir),
        clock,
        flush_seconds=settings.ledger.flush_seconds,
        minute_days=settings.ledger.minute_days,
        hour_days=settings.ledger.hour_days,
    )
    app = App(settings, found, clock, ledger=ledger, record=recorder.record if recorder else None)
    health = _Health(app, clock)
    version = this_host.build_info().version
    pages = PrometheusPages(app.snapshot)
    sender = RemoteWriter(settings.remote_write, ledger, clock, socket.gethostname())
    app.outgoing = sender.take
    server = HttpServer(pages, healthy=health.healthy, ready=health.ready, version=version)
    try:
        app.start()
        host, port = await _listen(server, app, settings)
    except BaseException:
        if recorder is not None:
            recorder.discard()  # nothing is in it, and it would be in the way of the next try
        raise
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    log.info("started", version=version, metrics=f"http://{shown}/metrics", pid=os.getpid())
    _say_what_is_broken(found)
    stop = asyncio.Event()
    hangup = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    notifier = Notifier(dict(os.environ))

    def use(new: Settings) -> None:
        app.reload(new)
        sender.use(new.remote_write)

    sender.start()
    try:
        await _loop(app, clock, pages, notifier, stop, hangup, reload, use, recorder)
    finally:
        notifier.tell(STOPPING="1")
        await server.stop()
        await sender.stop()
        await app.stop()
        if recorder is not None:
            recorder.close()
        log.info("stopped")


async def _listen(server: HttpServer, app: App, settings: Settings) -> tuple[str, int]:
    try:
        return await server.start(*settings.listen)
    except BaseException:
        await app.stop()
        raise


async def _loop(
    app: App,
    clock: Clock,
    pages: PrometheusPages,
    notifier: Notifier,
    stop: asyncio.Event,
    hangup: asyncio.Event,
    reload: Callable[[], Settings],
    use: Callable[[Settings], None],
    recorder: Recorder | None,
) -> None:
    due: float = clock.monotonic()
    ready = False
    stopping = asyncio.ensure_future(stop.wait())
    upcoming = due
    app.published = lambda: pages.prepare(upcoming)
    while not stop.is_set():
        interval = app.interval_seconds
        now: float = clock.monotonic()
        skipped = int(max(0.0, now - due) // interval)
        due += skipped * interval
        upcoming = due + interval
        await app.tick(late=max(0.0, now - due), skipped=skipped)
        if recorder is not None:
            recorder.flush()
        if not ready:
            ready = True
            notifier.tell(READY="1", STATUS="measuring")
            gc.collect()
            gc.freeze()  # what is there now stays: no collection need look at it again
        notifier.alive(clock.monotonic())
        if hangup.is_set():
            hangup.clear()
            _reload(clock, notifier, reload, use)
        due += interval
        await asyncio.wait([stopping], timeout=max(0.0, due - clock.monotonic()))
    stopping.cancel()


def _reload(
    clock: Clock,
    notifier: Notifier,
    reload: Callable[[], Settings],
    use: Callable[[Settings], None],
) -> None:
    notifier.tell(RELOADING="1", MONOTONIC_USEC=str(int(clock.monotonic() * 1e6)))
    try:
        settings = reload()
    except SettingsError as error:
        log.error("settings_kept", why=str(error))
    else:
        use(settings)
        log.info("settings_reloaded")
    notifier.tell(READY="1")


def _say_what_is_broken(found: Found) -> None:
    for name, why in found.broken.items():
        log.error("collector_left_out", collector=name, why=why)


class _Health:
    """What /healthz and /readyz say."""

    def __init__(self, app: App, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    def healthy(self) -> str:
        """Return "" while ticks come, else why not."""
        ticked_at = self._app.ticked_at
        if ticked_at is None:
            return ""
        silent = self._clock.monotonic() - ticked_at
        if silent > SILENT_TICKS * self._app.interval_seconds + 5:
            return f"no tick for {silent:.0f} s"
        return ""

    def ready(self) -> str:
        """Return "" after the first tick."""
        return "" if self._app.ticked_at is not None else "the first reading is under way"


def run_blocking(
    settings: Settings, found: Found, reload: Callable[[], Settings], record: Path | None
) -> None:
    """Run in an event loop of its own."""
    sys.setswitchinterval(0.002)  # a worker that computes must not make the next tick late
    asyncio.run(run(settings, found, reload, record))
