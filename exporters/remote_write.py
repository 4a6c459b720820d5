"""Prometheus remote write: what /metrics shows, sent to a receiver from a queue in the ledger."""

from agent.clock import Clock
from agent.ledger import LedgerWriter
from agent.ledger.outbox import Outgoing
from agent.remote_settings import RemoteWriteSettings
from agent.snapshot import Snapshot


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

    def take(self, snapshot: Snapshot) -> list[Outgoing]:
        """Return what of a snapshot is to be queued: nothing between two intervals."""
        del snapshot
        return []

    def use(self, settings: RemoteWriteSettings) -> None:
        """Go on with new settings; the queue stays."""
        self._settings = settings

    def start(self) -> None:
        """Begin to send, in a task of its own."""

    async def stop(self) -> None:
        """Stop sending; what waits stays in the queue."""
