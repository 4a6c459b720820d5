"""The running agent: a tick on a monotonic grid, its signals, and systemd."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from agent import host as this_host
from agent.app import App
from agent.clock import Clock, SystemClock
from agent.collector import Found
from agent.ledger import LedgerWriter
from agent.ledger.sealing import Sealing
from agent.notify import Notifier
from agent.settings import Settings
from agent.settings_error import SettingsError
from agent.sockets import ListenError, Sockets, passed_by_systemd, shown_address
from agent.trace import Recorder
from exporters.http import HttpServer
from exporters.prometheus import PrometheusPages
from exporters.remote_write import RemoteWriter
from exporters.web_access import Access

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

    Raises `LedgerError`, `ListenError`, `SettingsError` or OSError where only a person can help.
    """
    clock = SystemClock()
    recorder = Recorder(record.open("xb")) if record else None
    ledger = LedgerWriter(
        Path(settings.agent.state_dir),
        clock,
        flush_seconds=settings.ledger.flush_seconds,
        minute_days=settings.ledger.minute_days,
        hour_days=settings.ledger.hour_days,
        spare=_spare(settings),
        sealing=_sealing(settings),
    )
    app = App(settings, found, clock, ledger=ledger, record=recorder.record if recorder else None)
    health = _Health(app, clock)
    version = this_host.build_info().version
    pages = PrometheusPages(app.snapshot)
    sender = RemoteWriter(settings.remote_write, ledger, clock, socket.gethostname())
    app.outgoing, app.sending = sender.take, sender.view
    access = Access()
    server = HttpServer(
        pages, healthy=health.healthy, ready=health.ready, version=version, access=access
    )
    notifier = Notifier(dict(os.environ))
    sockets = Sockets(notifier, passed_by_systemd(os.environ))
    try:
        access.use(_web_config(settings))
        app.start()
        shown = await _listen(server, sockets, app, settings)
    except BaseException:
        if recorder is not None:
            recorder.discard()  # nothing is in it, and it would be in the way of the next try
        raise
    scheme = "https" if access.tls else "http"
    log.info("started", version=version, metrics=f"{scheme}://{shown}/metrics", pid=os.getpid())
    _say_what_is_broken(found)
    stop = asyncio.Event()
    hangup = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)

    async def use(new: Settings) -> None:
        access.use(_web_config(new))
        app.reload(new)
        sender.use(new.remote_write)
        await _move(server, sockets, new)

    sender.start()
    try:
        await _loop(app, clock, pages, notifier, stop, hangup, reload, use, recorder)
    finally:
        notifier.tell(STOPPING="1")
        # who is connected is answered while the rest ends
        server.drain(last=not notifier.is_there)
        await sender.stop()
        await app.stop()
        await server.stop()
        sockets.close()
        if recorder is not None:
            recorder.close()
        log.info("stopped")


def _sealing(settings: Settings) -> Sealing:
    """Return with which key the ledger's hours are sealed, and what is said of this host."""
    state_dir, own = Path(settings.agent.state_dir), settings.ledger.signing_key_file
    build = this_host.build_info()
    about = {"host": socket.gethostname(), "agent": f"{build.version} {build.revision}"}
    key_file = Path(own) if own else state_dir / "host.key"
    return Sealing(
        key_file if settings.ledger.sign else None, state_dir / "host.pub", not own, about
    )


def _spare(settings: Settings) -> Path | None:
    """Return where agent/ledger/spare.py keeps what is shown: in memory, beside the socket."""
    socket_path = settings.agent.work_socket
    return Path(socket_path).with_suffix(".state") if socket_path else None


def _web_config(settings: Settings) -> Path | None:
    path = settings.agent.web_config
    return Path(path) if path else None


async def _listen(server: HttpServer, sockets: Sockets, app: App, settings: Settings) -> str:
    """Listen where the settings say; return the address, with the port picked for port 0."""
    try:
        listening = await sockets.open(*settings.listen)
        server.start(listening)
    except BaseException:
        sockets.close()
        await app.stop()
        raise
    sockets.keep(listening)
    return shown_address(*listening[0].getsockname()[:2])


async def _move(server: HttpServer, sockets: Sockets, settings: Settings) -> None:
    """Listen where new settings say; where that cannot be, stay."""
    try:
        listening = await sockets.open(*settings.listen)
    except ListenError as error:
        log.error("address_kept", why=str(error))
        return
    if server.listen(listening):
        log.info("listening", address=shown_address(*listening[0].getsockname()[:2]))
    sockets.keep(listening)


async def _loop(
    app: App,
    clock: Clock,
    pages: PrometheusPages,
    notifier: Notifier,
    stop: asyncio.Event,
    hangup: asyncio.Event,
    reload: Callable[[], Settings],
    use: Callable[[Settings], Awaitable[None]],
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
            await _reload(clock, notifier, reload, use)
        due += interval
        await asyncio.wait([stopping], timeout=max(0.0, due - clock.monotonic()))
    stopping.cancel()


async def _reload(
    clock: Clock,
    notifier: Notifier,
    reload: Callable[[], Settings],
    use: Callable[[Settings], Awaitable[None]],
) -> None:
    notifier.tell(RELOADING="1", MONOTONIC_USEC=str(int(clock.monotonic() * 1e6)))
    try:
        await use(reload())
    except SettingsError as error:
        log.error("settings_kept", why=str(error))
    else:
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
