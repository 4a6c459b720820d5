"""Questions that others put to the ledger, answered between two writes, in the writer's thread."""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from agent.ledger.errors import LedgerError
from agent.ledger.store import Ledger
from agent.worker import Busy, Worker

T = TypeVar("T")


class Questions:
    """Those that are not answered yet."""

    def __init__(self) -> None:
        """Nobody has asked."""
        self._asked: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = []

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `question` returns once it was answered. Raises `LedgerError`."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.append((question, answer))
        return await answer

    async def answer(self, worker: Worker, ledger: Ledger | None, why: str) -> None:
        """Answer all; with an error if there is no ledger, or a reason `why` it fails."""
        asked, self._asked = self._asked, []
        for question, answer in asked:
            if answer.cancelled():
                continue
            try:
                if why or ledger is None:
                    raise LedgerError(why or "the ledger is not open")
                found = await worker.run(partial(ledger.ask, question))
            except (Busy, LedgerError) as error:
                if not answer.done():
                    answer.set_exception(LedgerError(str(error)))
            except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(found)

    def close(self) -> None:
        """Tell those who still wait that there is no ledger any more."""
        for _, answer in self._asked:
            if not answer.done():
                answer.set_exception(LedgerError("the ledger was closed"))
