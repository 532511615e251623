"""Calls that come while another is under way go together as one; a lone call goes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: Items in one call at most: a script that settles more would keep others from the server for too long.
MOST: Final = 64


class Gathering(Generic[Item, Answer]):
    """Hands items to `send` in the order in which they came, one call at a time, each answered on its own.

    An error of `send` is every item's of that call. Whoever stops waiting leaves the others undisturbed.
    """

    def __init__(self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, most: int = MOST) -> None:
        """`send` answers for each item, in order; `most`: items in one call."""
        self._send = send
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Answer:
        """Return the answer for `item`. Raises what `send` raises."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="gathering")
        return await future

    async def _run(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await self._send([item for item, _ in some])
            except Exception as error:  # noqa: BLE001 - handed on to everybody who waits for it
                for _, future in some:
                    if not future.done():
                        future.set_exception(error)
            except BaseException:
                for _, future in some:
                    future.cancel()
                raise
            else:
                for (_, future), answer in zip(some, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
