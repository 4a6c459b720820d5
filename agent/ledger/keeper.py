"""The open ledger as the writer's thread has it: commits, flushes, checks, prunes, begins anew.

Everything here blocks. Its one caller at a time is the writer's thread, or whoever has no event
loop: starting, replays.
"""

from pathlib import Path

import structlog

from agent.clock import Clock
from agent.ledger.batch import Batch
from agent.ledger.errors import Corrupt, Full, LedgerError
from agent.ledger.opening import set_aside
from agent.ledger.sealing import Sealer, Sealing
from agent.ledger.store import FILE_NAME, Gone, Ledger, Loaded
from agent.meter import StreamIdentity
from agent.quantities import Seconds

CHECK_AFTER_SECONDS = 60.0
"""The whole file is checked this long after the start, when starting is over."""
PRUNE_SECONDS = 3600.0

log = structlog.get_logger()


class Keeper:
    """One ledger, from its opening to its closing, over every failure of its file."""

    def __init__(
        self,
        state_dir: Path,
        clock: Clock,
        *,
        flush_seconds: float,
        retention_days: tuple[float, float],
        sealing: Sealing | None = None,
    ) -> None:
        """Open nothing yet. `retention_days`: of minutes and of hours."""
        self.path = state_dir / FILE_NAME
        self.sealer = Sealer(sealing or Sealing())
        self.ledger: Ledger | None = None
        self.size_bytes = 0
        self.set_asides = 0
        """How often a corrupt file was put aside."""
        self._dir = state_dir
        self._clock = clock
        self._flush_seconds = flush_seconds
        self._retention = retention_days
        self._known = 0
        """How many of the streams the file has."""
        now = clock.monotonic()
        self._started, self._start_wall = now, clock.wall()
        self._flushed = self._pruned = now
        self._checked = False

    def open(self) -> Loaded:
        """Open the file and return what a restart must know. Raises `LedgerError`."""
        ledger, identities, state = Ledger.open_loaded(self._dir)
        self.ledger, self._known = ledger, len(identities)
        self.sealer.begin(ledger)
        self.size_bytes = ledger.size_bytes()
        return identities, state

    def begin_anew(self, error: Corrupt) -> Loaded:
        """Set the file aside and open a new one. Raises `LedgerError`."""
        self._set_aside(error)
        return self.open()

    def write(
        self, identities: list[StreamIdentity], state: bytes, batch: Batch
    ) -> LedgerError | None:
        """Commit one batch; flush, check and prune when it is time.

        Returns why the latter failed: the batch is committed then, and must not come back. Raises
        `LedgerError` where it is not.
        """
        try:
            ledger = self.ledger or self._reopen(identities)
            new = list(enumerate(identities))[self._known :]
            try:
                ledger.commit(new, state, batch)
            except Full:
                ledger.make_room()
                ledger.commit(new, state, batch)
        except Corrupt as error:
            self._set_aside(error)
            self._reopen(identities).commit(list(enumerate(identities)), state, batch)
        self._known = len(identities)
        try:
            try:
                self._maintain(self._clock.monotonic())
            except Corrupt as error:
                self._set_aside(error)
                self._reopen(identities).commit(list(enumerate(identities)), state, Batch())
            except Gone as error:
                log.error("ledger_gone", why=str(error))
                self.let_go()
                ledger = self._reopen(identities)
                ledger.commit(list(enumerate(identities))[self._known :], state, Batch())
            self._known = len(identities)
        except LedgerError as error:
            return error
        return None

    def flush_next(self) -> None:
        """Have the next write flush, however short ago the last one did."""
        self._flushed = Seconds(float("-inf"))

    def close(self, *, flush: bool = False) -> None:
        """Close the file and end its sealing. Raises `LedgerError`."""
        if self.ledger is None:
            return
        try:
            if flush:
                self.ledger.flush()
        finally:
            self.sealer.stop()
            self.ledger.close()

    def let_go(self) -> None:
        """Close the file as it is."""
        ledger, self.ledger = self.ledger, None
        if ledger is not None:
            ledger.close(clean=False)

    # -- inside -------------------------------------------------------------------------------

    def _maintain(self, now: float) -> None:
        """Flush, check and prune, each when its time has come."""
        ledger = self.ledger
        assert ledger is not None
        if now - self._flushed >= self._flush_seconds:
            ledger.flush()
            self._flushed = Seconds(now)
            self.size_bytes = ledger.size_bytes()
        if not self._checked and now - self._started > CHECK_AFTER_SECONDS:
            ledger.check()
            self._checked = True
        elif now - self._pruned > PRUNE_SECONDS:
            self._prune(ledger, now)
            self._pruned = Seconds(now)
        self.sealer.step(ledger, now, self._clock.wall())

    def _reopen(self, identities: list[StreamIdentity]) -> Ledger:
        """Open the file again after it failed; its streams must be the ones the agent knows."""
        ledger, known, _ = Ledger.open_loaded(self._dir)
        if known != identities[: len(known)]:
            # it could not be read at the start, so counting began anew: keep both
            aside = ledger.set_aside(self._clock.wall())
            log.warning("ledger_set_aside", path=str(aside), why="it was unreadable at the start")
            ledger, known, _ = Ledger.open_loaded(self._dir)
        self.ledger, self._known = ledger, len(known)
        return ledger

    def _prune(self, ledger: Ledger, now: float) -> None:
        wall = self._clock.wall()
        if abs((wall - self._start_wall) - (now - self._started)) > PRUNE_SECONDS:
            # the clock was set: until it is plain which one was wrong, delete nothing
            self._started, self._start_wall = Seconds(now), wall
            return
        ledger.prune(wall, *self._retention)

    def _set_aside(self, error: Corrupt) -> None:
        self.set_asides += 1
        ledger, self.ledger, self._known = self.ledger, None, 0
        wall = self._clock.wall()
        aside = ledger.set_aside(wall) if ledger else set_aside(self.path, wall)
        log.error("ledger_corrupt", why=str(error), set_aside_as=str(aside))
