"""Keeps the ledger up to date from the event loop, and goes on when the disk does not.

Nothing here blocks: the newest state and the postings that are not yet written wait in memory
while one write is under way, however long the disk takes.
"""

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from agent.clock import Clock
from agent.ledger.store import FILE_NAME, Corrupt, Ledger, LedgerError
from agent.meter import Posting, StreamIdentity
from agent.quantities import Seconds
from agent.worker import Busy, Worker

RETRY_SECONDS = 5.0
CHECK_AFTER_SECONDS = 60.0
"""The whole file is checked this long after the start, when starting is over."""
PRUNE_SECONDS = 3600.0
MAX_UNSAVED = 50_000
"""Postings kept while the disk fails; beyond, minutes are folded into their hour."""

log = structlog.get_logger()


class LedgerStatus(msgspec.Struct, frozen=True):
    """How the ledger is doing."""

    up: bool
    failures: int
    size_bytes: int
    unsaved: int
    why: str


class LedgerWriter:
    """The one who writes one ledger."""

    def __init__(
        self,
        state_dir: Path,
        clock: Clock,
        *,
        flush_seconds: float,
        minute_days: float,
        hour_days: float,
    ) -> None:
        self._dir = state_dir
        self._clock = clock
        self._flush_seconds = flush_seconds
        self._retention = (minute_days, hour_days)
        self._worker = Worker("ledger")
        self._ledger: Ledger | None = None
        self._task: asyncio.Task[None] | None = None
        self._known = 0
        self._identities: list[StreamIdentity] = []
        self._state: bytes | None = None
        self._postings: list[Posting] = []
        self._failures = 0
        self._why = ""
        self._size = 0
        now = clock.monotonic()
        self._started, self._start_wall = now, clock.wall()
        self._flushed = self._pruned = self._failed_at = now
        self._checked = False
        self._unmaintained: LedgerError | None = None

    def open(self) -> tuple[list[StreamIdentity], bytes | None]:
        """Open the ledger and return what a restart must know. Blocking; call once.

        A corrupt ledger is set aside and a new one begun. A disk that is full or read-only is
        reported, and writing is tried again later. Raises `LedgerError` where only a person can
        help: no permission, another agent, a newer version.
        """
        try:
            return self._open()
        except Corrupt as error:
            self._set_aside(error)
            return self._open()
        except LedgerError as error:
            if not _may_pass(error, self._dir):
                raise
            self._fail(error)
        try:
            self._identities, state = Ledger.peek(self._dir)
        except LedgerError:
            return [], None
        self._known = len(self._identities)
        return self._identities, state

    def submit(
        self, identities: list[StreamIdentity], state: bytes, postings: Sequence[Posting]
    ) -> None:
        """Hand over this tick's state and postings; never blocks."""
        self._identities, self._state = identities, state
        self._postings += postings
        if len(self._postings) > MAX_UNSAVED:
            self._postings = fold(self._postings)
        now = self._clock.monotonic()
        if self._why and now - self._failed_at < RETRY_SECONDS:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    def status(self) -> LedgerStatus:
        """Return how it is doing."""
        return LedgerStatus(
            up=not self._why,
            failures=self._failures,
            size_bytes=self._size,
            unsaved=len(self._postings),
            why=self._why,
        )

    async def close(self) -> None:
        """Write what is left, flush and close."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=10.0)
        self._flushed = Seconds(float("-inf"))
        await self._write()
        if self._ledger is not None:
            try:
                await asyncio.wait_for(self._worker.run(self._ledger.close), 10.0)
            except (TimeoutError, Busy):
                log.warning("ledger_close_timed_out", path=str(self._dir))
        self._worker.stop()

    def submit_now(
        self, identities: list[StreamIdentity], state: bytes, postings: Sequence[Posting]
    ) -> None:
        """Write in this thread. For replays, which have no event loop. Raises `LedgerError`."""
        self._identities = identities
        self._work(identities, state, postings)

    def close_now(self) -> None:
        """Close in this thread."""
        if self._ledger is not None:
            self._ledger.flush()
            self._ledger.close()

    # -- inside -------------------------------------------------------------------------------

    def _open(self) -> tuple[list[StreamIdentity], bytes | None]:
        ledger = Ledger.open(self._dir)
        try:
            identities, state = ledger.load()
        except LedgerError:
            ledger.close(clean=False)
            raise
        self._ledger, self._identities, self._known = ledger, identities, len(identities)
        self._size = ledger.size_bytes()
        return identities, state

    def _take_postings(self) -> list[Posting]:
        postings, self._postings = self._postings, []
        return postings

    async def _write(self) -> None:
        if self._state is None:
            return
        identities, state, postings = self._identities, self._state, self._take_postings()
        try:
            await self._worker.run(lambda: self._work(identities, state, postings))
        except Busy:
            self._postings = [*postings, *self._postings]
        except LedgerError as error:
            self._postings = [*postings, *self._postings]
            self._fail(error)
        else:
            if self._unmaintained is not None:
                self._fail(self._unmaintained)
                self._unmaintained = None
                return
            if self._why:
                log.info("ledger_recovered", path=str(self._dir))
            self._why = ""

    def _work(
        self, identities: list[StreamIdentity], state: bytes, postings: Sequence[Posting]
    ) -> None:
        """Write one batch, in the worker thread; flush, check and prune when it is time."""
        try:
            ledger = self._ledger or self._reopen()
            ledger.commit(list(enumerate(identities))[self._known :], state, postings)
        except Corrupt as error:
            self._set_aside(error)
            self._reopen().commit(list(enumerate(identities)), state, postings)
            self._known = len(identities)
            return
        self._known = len(identities)
        try:
            self._maintain(ledger, self._clock.monotonic())
        except Corrupt as error:
            self._set_aside(error)
            self._known = 0
        except LedgerError as error:
            # the postings are committed: this failure must not bring them back
            self._unmaintained = error

    def _maintain(self, ledger: Ledger, now: float) -> None:
        """Flush, check and prune, each when its time has come."""
        if now - self._flushed >= self._flush_seconds:
            self._flushed = Seconds(now)
            ledger.flush()
            self._size = ledger.size_bytes()
        if not self._checked and now - self._started > CHECK_AFTER_SECONDS:
            self._checked = True
            ledger.check()
        elif now - self._pruned > PRUNE_SECONDS:
            self._pruned = Seconds(now)
            self._prune(ledger, now)

    def _reopen(self) -> Ledger:
        """Open the ledger again after it failed; its streams must be the ones we know."""
        ledger = Ledger.open(self._dir)
        known, _ = ledger.load()
        if known != self._identities[: len(known)]:
            # it could not be read at the start, so counting began anew: keep both
            ledger.close()
            aside = Ledger.set_aside(self._dir, now=self._clock.wall())
            log.warning("ledger_set_aside", path=str(aside), why="it was unreadable at the start")
            ledger, known = Ledger.open(self._dir), []
        self._ledger, self._known = ledger, len(known)
        return ledger

    def _prune(self, ledger: Ledger, now: float) -> None:
        wall = self._clock.wall()
        if abs((wall - self._start_wall) - (now - self._started)) > PRUNE_SECONDS:
            # the clock was set: until it is plain which one was wrong, delete nothing
            self._started, self._start_wall = Seconds(now), wall
            return
        ledger.prune(wall, *self._retention)

    def _set_aside(self, error: Corrupt) -> None:
        self._failures += 1
        if self._ledger is not None:
            self._ledger.close(clean=False)
            self._ledger = None
        aside = Ledger.set_aside(self._dir, now=self._clock.wall())
        log.error("ledger_corrupt", why=str(error), set_aside_as=str(aside))

    def _fail(self, error: LedgerError) -> None:
        self._failures += 1
        self._failed_at = self._clock.monotonic()
        if not self._why:
            log.error("ledger_failing", why=str(error))
        self._why = str(error)


def fold(postings: Sequence[Posting]) -> list[Posting]:
    """Add up each hour's minutes in its first minute, so that energy is kept and detail is not."""
    sums: dict[tuple[int, int], list[float]] = {}
    for p in postings:
        row = sums.setdefault((p.minute - p.minute % 60, p.stream), [0.0] * 3)
        row[0] += p.joules
        row[1] += p.seconds
        row[2] += p.gap_seconds
    return [Posting(minute, stream, *row) for (minute, stream), row in sorted(sums.items())]


def _may_pass(error: LedgerError, state_dir: Path) -> bool:
    """Tell a disk that is full or read-only, which may pass, from what only a person can mend."""
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.errno in {errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT}
    if "newer Wattlas" in str(error):
        return False
    if os.statvfs(state_dir).f_flag & os.ST_RDONLY:
        return True
    ledger = state_dir / FILE_NAME
    return os.access(state_dir, os.W_OK) and (not ledger.exists() or os.access(ledger, os.W_OK))
