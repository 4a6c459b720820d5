"""Keeps the ledger up to date from the event loop, and goes on when the disk does not.

Nothing here blocks: the newest state and the postings that are not yet written wait in memory
while one write is under way, however long the disk takes.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from agent.clock import Clock
from agent.ledger.batch import Batch
from agent.ledger.errors import Corrupt, Full, Hopeless, LedgerError, explain
from agent.ledger.opening import set_aside
from agent.ledger.sealing import Sealer, Sealing
from agent.ledger.spare import Spare
from agent.ledger.store import FILE_NAME, Gone, Ledger, Loaded
from agent.meter import Posting, StreamIdentity
from agent.quantities import Seconds
from agent.worker import Busy, Worker

RETRY_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
"""A write that takes longer no longer keeps new figures from being shown."""
CHECK_AFTER_SECONDS = 60.0
"""The whole file is checked this long after the start, when starting is over."""
PRUNE_SECONDS = 3600.0
CLOSE_SECONDS = 10.0
"""How long a disk that hangs may hold up the end."""

log = structlog.get_logger()


T = TypeVar("T")


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
        self._dir = state_dir
        self._sealer = Sealer(sealing or Sealing())
        self._spare = Spare(spare, state_dir) if spare else None
        self._clock = clock
        self._flush_seconds = flush_seconds
        self._retention = (minute_days, hour_days)
        self._worker = Worker("ledger")
        self._ledger: Ledger | None = None
        self._task: asyncio.Task[None] | None = None
        self._known = 0
        self._identities: list[StreamIdentity] = []
        self._state: bytes | None = None
        self._kept: Callable[[], None] = _nothing
        self._submitted = self._shown = 0
        """Number of the newest state, and of the newest that was shown."""
        self._batch = Batch()
        """What is not written yet."""
        self._questions: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = []
        self._failures = 0
        self._why = ""
        self._size = 0
        now = clock.monotonic()
        self._started, self._start_wall = now, clock.wall()
        self._flushed = self._pruned = self._failed_at = self._wrote = now
        self._checked = False
        self._found = False
        """There was a ledger at the start, in whatever state."""
        self._unmaintained: LedgerError | None = None

    def open(self) -> Loaded:
        """Open the ledger and return what a restart must know. Blocking; call once.

        A corrupt ledger is set aside and a new one begun. A disk that is full or read-only is
        reported, and writing is tried again later. Raises `Hopeless` where only a person can
        help: no permission, another agent, a newer version.
        """
        self._found = _may_exist(self._dir / FILE_NAME)
        try:
            return self._open()
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
        self._begin_anew(Corrupt(f"{self._dir / FILE_NAME}: {why}"))

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
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._questions.append((question, answer))
        return await answer

    def status(self) -> LedgerStatus:
        """Return how it is doing."""
        return LedgerStatus(
            up=not self._why,
            failures=self._failures,
            size_bytes=self._size,
            unsaved=len(self._batch),
            why=self._why,
            records=self._sealer.records,
        )

    async def close(self) -> None:
        """Write what is left, flush and close; give up on a disk that hangs."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        self._flushed = Seconds(float("-inf"))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._write()
                if self._ledger is not None:
                    await self._worker.run(self._sealer.stop)
                    await self._worker.run(self._ledger.close)
        except (TimeoutError, Busy):
            log.warning("ledger_close_timed_out", path=str(self._dir))
        self._worker.stop()
        if self._spare is not None:
            self._spare.close()
        for _, answer in self._questions:
            if not answer.done():
                answer.set_exception(LedgerError("the ledger was closed"))

    def submit_now(self, identities: list[StreamIdentity], state: bytes, batch: Batch) -> None:
        """Write in this thread. For replays, which have no event loop. Raises `LedgerError`."""
        self._identities = identities
        self._work(identities, state, batch)

    def close_now(self) -> None:
        """Flush and close in this thread. Raises `LedgerError`."""
        if self._ledger is not None:
            try:
                self._ledger.flush()
            finally:
                self._sealer.stop()
                self._ledger.close()

    # -- inside -------------------------------------------------------------------------------

    def _open(self) -> Loaded:
        ledger, identities, state = Ledger.open_loaded(self._dir)
        self._ledger, self._identities, self._known = ledger, identities, len(identities)
        self._sealer.begin(ledger)
        self._size = ledger.size_bytes()
        return identities, state

    def _begin_anew(self, error: Corrupt) -> None:
        try:
            self._set_aside(error)
            self._open()
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
            await self._worker.run(lambda: self._work(identities, state, batch))
        except Busy:
            self._put_back(batch)
        except LedgerError as error:
            self._put_back(batch)
            self._fail(error)
        except Exception as error:  # a bug must not cost the detail either
            self._put_back(batch)
            if not self._why:
                log.exception("ledger_bug")
            self._fail(explain(self._dir / FILE_NAME, error))
        else:
            failed, self._unmaintained = self._unmaintained, None
            if failed is not None:
                self._fail(failed)
                return
            if self._why:
                log.info("ledger_recovered", path=str(self._dir))
            self._why = ""
        finally:
            self._show(number, identities, state, kept)
        await self._answer()

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

    async def _answer(self) -> None:
        """Ask the ledger what others want to know, once what is shown is kept."""
        questions, self._questions = self._questions, []
        for question, answer in questions:
            if answer.cancelled():
                continue
            ledger = self._ledger
            try:
                if self._why or ledger is None:
                    raise LedgerError(self._why or "the ledger is not open")
                found = await self._worker.run(partial(ledger.ask, question))
            except (Busy, LedgerError) as error:
                if not answer.done():
                    answer.set_exception(LedgerError(str(error)))
            except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(found)

    def _put_back(self, batch: Batch) -> None:
        """Keep what could not be written, before what came meanwhile."""
        batch.add(self._batch)
        self._batch = batch

    def _work(self, identities: list[StreamIdentity], state: bytes, batch: Batch) -> None:
        """Write one batch, in the worker thread; flush, check and prune when it is time."""
        try:
            ledger = self._ledger or self._reopen()
            new = list(enumerate(identities))[self._known :]
            try:
                ledger.commit(new, state, batch)
            except Full:
                ledger.make_room()
                ledger.commit(new, state, batch)
        except Corrupt as error:
            self._set_aside(error)
            self._reopen().commit(list(enumerate(identities)), state, batch)
        self._known = len(identities)
        try:
            try:
                self._maintain(self._clock.monotonic())
            except Corrupt as error:
                self._set_aside(error)
                self._reopen().commit(list(enumerate(identities)), state, Batch())
            except Gone as error:
                log.error("ledger_gone", why=str(error))
                self._let_go()
                self._reopen().commit(list(enumerate(identities))[self._known :], state, Batch())
            self._known = len(identities)
        except LedgerError as error:
            # the postings are committed: this failure must not bring them back
            self._unmaintained = error

    def _maintain(self, now: float) -> None:
        """Flush, check and prune, each when its time has come."""
        ledger = self._ledger
        assert ledger is not None
        if now - self._flushed >= self._flush_seconds:
            ledger.flush()
            self._flushed = Seconds(now)
            self._size = ledger.size_bytes()
        if not self._checked and now - self._started > CHECK_AFTER_SECONDS:
            ledger.check()
            self._checked = True
        elif now - self._pruned > PRUNE_SECONDS:
            self._prune(ledger, now)
            self._pruned = Seconds(now)
        self._sealer.step(ledger, now, self._clock.wall())

    def _reopen(self) -> Ledger:
        """Open the ledger again after it failed; its streams must be the ones we know."""
        ledger, known, _ = Ledger.open_loaded(self._dir)
        if known != self._identities[: len(known)]:
            # it could not be read at the start, so counting began anew: keep both
            aside = ledger.set_aside(self._clock.wall())
            log.warning("ledger_set_aside", path=str(aside), why="it was unreadable at the start")
            ledger, known, _ = Ledger.open_loaded(self._dir)
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
        ledger, self._ledger, self._known = self._ledger, None, 0
        wall = self._clock.wall()
        path = self._dir / FILE_NAME
        aside = ledger.set_aside(wall) if ledger else set_aside(path, wall)
        log.error("ledger_corrupt", why=str(error), set_aside_as=str(aside))

    def _let_go(self) -> None:
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.close(clean=False)

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
