"""The routes below `/v1` for other programs: records in, where photos are, what can be asked of them; their document.

`/v1/openapi.json` and `/docs` need no token: they say nothing that is not in this release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from config.accounts import settings_for
from worker.desks import reception
from worker.gateway.docs_page import page
from worker.gateway.listings import Intake
from worker.gateway.openapi import document
from worker.gateway.operations import routes_of
from worker.gateway.photos import ControlPort, Photos, Window
from worker.gateway.problems import answer
from worker.gateway.rates import Rates
from worker.gateway.table import asking, looking, taking
from worker.ledger.control import Control
from worker.ledger.reading import Reader
from worker.storage.store import open_store

if TYPE_CHECKING:
    from config.rotation import LiveAccounts
    from config.settings import Settings
    from worker.services import Account
    from worker.storage.store import ObjectStore


class Fleet(Protocol):
    """What the gateway has open while it serves."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def live(self) -> LiveAccounts:
        """The accounts as their file has them now."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """The open accounts by name."""


#: Makes an account's control from the account and its store.
ControlOf = Callable[["Account", "ObjectStore"], ControlPort]


def _control(account: Account, store: ObjectStore) -> ControlPort:
    return Control(account.ledger, store=store)


def routes(fleet: Fleet, control_of: ControlOf = _control) -> list[BaseRoute]:
    """Return the routes; the accounts are looked up at each request."""
    settings = fleet.settings
    intake = Intake(lambda: reception(fleet.accounts, fleet.live, door="http"), max_bytes=settings.intake_max_bytes)
    stores = _Stores(settings)
    photos = Photos(lambda: _windows(fleet, stores, control_of))
    operations = [taking(intake), *looking(photos), *asking(photos)]
    described = document(operations)
    shown = page(described)

    async def openapi(_: Request) -> Response:
        return answer(described)

    async def docs(_: Request) -> Response:
        return Response(shown, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    return [
        Route("/v1/openapi.json", openapi),
        Route("/docs", docs),
        *routes_of(operations, settings.intake_tokens, Rates(settings.intake_rate) if settings.intake_rate else None),
    ]


#: The page is text and its own style, nothing else.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


class _Stores:
    """Opens each account's store when it is first asked for; one that can't be opened is tried again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[str, ObjectStore] = {}

    async def of(self, account: str) -> ObjectStore:
        """Return the store of an account. Raises StoreError."""
        if account not in self._open:
            # The cloud's own libraries read files and take a while.
            url = settings_for(self._settings, account).storage_url
            self._open[account] = await asyncio.to_thread(open_store, url)
        return self._open[account]


def _windows(fleet: Fleet, stores: _Stores, control_of: ControlOf) -> dict[str, Window]:
    return {name: _window(name, account, stores, control_of) for name, account in fleet.accounts.items()}


def _window(name: str, account: Account, stores: _Stores, control_of: ControlOf) -> Window:
    async def store() -> ObjectStore:
        return await stores.of(name)

    async def control() -> ControlPort:
        return control_of(account, await store())

    return Window(account=name, reader=Reader(account.scripts, account=name), store=store, control=control)
