"""Hands orders over as other programs do, through the gateway and by messages, until each is known to be taken.

A photo is ordered in another style only when its first picture has been announced, so both are to be staged.
"""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from redis.exceptions import RedisError

from chaos.arena import TOKEN, Arena
from chaos.orders import STYLES, Batch
from chaos.poison import message

#: Records in one request, and how long one may take, in seconds of real time.
AT_ONCE: Final = 200
PATIENCE_S: Final = 30
#: The share of first orders that also come as a message, and of those that are sent twice.
BY_MESSAGE: Final = 0.1
TWICE: Final = 0.1


class Producer:
    """One caller of the fleet."""

    def __init__(self, arena: Arena, given: Sequence[Batch], *, seed: int) -> None:
        """`given`: what is to be handed over."""
        self._arena = arena
        self._given = given
        self._dice = random.Random(f"{seed}:producer")  # noqa: S311 - chaos, no secret
        self._todo: list[Batch] = []
        self._later: list[Batch] = []
        #: Requests that were refused or not answered, and were sent again.
        self.repeated = 0
        self.start_over(set())

    def start_over(self, ended: set[tuple[str, str, str]]) -> None:
        """Hand over again all that has not ended: (listing, photo, style)."""
        missing = [batch for one in self._given if (batch := one.without(ended)).orders]
        self._todo = [batch for batch in missing if batch.orders[0].style == STYLES[0]]
        self._later = [batch for batch in missing if batch.orders[0].style != STYLES[0]]

    @property
    def done(self) -> bool:
        """Whether everything was handed over and taken."""
        return not self._todo and not self._later

    def push(self, ended: set[tuple[str, str, str]]) -> None:
        """Hand over what can be by now, one request of it."""
        ready = [b for b in self._later if all((*order.photo, STYLES[0]) in ended for order in b.orders)]
        some = (self._todo + ready)[:AT_ONCE]
        if not some:
            return
        if some[0] in self._todo:
            self._by_message([batch for batch in some if self._dice.random() < BY_MESSAGE])
        # The same record twice in one request, as callers do.
        twice = [batch for batch in some if self._dice.random() < TWICE]
        if self._post([batch.record for batch in some + twice]):
            self._todo = [batch for batch in self._todo if batch not in some]
            self._later = [batch for batch in self._later if batch not in some]
        else:
            self.repeated += 1

    def _by_message(self, some: Sequence[Batch]) -> None:
        if not some:
            return
        text = message("stagecrew.enqueue", "stagecrew.enqueue", [], {"listings": [batch.record for batch in some]})
        try:
            with self._arena.redis.client as client:
                client.lpush("stagecrew.enqueue", text)
        except RedisError:
            return  # a message is a hint: the request is what counts

    def _post(self, records: Sequence[object]) -> bool:
        body = "\n".join(json.dumps(record) for record in records).encode()
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
        url = f"http://127.0.0.1:{self._arena.gateway_port}/v1/listings"
        request = urllib.request.Request(url, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
                return answer.status in {HTTPStatus.OK, HTTPStatus.ACCEPTED}
        except urllib.error.HTTPError as error:
            if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return False
            message = f"the gateway refused good records: {error.code} {error.read()[:500]!r}"
            raise RuntimeError(message) from error
        except OSError:
            return False
