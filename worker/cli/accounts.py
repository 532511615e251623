"""Several accounts on the command line: which are meant, their ledgers one by one, and all of them as one ledger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import typer

from worker.cli import exits
from worker.cli.doors import AccountPort, LedgerPort, doors_of, no_redis, reachable, settings_of
from worker.cli.terminal import stop

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.core.photo import NewListing, Stage
    from worker.intake.routing import Routes
    from worker.ledger.snapshot import Enqueued, PhotoView, Snapshot

T = TypeVar("T")

#: `--account NAME`; None means all of them.
AccountOption: TypeAlias = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="This account only; all unless given.")
]


def chosen(settings: Settings, account: str | None) -> list[str]:
    """Return the accounts that are meant, or end the command with those that there are."""
    from config.accounts import UnknownAccount, accounts_of  # noqa: PLC0415 - `--help` must not wait for pydantic

    known = accounts_of(settings)
    if account is not None and account not in known:
        stop(str(UnknownAccount(account, known)))
    return [account] if account is not None else list(known)


def routes_of(settings: Settings) -> Routes:
    """Return whose records are whose."""
    from config.accounts import accounts_of  # noqa: PLC0415 - as above
    from worker.intake.routing import Routes  # noqa: PLC0415

    return Routes.of(accounts_of(settings))


def with_ledgers(
    context: typer.Context, account: str | None, work: Callable[[Mapping[str, AccountPort]], Awaitable[T]]
) -> T:
    """Run `work` on the open ledgers of the accounts that are meant, by name; troubles end the command with a line."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - as above

    settings = settings_of(context)
    names = chosen(settings, account)
    with reachable(settings) as found:
        try:
            return asyncio.run(_opened(context, found, names, work))
        except (RedisError, OSError) as error:
            stop(no_redis(found, error))
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None


async def _opened(
    context: typer.Context,
    settings: Settings,
    names: Iterable[str],
    work: Callable[[Mapping[str, AccountPort]], Awaitable[T]],
) -> T:
    async with contextlib.AsyncExitStack() as stack:
        return await work(await open_ledgers(stack, doors_of(context).open_ledger, settings, names))


async def open_ledgers(
    stack: contextlib.AsyncExitStack,
    open_ledger: Callable[[Settings], contextlib.AbstractAsyncContextManager[AccountPort]],
    settings: Settings,
    names: Iterable[str],
) -> dict[str, AccountPort]:
    """Open the ledgers of accounts for as long as `stack` lasts."""
    from config.accounts import settings_for  # noqa: PLC0415 - as above

    return {name: await stack.enter_async_context(open_ledger(settings_for(settings, name))) for name in names}


class Ledgers:
    """All accounts' ledgers as one; each listing goes to its account's. All may raise RedisError."""

    def __init__(self, ledgers: Mapping[str, LedgerPort]) -> None:
        """`ledgers`: by account; the completion messages of all are in one stream."""
        self._ledgers = ledgers

    async def enqueue(self, listings: Iterable[NewListing]) -> list[Enqueued]:
        """Accept listings, each in its account; the answers come in the order of the listings."""
        wanted = list(listings)
        answers = {
            name: iter(await ledger.enqueue([listing for listing in wanted if listing.account == name]))
            for name, ledger in self._ledgers.items()
        }
        return [next(answers[listing.account]) for listing in wanted for _ in listing.photos]

    async def snapshot(self) -> Snapshot:
        """Return all accounts in one picture."""
        return together([await ledger.snapshot() for ledger in self._ledgers.values()])

    async def photos(self, stage: Stage, *, limit: int = 100) -> list[PhotoView]:
        """Return the newest photos of a held or failed stage."""
        found = [view for ledger in self._ledgers.values() for view in await ledger.photos(stage, limit=limit)]
        return sorted(found, key=lambda view: -view.stage_since_ms)[:limit]

    async def listing(self, listing_id: str) -> list[PhotoView]:
        """Return all photos of a listing, of whichever account."""
        return [view for ledger in self._ledgers.values() for view in await ledger.listing(listing_id)]

    async def replay(self, keys: Sequence[str], *, create_again: bool = False) -> int:
        """Send held photos on their way again: a key names a photo within one account, so each is asked."""
        return sum([await ledger.replay(keys, create_again=create_again) for ledger in self._ledgers.values()])

    async def unused_api(self) -> None:
        """Say that nothing was ever sent to the API."""
        for ledger in self._ledgers.values():
            await ledger.unused_api()

    async def completions(self, after: str = "0", count: int = 1000) -> list[tuple[str, str]]:
        """Return completion messages after a stream id."""
        return await next(iter(self._ledgers.values())).completions(after, count)


#: Stages that wait for nothing that the fleet does.
_RESTING: Final = frozenset({"done", "failed", "cancelled", "parked", "uncertain"})


def together(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return several accounts in one picture; one alone as it is."""
    from dataclasses import replace  # noqa: PLC0415 - as above

    if len(snapshots) == 1:
        return snapshots[0]
    busy = [one for one in snapshots if any(n for stage, n in one.stages.items() if stage.value not in _RESTING)]
    paused = "; ".join(f"{one.account}: {one.halted}" for one in snapshots if one.halted) or None
    stands_still = bool(busy) and all(one.halted for one in busy)
    stages: dict[Stage, int] = {}
    partners: dict[str, dict[Stage, int]] = {}
    for one in snapshots:
        _add(stages, one.stages)
        for partner, counts in one.partners.items():
            _add(partners.setdefault(partner, {}), counts)
    return replace(
        snapshots[0],
        account=", ".join(one.account for one in snapshots),
        now_ms=max(one.now_ms for one in snapshots),
        stages=stages,
        partners=partners,
        slots_used=sum(one.slots_used for one in snapshots),
        slots_cap=sum(one.slots_cap for one in snapshots),
        budgets=tuple(
            replace(
                of_route[0],
                used=sum(budget.used for budget in of_route),
                count=sum(budget.count for budget in of_route),
                paused_ms=min(budget.paused_ms for budget in of_route),
                granted_total=sum(budget.granted_total for budget in of_route),
                refused_total=sum(budget.refused_total for budget in of_route),
            )
            for of_route in zip(*(one.budgets for one in snapshots), strict=True)
        ),
        hold_ms=max(one.hold_ms for one in snapshots),
        leases=sum(one.leases for one in snapshots),
        paused_reason=paused if stands_still else None,
        partly_paused=None if stands_still else paused,
        # Those of whole accounts are in the two lines above.
        pauses=tuple(pause for one in snapshots for pause in one.pauses if pause.partner is not None),
        paused_listings=sum(one.paused_listings for one in snapshots),
        # The same sinks, and an outbox of each account's for each.
        sinks=tuple(sink for one in snapshots for sink in one.sinks),
    )


def _add(counts: dict[Stage, int], more: Mapping[Stage, int]) -> None:
    for stage, number in more.items():
        counts[stage] = counts.get(stage, 0) + number
