"""`stagecrew enqueue --dry-run`: how many photos are new, changed or staged already, and what they would cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from worker.cli.api_doors import with_every_services
from worker.cli.intake import CHUNK
from worker.cli.terminal import count, say

if TYPE_CHECKING:
    import typer

    from worker.cli.api_doors import Opened
    from worker.cli.intake import Reading

_MEANING = {
    "new": "would be bought",
    "changed": "known with another request: would be bought anew",
    "staged": "staged already: free",
    "paid": "the job is bought and not stored yet: free",
    "on_its_way": "known already: nothing would change",
    "held": "failed or held: nothing would change; `stagecrew replay` tries again",
}


def dry_run(context: typer.Context, reading: Reading, *, as_json: bool) -> None:
    """Say what enqueueing would do, and change nothing."""
    found, prices = with_every_services(context, lambda opened: _look(opened, reading), needs_key=False)
    total: Counter[str] = sum(found.values(), Counter())
    jobs = {account: counts["new"] + counts["changed"] for account, counts in found.items()}
    cost = _cost(jobs, prices)
    if as_json:
        say(
            json.dumps(
                {
                    "listings": reading.listings,
                    "photos": {name: total.get(name, 0) for name in _MEANING},
                    "jobs": sum(jobs.values()),
                    "price_usd": {account: None if one is None else f"{one:f}" for account, one in prices.items()},
                    "cost_usd": None if cost is None else f"{cost:f}",
                    "bad_records": reading.bad,
                }
            )
        )
        return
    say(f"dry run: {count(sum(total.values()), 'photo')} of {count(reading.listings, 'listing')}; nothing was enqueued")
    for name, meaning in _MEANING.items():
        if total.get(name):
            say(f"  {total[name]:>7,}  {name:<16} {meaning}")
    bought = count(sum(jobs.values()), "job")
    if cost is not None:
        each = ", ".join(sorted({f"{prices[account]:f}" for account, number in jobs.items() if number}))
        say(f"{bought} would be bought" + (f", at {each} USD each about {cost:,f} USD" if each else ""))
    else:
        say(
            f"{bought} would be bought; the price is unknown: no bill was seen yet, "
            "and STAGECREW_JOB_PRICE_USD is not set"
        )


def _cost(jobs: Mapping[str, int], prices: Mapping[str, Decimal | None]) -> Decimal | None:
    """Return what the jobs of all accounts cost; None when that of any is not known."""
    total = Decimal(0)
    for account, number in jobs.items():
        price = prices[account]
        if number and price is None:
            return None
        total += number * (price or Decimal(0))
    return total


async def _look(opened: Opened, reading: Reading) -> tuple[dict[str, Counter[str]], dict[str, Decimal | None]]:
    """Return by account how many photos would be what, and what a job costs."""
    from worker.pipeline.billing import price_of_a_job  # noqa: PLC0415 - `--help` must not wait for it
    from worker.pipeline.estimate import outlook  # noqa: PLC0415

    found: dict[str, Counter[str]] = {}
    remaining = iter(reading)
    while some := list(islice(remaining, CHUNK)):
        for account in dict.fromkeys(listing.account for listing in some):
            theirs = [listing for listing in some if listing.account == account]
            counts = await outlook(await opened(account), theirs)
            found.setdefault(account, Counter()).update({what.value: number for what, number in counts.items()})
    return found, {account: await price_of_a_job(await opened(account)) for account in found}
