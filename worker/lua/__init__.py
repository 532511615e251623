"""Lua on Redis: loads the `.lua` files, resolves their includes and calls them with typed arguments.

One operation is one file. A file may include shared functions by a line `-- include: NAME`, from `worker/lua/NAME.lua`.

The server's script cache is also how a restart is noticed: it is empty after one, so whoever first meets NOSCRIPT marks
the restart (`worker/lua/restarted.lua`) before anything else is loaded. No script that spends a budget can run between
a restart and its mark, and nobody has to poll the server's run id. Each account has scripts of its own in that cache
(their last line names it), for each has to mark the restart for itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from redis.asyncio import Redis

_INCLUDE: Final = re.compile(r"^-- include: ([a-z_]+)$", re.MULTILINE)


@cache
def source(package: str, name: str) -> str:
    """Return the text of `package`'s script `name` with its includes in place, each once, in order of appearance."""
    text = (files(package) / f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: (files("worker.lua") / f"{found[1]}.lua").read_text(encoding="utf-8"), text)


@cache
def _own(root: str, package: str, name: str) -> tuple[str, str]:
    """Return an account's own copy of a script, and its digest."""
    text = f"{source(package, name).rstrip()}\n-- {root}\n"
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """The scripts of one account: every call gets the account's key root as its only declared key."""

    def __init__(self, redis: Redis, root: str, *, forgets_ms: int) -> None:
        """`root` is the hash-tagged prefix of all keys; `forgets_ms`: what a restart may have lost of the ledger."""
        self.redis = redis
        self.root = root
        #: A pushed time in ms for tests; empty means Redis's own.
        self.clock = ""
        self._forgets_ms = forgets_ms

    async def call(self, package: str, name: str, args: Sequence[str | int | float | bytes]) -> Any:
        """Run one script and return its reply. Raises `redis.exceptions.RedisError`."""
        text, sha = _own(self.root, package, name)
        try:
            try:
                return await self.redis.evalsha(sha, 1, self.root, *args)
            except NoScriptError:
                await self._mark_restart()
                await self.redis.script_load(text)
                return await self.redis.evalsha(sha, 1, self.root, *args)
        except RuntimeError as error:
            # uvloop's word for a connection that broke while redis-py was opening it.
            message = f"the connection to Redis broke: {error}"
            raise RedisConnectionError(message) from error

    async def now_ms(self, pushed: str = "") -> int:
        """Return Redis's clock in ms since the epoch, or the time that a test pushed. Raises RedisError."""
        if pushed:
            return int(pushed)
        # redis-py types its replies for bytes and text alike.
        redis: Any = self.redis
        seconds, micros = await redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def load(self, package: str, name: str) -> str:
        """Make sure that a script is in the server's cache, for use in a pipeline; return its digest."""
        text, sha = _own(self.root, package, name)
        if not (await self.redis.script_exists(sha))[0]:
            await self._mark_restart()
            await self.redis.script_load(text)
        return sha

    async def _mark_restart(self) -> None:
        """Hold all budgets for as long as the server may have forgotten grants, once for each restart."""
        text, sha = _own(self.root, "worker.lua", "restarted")
        if not (await self.redis.script_exists(sha))[0]:
            await self.redis.eval(text, 1, self.root, self.clock, self._forgets_ms)
            await self.redis.script_load(text)
