"""What the API says about use and money, in every reading of the contract's open points (section 12, points 45 to 50).

Nothing here raises, and a field that is absent is unknown: it is never "no" and never zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from worker.core.routes import Route
from worker.katalo.fields import filled, flag, identifier, mapping, money, text
from worker.katalo.masking import clean

#: Names that the ledger's list may have; without any of them it is the only array there is.
LEDGER_FIELDS: Final = ("events", "data", "items", "billing_events")
_PAGING_FIELDS: Final = ("pagination", "paging", "page", "meta")
#: Where a plain "no" would stand; no other word of an entitlement means it.
_ENABLED_FIELDS: Final = ("enabled", "api_access", "api_enabled")
#: How a number of requests may be named, and the window it is counted in, in seconds.
_COUNT_FIELDS: Final = ("limit", "max", "requests", "count", "value")
_WINDOW_FIELDS: Final = ("window_seconds", "window_s", "per_seconds", "period_seconds", "window")
_MINUTE_S: Final = 60
_DAY_S: Final = 86_400
#: A larger number is no limit that a budget could be made of.
_MOST: Final = 1_000_000
_IN_FLIGHT: Final = re.compile(r"(max_)?(in_flight|inflight|concurrent)(_generation)?(_jobs)?(_limit)?")
_PER_MINUTE: Final = re.compile(r"_?(requests)?_?per_(minute|min)$|_rpm$")
_ROUTES: Final = frozenset(route.value for route in Route)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSummary:
    """The usage summary; what the answer lacks is None or empty, and never means "no"."""

    #: False only when the answer says so itself.
    enabled: bool | None
    raw: Mapping[str, object] = field(repr=False)
    period_start: str | None = None
    period_end: str | None = None
    #: Numbers of the period by name, as given; their unit is not documented.
    usage: Mapping[str, Decimal] = field(default_factory=dict)
    jobs: Mapping[str, Decimal] = field(default_factory=dict)
    #: What is recognised of the policy in force, as the settings write it: `120/60s` by route, `50` for `in_flight`.
    rate_limits: Mapping[str, str] = field(default_factory=dict)
    #: Names of the limits in it that are not recognised.
    unknown_limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEvent:
    """One line of the billing ledger; an absent amount is unknown, not zero."""

    event_id: str | None
    job_id: str | None
    usage_type: str | None
    config_fingerprint: str | None
    created_at: str | None
    source_asset_id: str | None
    billable: bool | None
    unit_price_usd: Decimal | None
    amount_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingPage:
    """One page of the billing ledger; no `next_cursor`: the last one."""

    events: tuple[BillingEvent, ...]
    next_cursor: str | None


def usage_of(answer: Mapping[str, object]) -> UsageSummary:
    """Return the usage summary; only an explicit false means that the organisation may not use the API."""
    said = [enabled for name in ("entitlement", "access") for enabled in _flags(answer.get(name))]
    period = mapping(answer.get("billing_period"))
    return UsageSummary(
        enabled=all(said) if said else None,
        raw=answer,
        period_start=filled(period.get("start_at")),
        period_end=filled(period.get("end_at")),
        usage=_numbers(answer.get("usage")),
        jobs=_numbers(answer.get("jobs")),
        rate_limits=rate_limits_of(answer.get("rate_limits")),
        unknown_limits=tuple(
            text
            for name, value in mapping(answer.get("rate_limits")).items()
            if not rate_limits_of({name: value}) and (text := clean(str(name)))
        ),
    )


def rate_limits_of(found: object) -> dict[str, str]:
    """Return the limits that are recognised, by the settings' names; unknown shapes are left out (point 27).

    A number under a route's name, or that name with `_per_minute`, is per minute; an object may name its window.
    """
    limits: dict[str, str] = {}
    for name, value in mapping(found).items():
        key = str(name).lower()
        if _IN_FLIGHT.fullmatch(key):
            if (jobs := _count(value) or _first_count(value, _COUNT_FIELDS)) is not None:
                limits["in_flight"] = str(jobs)
            continue
        route = _PER_MINUTE.sub("", key)
        if route in _ROUTES and (limit := _limit(value)) is not None:
            limits[route] = limit
    return limits


def billing_of(answer: object) -> BillingPage:
    """Return a page of the ledger, whatever its list is called (point 47)."""
    if isinstance(answer, list):
        return BillingPage(events=tuple(_events(answer)), next_cursor=None)
    page = mapping(answer)
    lists = [page[name] for name in LEDGER_FIELDS if isinstance(page.get(name), list)]
    lists += [value for value in page.values() if isinstance(value, list)]
    cursors = (identifier(part.get("next_cursor")) for part in (page, *(mapping(page.get(n)) for n in _PAGING_FIELDS)))
    return BillingPage(
        events=tuple(_events(lists[0])) if lists else (),
        next_cursor=next((cursor for cursor in cursors if cursor), None),
    )


def _flags(part: object) -> Iterator[bool]:
    for value in (part, *(mapping(part).get(name) for name in _ENABLED_FIELDS)):
        if isinstance(value, bool):
            yield value


def _numbers(found: object) -> dict[str, Decimal]:
    amounts = ((str(name), money(value)) for name, value in mapping(found).items())
    return {name: amount for name, amount in amounts if amount is not None}


def _limit(value: object) -> str | None:
    plain = _count(value)
    if plain is not None:
        return f"{plain}/{_MINUTE_S}s"
    fields = mapping(value)
    per_minute = _first_count(fields, ("per_minute", "requests_per_minute", "limit_per_minute", "rpm"))
    if per_minute is not None:
        return f"{per_minute}/{_MINUTE_S}s"
    count = _first_count(fields, _COUNT_FIELDS)
    windows = [fields[name] for name in _WINDOW_FIELDS if name in fields]
    if count is None:
        return None
    if not windows:
        return f"{count}/{_MINUTE_S}s"
    window_s = _MINUTE_S if windows[0] in {"minute", "1m", "60s"} else _count(windows[0])
    # A window that is not understood would turn the number into another limit.
    return f"{count}/{window_s}s" if window_s is not None and window_s <= _DAY_S else None


def _first_count(fields: object, names: tuple[str, ...]) -> int | None:
    return next((count for name in names if (count := _count(mapping(fields).get(name))) is not None), None)


def _count(value: object) -> int | None:
    number = money(value)
    if number is None or number != number.to_integral_value() or not 0 < number <= _MOST:
        return None
    return int(number)


def _events(items: object) -> Iterator[BillingEvent]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            yield BillingEvent(
                event_id=identifier(item.get("event_id")),
                job_id=identifier(item.get("job_id")),
                usage_type=text(item.get("usage_type")),
                config_fingerprint=identifier(item.get("config_fingerprint")),
                created_at=text(item.get("created_at")),
                source_asset_id=identifier(item.get("source_asset_id")),
                billable=flag(item.get("billable")),
                unit_price_usd=money(item.get("unit_price_usd")),
                amount_usd=money(item.get("amount_usd")),
            )
