"""A reconciliation as people and programs read it: tables, CSV (a row a bill), JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Final

from rich.console import Group, RenderableType

from worker.cli.tables import bare_table, row
from worker.core.events import timestamp
from worker.core.reconcile import NOBODY, TROUBLE, Amount, Entry, Kind, Report

#: Listings and troubles that a table shows; CSV and JSON have them all.
MOST_ROWS: Final = 40
_WORDS: Final = {
    Kind.STAGED: "billed and staged",
    Kind.IN_WORK: "billed, on its way",
    Kind.CANCELLED: "billed, then cancelled",
    Kind.NOT_STAGED: "BILLED, NOT STAGED",
    Kind.TWICE: "BILLED TWICE",
    Kind.UNKNOWN: "BILLED, UNKNOWN TO US",
    Kind.FREE: "staged, not billed",
    Kind.NOT_YET: "staged, bill may come",
    Kind.REFUNDED: "given back, and refunds",
}
_COLUMNS: Final = (
    "kind", "event_id", "job_id", "usage_type", "created_at", "billable", "amount_usd",
    "partner", "listing_id", "photo_id", "fingerprint", "revision", "source_asset_id", "note",
)  # fmt: skip


def as_table(report: Report) -> RenderableType:
    """Return what it comes to, by kind, partner and listing, and all that does not add up."""
    kinds = bare_table("what", ">bills", ">USD", ">without amount")
    for kind in Kind:
        if amount := report.kinds.get(kind):
            _amounts(kinds, _WORDS[kind], amount)
    _amounts(kinds, "all bills", report.total)
    parts: list[RenderableType] = [kinds]
    if report.partners:
        parts += ["", _partners(report)]
    if report.listings:
        parts += ["", _listings(report)]
    if report.troubles:
        parts += ["", _troubles(report)]
    return Group(*parts)


def _partners(report: Report) -> RenderableType:
    table = bare_table("partner", ">bills", ">USD", ">without amount")
    for name, amount in report.partners.items():
        _amounts(table, name if name != NOBODY else "(no photo of ours)", amount)
    return table


def _listings(report: Report) -> RenderableType:
    table = bare_table("partner", "listing", ">bills", ">USD")
    dearest = sorted(report.listings.items(), key=lambda item: (-item[1].usd, item[0]))
    for (partner, listing), amount in dearest[:MOST_ROWS]:
        row(table, partner, listing, f"{amount.lines:,}", f"{amount.usd:f}")
    if len(dearest) > MOST_ROWS:
        row(table, f"({len(dearest) - MOST_ROWS} more: --format csv has all)")
    return table


def _troubles(report: Report) -> RenderableType:
    table = bare_table("does not add up", "job", "photo", ">USD", "why")
    for entry in report.troubles[:MOST_ROWS]:
        row(table, _WORDS[entry.kind], _job(entry), _photo(entry), _usd(entry), entry.note)
    if len(report.troubles) > MOST_ROWS:
        row(table, f"({len(report.troubles) - MOST_ROWS} more: --format csv has all)")
    return table


def as_csv(report: Report) -> str:
    """Return one row for each bill, and for each job without one; amounts with all their digits."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in _fields(entry).items()} for entry in report.entries)
    return out.getvalue().rstrip("\n")


def as_json(report: Report) -> str:
    """Return everything; money is text, and what is not known is null."""
    return json.dumps(
        {
            "since": _moment(report.since_ms),
            "until": _moment(report.until_ms),
            "partner": report.partner,
            "adds_up": report.adds_up,
            "total": _plain(report.total),
            "kinds": {kind.value: _plain(report.kinds[kind]) for kind in Kind if kind in report.kinds},
            "partners": {name: _plain(amount) for name, amount in report.partners.items()},
            "listings": [
                {"partner": partner, "listing_id": listing, **_plain(amount)}
                for (partner, listing), amount in report.listings.items()
            ],
            "troubles": [_fields(entry) for entry in report.entries if entry.kind in TROUBLE],
            "entries": [_fields(entry) for entry in report.entries],
        }
    )


def _fields(entry: Entry) -> dict[str, Any]:
    line, job = entry.line, entry.bought
    return {
        "kind": entry.kind.value,
        "event_id": line.event_id if line else None,
        "job_id": (line.job_id if line else None) or (job.job_id if job else None),
        "usage_type": line.usage_type if line else None,
        "created_at": line.created_at if line else None,
        "billable": line.billable if line else None,
        "amount_usd": f"{line.amount_usd:f}" if line and line.amount_usd is not None else None,
        "partner": job.partner if job else None,
        "listing_id": job.listing_id if job else None,
        "photo_id": job.photo_id if job else None,
        "fingerprint": job.fingerprint if job else None,
        "revision": job.revision if job else None,
        "source_asset_id": (line.source_asset_id if line else None) or (job.source_asset_id if job else None),
        "note": entry.note or None,
    }


def _safe(value: Any) -> Any:
    # A cell that begins like a formula is one to a spreadsheet, and ids come from others.
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


def _plain(amount: Amount) -> dict[str, Any]:
    return {"bills": amount.lines, "amount_usd": f"{amount.usd:f}", "without_amount": amount.unpriced}


def _amounts(table: Any, name: str, amount: Amount) -> None:
    row(table, name, f"{amount.lines:,}", f"{amount.usd:f}", f"{amount.unpriced:,}" if amount.unpriced else "")


def _job(entry: Entry) -> str:
    return _first(entry.line.job_id if entry.line else None, entry.bought.job_id if entry.bought else None)


def _photo(entry: Entry) -> str:
    return f"{entry.bought.listing_id}/{entry.bought.photo_id}" if entry.bought else ""


def _usd(entry: Entry) -> str:
    return f"{entry.line.usd:f}" if entry.line and entry.line.usd is not None else "?"


def _first(*texts: str | None) -> str:
    return next((text for text in texts if text), "")


def _moment(ms: int) -> str | None:
    try:
        return timestamp(ms)
    except (ValueError, OverflowError):
        return None
