"""A daemon thread that runs blocking calls, one at a time, for the event loop.

Not a ThreadPoolExecutor: that one joins its threads at exit, and a sensor that hangs for ever
would keep the agent from stopping.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Busy(Exception):
    """The previous call has not come back yet."""


class NoThread(Busy):
    """The system gives no thread now; the next call tries again."""


class Worker:
    """One thread, started at the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._running = False

    @property
    def busy(self) -> bool:
        """Whether a call has not come back yet."""
        return self._running

    async def run(self, function: Callable[[], T]) -> T:
        """Return what `function` returns or raise what it raises.

        Cancelling the wait leaves the call running; until it is back, `run` raises `Busy`.
        """
        return await self.submit(function)

    def submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Hand a call over; returns what is done when it is back. Raises `Busy`."""
        if self._running:
            raise Busy(self._name)
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no memory, or no more tasks allowed
                raise NoThread(self._name) from error
            self._thread = thread
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._running = True

        def call() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - handed on to the one who waits
                self._back(loop, future, None, error)
            else:
                self._back(loop, future, result, None)

        self._calls.put(call)
        return future

    def stop(self) -> None:
        """Let the thread end once it is idle."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _back(
        self,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        result: Any,
        error: BaseException | None,
    ) -> None:
        self._running = False

        def settle() -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle)
