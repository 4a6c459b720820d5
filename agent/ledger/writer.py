"""Keeps the ledger up to date from the event loop, and goes on when the disk does not.

Nothing here blocks: the newest state and the postings that are not yet written wait in memory
while one write is under way, however long the disk takes.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from agent.clock import Clock
from agent.ledger.batch import Batch
from agent.ledger.errors import Corrupt, Hopeless, LedgerError, explain
from agent.ledger.keeper import Keeper
from agent.ledger.questions import Questions
from agent.ledger.sealing import Sealing
from agent.ledger.spare import Spare
from agent.ledger.store import Ledger, Loaded
from agent.meter import Posting, StreamIdentity
from agent.worker import Busy, Worker

RETRY_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
"""A write that takes longer no longer keeps new figures from being shown."""
CLOSE_SECONDS = 10.0
"""How long a disk that hangs may hold up the end."""
T = TypeVar("T")

log = structlog.get_logger()


def _nothing() -> None:
    """Nobody waits."""


class LedgerStatus(msgspec.Struct, frozen=True):
    """How the ledger is doing."""

    up: bool
    failures: int
    size_bytes: int
    unsaved: int
    why: str
    records: int | None
    """Of the chain; None: not known yet."""


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
        spare: Path | None = None,
        sealing: Sealing | None = None,
    ) -> None:
        """`spare`: a file in memory for what is shown while the disk fails; None: nowhere."""
        self.keeper = Keeper(
            state_dir,
            clock,
            flush_seconds=flush_seconds,
            retention_days=(minute_days, hour_days),
            sealing=sealing,
        )
        """For the worker's thread, once there is an event loop."""
        self._dir = state_dir
        self._spare = Spare(spare, state_dir) if spare else None
        self._clock = clock
        self._worker = Worker("ledger")
        self._task: asyncio.Task[None] | None = None
        self._identities: list[StreamIdentity] = []
        self._state: bytes | None = None
        self._kept: Callable[[], None] = _nothing
        self._submitted = self._shown = 0
        """Number of the newest state, and of the newest that was shown."""
        self._batch = Batch()
        """What is not written yet."""
        self._questions = Questions()
        self._failures = 0
        self._why = ""
        self._failed_at = self._wrote = clock.monotonic()
        self._found = False
        """There was a ledger at the start, in whatever state."""

    def open(self) -> Loaded:
        """Open the ledger and return what a restart must know. Blocking; call once.

        A corrupt ledger is set aside and a new one begun. A disk that is full or read-only is
        reported, and writing is tried again later. Raises `Hopeless` where only a person can
        help: no permission, another agent, a newer version.
        """
        self._found = _may_exist(self.keeper.path)
        try:
            self._identities, state = self.keeper.open()
        except Corrupt as error:
            self._begin_anew(error)
            return [], None
        except Hopeless:
            raise
        except LedgerError as error:
            self._fail(error)
            try:
                self._identities, state = Ledger.peek(self._dir)
            except LedgerError:
                return [], None
        return self._identities, state

    def open_spare(self) -> Loaded:
        """Return what the last life showed last, whatever the ledger has. Blocking; after `open`.

        Nothing where that life belonged to another boot or to a ledger that was deleted since.
        """
        if self._spare is None:
            return [], None
        if not self._found:
            self._spare.drop()
            return [], None
        return self._spare.read() or ([], None)

    def owe(self, identities: list[StreamIdentity], postings: list[Posting]) -> None:
        """Say what streams there are, and what of them is in the totals and not in the ledger."""
        self._identities = identities
        self._batch.add(Batch(postings))

    def disown(self, why: str) -> None:
        """Set aside a ledger whose state nobody understands and begin a new one. Blocking."""
        self._begin_anew(Corrupt(f"{self.keeper.path}: {why}"))

    def submit(
        self,
        identities: list[StreamIdentity],
        state: bytes,
        batch: Batch,
        kept: Callable[[], None] = _nothing,
    ) -> None:
        """Hand over this tick's state and what is new; never blocks.

        `kept` is called once the state would survive `kill -9`, or at once while the disk fails
        or hangs; not at all if a newer state overtakes this one.
        """
        self._identities, self._state, self._kept = identities, state, kept
        self._submitted += 1
        self._batch.add(batch)
        now = self._clock.monotonic()
        under_way = self._task is not None and not self._task.done()
        if self._why or (under_way and now - self._wrote > PATIENCE_SECONDS):
            self._show(self._submitted, identities, state, kept)
        if self._why and now - self._failed_at < RETRY_SECONDS:
            return
        if not under_way:
            self._wrote = now
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `question` returns, in a transaction of its own after the next write.

        For what need not be done within a tick. Raises `LedgerError` while the disk fails or the
        ledger is being closed; what the question did is then undone.
        """
        return await self._questions.ask(question)

    def status(self) -> LedgerStatus:
        """Return how it is doing."""
        return LedgerStatus(
            up=not self._why,
            failures=self._failures + self.keeper.set_asides,
            size_bytes=self.keeper.size_bytes,
            unsaved=len(self._batch),
            why=self._why,
            records=self.keeper.sealer.records,
        )

    async def close(self) -> None:
        """Write what is left, flush and close; give up on a disk that hangs."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        self.keeper.flush_next()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._write()
                if self.keeper.ledger is not None:
                    await self._worker.run(self.keeper.close)
        except (TimeoutError, Busy):
            log.warning("ledger_close_timed_out", path=str(self._dir))
        self._worker.stop()
        if self._spare is not None:
            self._spare.close()
        self._questions.close()

    def submit_now(self, identities: list[StreamIdentity], state: bytes, batch: Batch) -> None:
        """Write in this thread. For replays, which have no event loop. Raises `LedgerError`."""
        self._identities = identities
        failed = self.keeper.write(identities, state, batch)
        if failed is not None:
            raise failed

    def close_now(self) -> None:
        """Flush and close in this thread. Raises `LedgerError`."""
        self.keeper.close(flush=True)

    # -- inside -------------------------------------------------------------------------------

    def _begin_anew(self, error: Corrupt) -> None:
        try:
            self._identities, _ = self.keeper.begin_anew(error)
        except LedgerError as second:
            self._fail(second)
            self._identities = []

    async def _write(self) -> None:
        if self._state is None:
            return
        identities, state, kept = self._identities, self._state, self._kept
        number = self._submitted
        batch, self._batch = self._batch, Batch()
        try:
            failed = await self._worker.run(lambda: self.keeper.write(identities, state, batch))
        except Busy:
            self._put_back(batch)
        except LedgerError as error:
            self._put_back(batch)
            self._fail(error)
        except Exception as error:  # a bug must not cost the detail either
            self._put_back(batch)
            if not self._why:
                log.exception("ledger_bug")
            self._fail(explain(self.keeper.path, error))
        else:
            if failed is not None:
                self._fail(failed)
                return
            if self._why:
                log.info("ledger_recovered", path=str(self._dir))
            self._why = ""
        finally:
            self._show(number, identities, state, kept)
        await self._questions.answer(self._worker, self.keeper.ledger, self._why)

    def _show(
        self,
        number: int,
        identities: list[StreamIdentity],
        state: bytes,
        kept: Callable[[], None],
    ) -> None:
        """Let a state be seen, unless a newer one was: a write may hang and come back late."""
        if number <= self._shown:
            return
        self._shown = number
        if self._spare is not None:
            self._spare.write(identities, state)
        kept()

    def _put_back(self, batch: Batch) -> None:
        """Keep what could not be written, before what came meanwhile."""
        batch.add(self._batch)
        self._batch = batch

    def _fail(self, error: LedgerError) -> None:
        self._failures += 1
        self._failed_at = self._clock.monotonic()
        if not self._why:
            log.error("ledger_failing", why=str(error))
        self._why = str(error)


def _may_exist(path: Path) -> bool:
    """Tell whether a file is there, or cannot be looked for."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True
