"""What the page shows, as plain data: counts, budgets, bill, faults, fates, and the newest jobs that fit a search."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from worker.sandbox.books import Books, Job, state_of
from worker.sandbox.changes import CHANGEABLE
from worker.sandbox.config import Faults
from worker.sandbox.fates import Fate

if TYPE_CHECKING:
    from worker.sandbox.api import Sandbox

#: Jobs in one answer, at most.
MOST_JOBS: Final = 500


def overview(sandbox: Sandbox, *, text: str = "", state: str = "", limit: int = 100) -> dict[str, Any]:
    """Return everything; of the jobs the newest `limit` whose names hold `text` and that are in `state`."""
    books, config = sandbox.books, sandbox.config
    now_ms = books.now_ms()
    jobs = list(books.jobs.values())
    states = Counter(state_of(job, now_ms) for job in jobs)
    sought = text.lower()
    fitting = [
        job
        for job in reversed(jobs)
        # The page asks each second: without a search no name is put together.
        if state in {"", state_of(job, now_ms)} and (not sought or sought in _names(job).lower())
    ]
    tally = books.tally
    return {
        "now_ms": now_ms,
        "api_key": sandbox.faults.reissued_key or config.api_key,
        "webhook_secret": config.webhook_secret,
        "config": {name: getattr(config, name) for name in CHANGEABLE},
        "jobs_by_state": {name: states[name] for name in ("running", "succeeded", "failed")},
        "in_flight": books.in_flight(),
        "peak_in_flight": tally.peak_in_flight,
        "sources": len(books.assets),
        "replays": tally.replays,
        "conflicts": tally.conflicts,
        "in_flight_refused": tally.refused["in_flight"],
        "routes": [
            {
                "route": route,
                "used": books.used(route),
                "limit": limit_,
                "accepted": tally.accepted[route],
                "refused": tally.refused[route],
            }
            for route, limit_ in config.limits.items()
        ],
        "webhooks": dict(tally.webhooks),
        "bill": bill(books),
        "faults": [
            {
                "name": item.name,
                "means": item.metadata["means"],
                "value": getattr(sandbox.faults, item.name),
                "kind": type(item.default).__name__,
                "happened": tally.faults[item.name],
            }
            for item in fields(Faults)
        ],
        "fates": [asdict(rule) for rule in sandbox.rules],
        "fate_names": [fate.value for fate in Fate],
        "jobs_fitting": len(fitting),
        "jobs": [_shown(books, job, now_ms) for job in fitting[:limit]],
    }


def bill(books: Books) -> dict[str, Any]:
    """Return what the jobs that are over cost so far: billed jobs, free ones, and the amount as text."""
    now_ms = books.now_ms()
    over = [job for job in books.jobs.values() if state_of(job, now_ms) == "succeeded"]
    billed = [job for job in over if not job.cached for _ in range(1 + job.billed_twice)]
    prices = {kind: Decimal(price) for kind, price in books.config.prices.items()}
    amount = sum((prices["regenerate" if job.parent else "generation"] for job in billed), Decimal(0))
    return {"lines": len(billed), "free": sum(job.cached for job in over), "amount_usd": f"{amount:.2f}"}


def _names(job: Job) -> str:
    return " ".join((job.job_id, job.asset_id, job.reference or "", json.dumps(job.metadata, ensure_ascii=False)))


def _shown(books: Books, job: Job, now_ms: int) -> dict[str, Any]:
    asset = books.asset_of(job.asset_id)
    return {
        "job_id": job.job_id,
        "state": state_of(job, now_ms),
        "reference": job.reference,
        "metadata": job.metadata,
        "file_name": asset.file_name if asset else "",
        "settings": job.settings,
        "created_ms": job.created_ms,
        "ends_ms": job.ends_ms,
        "webhook_url": job.webhook_url,
        "notified_ms": job.notified_ms,
        "regenerated_from": job.parent,
    }
