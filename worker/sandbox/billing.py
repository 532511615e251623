"""The simulator's money: the usage summary and the billing ledger, both functions of its jobs and its clock.

A job that succeeded is billed once, some time after its end, whether or not its answer reached anybody. A cached result
is a line that costs nothing, and a doubled bill is a fault that somebody has to notice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from worker.sandbox.books import Books, Job, state_of

#: No page is longer, whatever is asked for.
MAX_PAGE: Final = 100


def usage(books: Books) -> dict[str, Any]:
    """Return the usage summary of the month by the simulator's clock."""
    now_ms = books.now_ms()
    start, end = _month(now_ms)
    jobs = [job for job in books.jobs.values() if start.timestamp() * 1000 <= job.created_ms]
    states = [state_of(job, now_ms) for job in jobs]
    consumed = consumed_jobs(books)
    included = books.config.included
    head: dict[str, Any] = {
        "billing_period": {"start_at": _iso(start), "end_at": _iso(end)},
        "usage": {
            "included": included,
            "consumed": consumed,
            "overage": max(0, consumed - included),
            "remaining": max(0, included - consumed),
        },
        "jobs": {
            "total": len(jobs),
            "succeeded": states.count("succeeded"),
            "failed": states.count("failed"),
            "outputs_returned": sum(1 + job.alternate for job in jobs if state_of(job, now_ms) == "succeeded"),
            "regenerate_count": sum(job.parent is not None for job in jobs),
            "cache_hit_count": sum(job.cached for job in jobs),
        },
    }
    enabled = not books.config.faults.entitlement_ended
    if books.config.readings.older_usage:
        return head | {"access": {"enabled": enabled}}
    limits = {name: {"limit": count, "window_seconds": 60} for name, count in books.config.limits.items()}
    return head | {"entitlement": {"enabled": enabled}, "rate_limits": limits}


def consumed_jobs(books: Books) -> int:
    """Return how many jobs of this month count against the allowance."""
    now_ms = books.now_ms()
    start_ms = _month(now_ms)[0].timestamp() * 1000
    return sum(
        state_of(job, now_ms) == "succeeded" and not job.cached and job.created_ms >= start_ms
        for job in books.jobs.values()
    )


def page(books: Books, cursor: str | None, limit: int) -> dict[str, Any] | None:
    """Return a page of the ledger, or None for a cursor that is none. A cursor says how many older lines there are."""
    lines = sorted(_lines(books), key=lambda line: (line["created_at"], line["event_id"]))
    limit = max(1, min(limit, MAX_PAGE))
    newest_first = books.config.readings.billing_newest_first
    at = len(lines) if newest_first else 0
    if cursor is not None:
        if not cursor.startswith("c") or not cursor[1:].isdigit() or int(cursor[1:]) > len(lines):
            return None
        at = int(cursor[1:])
    if newest_first:
        start = max(0, at - limit)
        shown, onward = lines[start:at][::-1], start if start > 0 else None
    else:
        shown, onward = lines[at : at + limit], at + limit if at + limit < len(lines) else None
    found: dict[str, Any] = {books.config.readings.billing_list: shown}
    if onward is not None:
        found["next_cursor"] = f"c{onward}"
    return found


def _lines(books: Books) -> Iterator[dict[str, Any]]:
    now_ms = books.now_ms()
    for job in books.jobs.values():
        written_ms = int(job.ends_ms + books.config.billing_delay_s * 1000)
        if state_of(job, now_ms) != "succeeded" or written_ms > now_ms:
            continue
        kind = "regenerate" if job.parent else "generation"
        price = "0" if job.cached else books.config.prices[kind]
        for number in range(1 + job.billed_twice):
            yield {
                "event_id": f"evt_{job.job_id[4:]}{'_2' if number else ''}",
                "job_id": job.job_id,
                "usage_type": kind,
                "config_fingerprint": config_fingerprint(job),
                "created_at": _iso(datetime.fromtimestamp(written_ms / 1000, UTC)),
                "source_asset_id": job.asset_id,
                "billable": not job.cached,
                "unit_price_usd": price,
                # Half of the API's readers will take money for a number: both forms are in the contract's range.
                "amount_usd": float(Decimal(price)) if books.config.readings.money_as_number else price,
            }


def config_fingerprint(job: Job) -> str:
    """Return the same text for the same source and settings, in every process."""
    text = f"{job.sha256}|{json.dumps(job.settings, sort_keys=True)}"
    return f"cfg_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _month(now_ms: int) -> tuple[datetime, datetime]:
    start = datetime.fromtimestamp(now_ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start, end


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
