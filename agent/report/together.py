"""Several questions at once: when one fails, the others are given up."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


async def together(*questions: Awaitable[T]) -> list[T]:
    """Return all answers, or raise the first failure once no other question is under way."""
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def both(one: Awaitable[T], other: Awaitable[U]) -> tuple[T, U]:
    """Return both answers, as `together`."""
    answers: list[Any] = await together(one, other)
    return answers[0], answers[1]
