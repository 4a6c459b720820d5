"""Sends the queue of remote write: the oldest first, one request at a time, until it is taken.

A request is done with when the receiver took it (2xx) or will never take it (400 and the like);
everything else is tried again, after a pause that doubles. See docs/design/remote-write.md.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog

from agent.clock import Clock
from agent.ledger import LedgerError, LedgerWriter
from agent.ledger.outbox_sending import Moment, Row, Window, tend
from agent.remote_settings import RemoteWriteSettings
from agent.snapshot import RemoteView
from exporters.remote_receiver import MAX_SAMPLES, Outcome, Pause, Receiver

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
LEDGER_PAUSE_SECONDS: Final = 5.0
SPLITTABLE: Final = frozenset({400, 409, 413, 422})
"""A receiver may refuse a whole request because of one sample in it."""

log = structlog.get_logger()


class Sender:
    """Sends to one receiver. `run` it in a task."""

    def __init__(
        self,
        settings: RemoteWriteSettings,
        ledger: LedgerWriter,
        clock: Clock,
        help_of: Mapping[bytes, str],
    ) -> None:
        """`help_of`: help texts by metric name, for 2.0."""
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._receiver = Receiver(settings, clock, help_of)
        self._done: list[Row] = []
        """Moments to take out of the queue, with the next question to the ledger."""
        self._counts: Counter[str] = Counter()
        """Likewise, for its totals."""
        self._unsure: int | None = None
        """Up to this moment the receiver may have samples of which we do not know it."""
        self._begun = False
        self._up: bool | None = None
        self._refusing = False
        self._pauses = 0
        self._window: Window | None = None
        self._stopping = asyncio.Event()
        self.news = asyncio.Event()
        """Set when there may be something to send."""

    # -- what others ask ----------------------------------------------------------------------

    def view(self) -> RemoteView | None:
        """Return how it is doing; None until the ledger has told the totals."""
        window = self._window
        if window is None:
            return None
        totals = Counter(window.totals)
        totals.update(self._counts)
        oldest = window.oldest_ms
        return RemoteView(
            up=self._up,
            samples=int(totals["sent"]),
            failed={
                name.removeprefix("failed "): int(count)
                for name, count in sorted(totals.items())
                if name.startswith("failed ")
            },
            retries=int(totals["retries"]),
            queue_samples=window.samples,
            queue_bytes=window.size_bytes,
            queue_oldest_seconds=(
                0.0 if oldest is None else max(0.0, self._clock.wall() - oldest / 1000)
            ),
        )

    def stop(self) -> None:
        """Let `run` end after the request that is under way."""
        self._stopping.set()
        self.news.set()

    async def finish(self) -> None:
        """Close, and hand to the ledger what it must still know: it learns it when it closes."""
        await self._receiver.close()
        if self._done or +self._counts:
            self._question(0)
            await asyncio.sleep(0)  # it is asked now; nobody waits for the answer

    # -- the work -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Send until `stop`."""
        while not self._stopping.is_set():
            self.news.clear()
            try:
                window = await self._ask()
                if window is None:
                    continue
                if not window.moments:
                    await self._wait(self._settings.interval_seconds)
                    continue
                await self._send(window)
            except LedgerError:  # it says so itself
                await self._wait(LEDGER_PAUSE_SECONDS)
            except Pause as pause:
                await self._fail(pause)
            except Exception as error:
                # a bug in here must not end the sending: what waits is safe meanwhile
                log.exception("remote_write_bug")
                await self._fail(Pause(repr(error), LONGEST_PAUSE_SECONDS, unsure=True))

    def _question(self, max_samples: int) -> "asyncio.Future[Window]":
        """Hand over what is done and ask for the oldest that waits; it comes back if it fails."""
        done, self._done = tuple(self._done), []
        counts, self._counts = dict(self._counts), Counter()
        settings = self._settings
        age = settings.max_age_hours * 3_600_000
        question = partial(
            tend,
            done=done,
            counts=counts,
            max_bytes=settings.max_queue_megabytes * 1e6,
            not_before_ms=self._clock.wall() * 1000 - age if age else float("-inf"),
            max_samples=max_samples,
        )
        asking = asyncio.ensure_future(self._ledger.ask(question))

        def back(asked: "asyncio.Future[Window]") -> None:
            if asked.cancelled() or asked.exception() is not None:
                self._done = [*done, *self._done]
                self._counts.update(counts)

        asking.add_done_callback(back)
        return asking

    async def _ask(self) -> Window | None:
        """Return the oldest that waits; None: we are to stop. Raises `LedgerError`.

        At a stop the question stays with the ledger, which answers it when it closes.
        """
        asking = self._question(MAX_SAMPLES)
        stopping = asyncio.ensure_future(self._stopping.wait())
        either: list[asyncio.Future[Any]] = [asking, stopping]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if not asking.done():
            return None
        self._window = asking.result()
        return self._window

    async def _send(self, window: Window) -> None:
        """Send a window's moments together; one by one where the receiver refuses them so."""
        moments = window.moments
        if not self._begun:
            # an earlier life may have been killed before it could note an answer
            self._begun, self._unsure = True, moments[-1].row[0]
        if self._unsure is not None:  # not together with others, which it cannot have yet
            last = self._unsure
            moments = [m for m in moments if m.row[0] <= last] or moments
        try:
            outcome = await self._receiver.offer(window, moments)
            if outcome.told or len(moments) == 1 or outcome.status not in SPLITTABLE:
                self._note(moments, outcome)
                return
            for moment in moments:
                self._note([moment], await self._receiver.offer(window, [moment]))
                if self._stopping.is_set():
                    return
        except Pause as pause:
            if pause.unsure:
                self._unsure = max(moments[-1].row[0], self._unsure or 0)
            raise

    # -- what came of it ----------------------------------------------------------------------

    def _note(self, moments: Sequence[Moment], outcome: Outcome) -> None:
        """Take moments out of the queue: the receiver has them, or never will."""
        whole = sum(len(moment.words) for moment in moments)
        written = min(outcome.written, whole)
        refused = whole - written
        unsure = self._unsure is not None and moments[-1].row[0] <= self._unsure
        if self._unsure is not None and moments[-1].row[0] >= self._unsure:
            self._unsure = None
        self._done += [moment.row for moment in moments]
        self._counts["sent"] += written
        self._counts["failed repeated" if unsure else "failed refused"] += refused
        self._pauses = 0
        if self._up is False:
            log.info("remote_write_recovered", to=self._receiver.where)
        self._up = True
        if refused and not unsure and not self._refusing:
            self._refusing = True
            log.warning(
                "remote_write_refused",
                to=self._receiver.where,
                status=outcome.status,
                says=outcome.says,
                samples=refused,
            )
        elif not refused and self._refusing:
            self._refusing = False
            log.info("remote_write_accepted_again", to=self._receiver.where)

    async def _fail(self, pause: Pause) -> None:
        """Say so once, and wait."""
        self._counts["retries"] += 1
        if self._up is not False:
            log.warning("remote_write_failing", why=str(pause))
        self._up = False
        longest = min(FIRST_PAUSE_SECONDS * 2**self._pauses, LONGEST_PAUSE_SECONDS)
        self._pauses = min(self._pauses + 1, 10)
        # jitter: a fleet must not come back as one
        seconds = max(longest * random.uniform(0.5, 1.0), pause.seconds)  # noqa: S311
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _wait(self, seconds: float) -> None:
        """Wait for news, but no longer than so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()
