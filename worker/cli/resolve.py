"""`stagecrew resolve`: says what became of a create that was never answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.api_doors import OneAccount, with_services
from worker.cli.doors import with_ledger
from worker.cli.naming import named
from worker.cli.terminal import say, stop

if TYPE_CHECKING:
    from worker.cli.doors import LedgerPort
    from worker.services import Services


def resolve(
    context: typer.Context,
    *,
    photo: Annotated[str, typer.Argument(metavar="LISTING/PHOTO", help="An uncertain photo.")],
    job: Annotated[
        str | None, typer.Option(metavar="ID", help="Its job, as the Katalo dashboard or `reconcile` shows it.")
    ] = None,
    account: OneAccount = None,
    create_again: Annotated[
        bool,
        typer.Option("--create-again", help="There is no job: create one. If there is one after all, both are billed."),
    ] = False,
) -> None:
    """Let an uncertain photo go on: with the job that it has, which is read and checked, or with a new one.

    The fleet looks for such jobs in the billing ledger by itself; this is for what it does not find.
    """
    if (job is None) is not create_again:
        stop("say one of --job ID and --create-again")
    if create_again:
        with_ledger(context, lambda ledger: _again(ledger, photo), account)
        say(f"{photo}: sent again under a new key; it is another job")
        return
    assert job is not None
    why = with_services(context, lambda services: _with_job(services, photo, job), account=account)
    say(f"{photo}: goes on with {job}; {why}")


async def _again(ledger: LedgerPort, photo: str) -> None:
    key = await _uncertain(ledger, photo)
    if await ledger.replay([key], create_again=True) != 1:
        stop(f"{photo} has changed meanwhile; look again with `stagecrew status`", exits.TROUBLE)


async def _with_job(services: Services, photo: str, job_id: str) -> str:
    from worker.core.claim import Claim  # noqa: PLC0415 - `--help` must not wait for it
    from worker.katalo.errors import NotFound  # noqa: PLC0415
    from worker.pipeline.uncertain import examine  # noqa: PLC0415

    key = await _uncertain(services.ledger, photo)
    meant = await services.account.uncertain.one(key)
    if meant is None:
        stop(f"{photo} has changed meanwhile; look again with `stagecrew status`", exits.TROUBLE)
    owners = await services.account.bought.find([job_id], await services.account.scripts.now_ms())
    if job_id in owners:
        stop(f"job {job_id} is that of {owners[job_id].listing_id}/{owners[job_id].photo_id}", exits.TROUBLE)
    try:
        how, why = await examine(services, meant, job_id)
    except NotFound:
        stop(f"the API knows no job {job_id} of this organisation; look its id up again", exits.TROUBLE)
    if how is Claim.NO:
        stop(f"{photo} does not go on with {job_id}: {why}", exits.TROUBLE)
    if not await services.account.uncertain.resolve(key, job_id):
        stop(f"{photo} or {job_id} has changed meanwhile; look again with `stagecrew status`", exits.TROUBLE)
    return why


async def _uncertain(ledger: LedgerPort, photo: str) -> str:
    from worker.core.photo import Stage  # noqa: PLC0415 - as above

    views = await named(ledger, photo)
    if len(views) != 1:
        what = "no such photo" if not views else f"{len(views)} photos of that name; write LISTING/PHOTO"
        stop(f"the ledger knows {what}: {photo}", exits.TROUBLE)
    if views[0].stage is not Stage.UNCERTAIN:
        stop(f"{photo} is {views[0].stage}, not uncertain: there is nothing to resolve", exits.TROUBLE)
    return views[0].key
