"""Prometheus remote write: what /metrics shows, sent to a receiver from a queue in the ledger.

While `url` is "" nothing is loaded and nothing is queued.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from agent.clock import Clock
from agent.ledger import LedgerWriter
from agent.ledger.outbox import Outgoing
from agent.remote_settings import RemoteWriteSettings
from agent.snapshot import RemoteView, Snapshot

if TYPE_CHECKING:
    from exporters.remote_sender import Sender
    from exporters.remote_series import Series

JOB: Final = "wattlas"
STOP_SECONDS: Final = 2.0
"""How long a request that is under way may hold up the end."""


class RemoteWriter:
    """Queues the newest snapshot every interval, and sends what waits."""

    def __init__(
        self, settings: RemoteWriteSettings, ledger: LedgerWriter, clock: Clock, host: str
    ) -> None:
        """Keep what is needed; no I/O. `host`: the label instance unless the settings name one."""
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._host = host
        self._series: Series | None = None
        self._sender: Sender | None = None
        self._task: asyncio.Task[None] | None = None
        self._help_of: dict[bytes, str] = {}
        self._started = False
        self._due: float | None = None
        self._taken_ms: int | None = None

    def take(self, snapshot: Snapshot) -> list[Outgoing]:
        """Return what of a snapshot is to be queued: nothing between two intervals."""
        settings = self._settings
        if not settings.url:
            return []
        now, at_ms = self._clock.monotonic(), round(snapshot.wall * 1000)
        interval = settings.interval_seconds
        # ticks come a little early or late; what is nearly due is taken now, not a tick later
        slack = min(0.5, interval / 10)
        if at_ms == self._taken_ms or (self._due is not None and now < self._due - slack):
            return []
        due = now if self._due is None else self._due
        self._due = max(due + interval, now + interval / 2)  # on a grid, without a burst
        self._taken_ms = at_ms
        if self._series is None:
            from exporters.remote_series import Series  # noqa: PLC0415 - only where it is used

            own = {"job": JOB, "instance": self._host}
            self._series = Series(own | settings.labels, self._help_of)
        reading = self._series.outgoing(snapshot, at_ms)
        if self._sender is not None:
            self._sender.news.set()
        return [reading]

    def view(self) -> RemoteView | None:
        """Return how it is doing; None where nothing is sent."""
        return self._sender.view() if self._sender is not None else None

    def use(self, settings: RemoteWriteSettings) -> None:
        """Go on with new settings; the queue stays, and goes to the new address."""
        if settings == self._settings:
            return
        self._settings = settings
        self._series = self._due = None
        if self._started:
            self._end()
            self._begin()

    def start(self) -> None:
        """Begin to send, in a task of its own."""
        self._started = True
        self._begin()

    async def stop(self) -> None:
        """Stop sending; what waits stays in the queue."""
        self._started = False
        self._end()
        if self._task is not None:
            await asyncio.wait([self._task])
            self._task = None

    def _begin(self) -> None:
        if not self._settings.url:
            return
        from exporters.remote_sender import Sender  # noqa: PLC0415 - as above

        self._sender = Sender(self._settings, self._ledger, self._clock, self._help_of)
        life = _life(self._sender, self._task)
        self._task = asyncio.get_running_loop().create_task(life, name="remote write")

    def _end(self) -> None:
        """Let the sender end, soon; the task does so later."""
        sender, self._sender = self._sender, None
        if sender is not None and self._task is not None:
            sender.stop()
            asyncio.get_running_loop().call_later(STOP_SECONDS, self._task.cancel)


async def _life(sender: "Sender", before: asyncio.Task[None] | None) -> None:
    """Send, once the sender before has ended: there is one order."""
    if before is not None:
        await asyncio.wait([before])
    try:
        await sender.run()
    finally:
        await sender.finish()
