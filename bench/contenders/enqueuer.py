"""One process that enqueues very many photos: `python -m bench.contenders.enqueuer PHOTOS SOURCE`.

Settings come from the environment. It prints one line of JSON: seconds, and its own usage.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from itertools import islice
from typing import Final

from bench.contenders.waiting import many_listings
from bench.meter import own_usage
from config.settings import load_settings
from worker.services import open_ledger

PARTNERS: Final = tuple(f"partner-{number}" for number in range(50))
#: Listings handed over at once; answers are not kept, as nobody does who enqueues a million.
AT_ONCE: Final = 500


async def enqueue(photos: int, source: str) -> float:
    """Enqueue so many photos; return the seconds it took, the making of the listings included."""
    async with open_ledger(load_settings()) as ledger:
        await ledger.unused_api()
        began_s = time.monotonic()
        listings = many_listings(photos, source, PARTNERS)
        while some := list(islice(listings, AT_ONCE)):
            await ledger.enqueue(some)
        return time.monotonic() - began_s


def main() -> None:
    """Enqueue and report."""
    seconds = asyncio.run(enqueue(int(sys.argv[1]), sys.argv[2]))
    sys.stdout.write(json.dumps({"seconds": seconds, "usage": asdict(own_usage())}) + "\n")


if __name__ == "__main__":
    main()
