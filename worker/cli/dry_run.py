"""`stagecrew enqueue --dry-run`: how many photos are new, changed or staged already, and what they would cost."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from worker.cli.api_doors import with_services
from worker.cli.intake import CHUNK
from worker.cli.terminal import count, say

if TYPE_CHECKING:
    import typer

    from worker.cli.intake import Reading
    from worker.pipeline.outlook import Outlook
    from worker.services import Services

_MEANING = {
    "new": "would be bought",
    "changed": "known with another request: would be bought anew",
    "staged": "staged already: announced again, free",
    "paid": "the job is bought and not stored yet: free",
    "on_its_way": "known already: nothing would change",
    "held": "failed or held: nothing would change; `stagecrew replay` tries again",
}


def dry_run(context: typer.Context, reading: Reading, *, as_json: bool) -> None:
    """Say what enqueueing would do, and change nothing."""
    found, price = with_services(context, lambda services: _look(services, reading), needs_key=False)
    bought = sum(number for what, number in found.items() if what in {"new", "changed"})
    cost = None if price is None else price * bought
    if as_json:
        say(
            json.dumps(
                {
                    "listings": reading.listings,
                    "photos": {name: found.get(name, 0) for name in _MEANING},
                    "jobs": bought,
                    "price_usd": None if price is None else f"{price:f}",
                    "cost_usd": None if cost is None else f"{cost:f}",
                    "bad_records": reading.bad,
                }
            )
        )
        return
    say(f"dry run: {count(sum(found.values()), 'photo')} of {count(reading.listings, 'listing')}; nothing was enqueued")
    for name, meaning in _MEANING.items():
        if found.get(name):
            say(f"  {found[name]:>7,}  {name:<16} {meaning}")
    if cost is not None:
        say(f"{count(bought, 'job')} would be bought, at {price:f} USD each about {cost:,f} USD")
    else:
        say(
            f"{count(bought, 'job')} would be bought; the price is unknown: no bill was seen yet, "
            "and STAGECREW_JOB_PRICE_USD is not set"
        )


async def _look(services: Services, reading: Reading) -> tuple[Counter[str], Decimal | None]:
    from worker.pipeline.billing import price_of_a_job  # noqa: PLC0415 - `--help` must not wait for it
    from worker.pipeline.outlook import outlook  # noqa: PLC0415

    total: Counter[Outlook] = Counter()
    remaining = iter(reading)
    while some := list(islice(remaining, CHUNK)):
        total += await outlook(services, some)
    return Counter({what.value: number for what, number in total.items()}), await price_of_a_job(services)
