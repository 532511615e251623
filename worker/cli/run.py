"""`stagecrew run`: stages photos here and now, with everything it needs brought along, and shows how it goes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import exits
from worker.cli.doors import Doors, LedgerPort, doors_of, no_redis, settings_of
from worker.cli.terminal import complain, console, count, say, says_lines, stop

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.cli.crew import Crew
    from worker.cli.following import Ending
    from worker.cli.intake import Reading
    from worker.cli.progress import Kind
    from worker.cli.surroundings import Surroundings
    from worker.cli.tracker import Tracker
    from worker.core.photo import NewListing
    from worker.ledger.snapshot import Enqueued
    from worker.storage.store import ObjectStore


def run(
    context: typer.Context,
    *,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE_OR_FOLDER", help="JSON Lines, CSV, pictures' folder; - is standard input."),
    ],
    redis_url: Annotated[str | None, typer.Option(help="The ledger's Redis; its own unless given or set.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for outputs, messages and the page.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines instead of a live picture.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines: the progress, then how it ended.")] = False,
    speed: Annotated[float | None, typer.Option(min=0.1, help="Speed of the sandbox's clock; 10 unless given.")] = None,
    seed: Annotated[int, typer.Option(help="The sandbox's seed.")] = 1,
    open_page: Annotated[bool, typer.Option(help="Open the page in a browser at the end.")] = False,
) -> None:
    """Stage photos here and now: Redis, workers and (without an API key) the sandbox are brought along.

    Staging the same photos again costs nothing: what is staged stays so, and what was interrupted goes on.
    """
    settings = settings_of(context)
    if redis_url is not None:
        settings = _with_redis(settings, redis_url)
    from config.accounts import has_key  # noqa: PLC0415 - `--help` must not wait for it

    if speed is not None and has_key(settings):
        stop("--speed is the sandbox's; the real API has its own time")
    for source in sources:
        if source != "-" and not Path(source).exists():
            stop(f"{source}: there is no such file or folder")

    from worker.cli.surroundings import surroundings  # noqa: PLC0415 - `--help` must not wait for it

    with _troubles(settings):
        with surroundings(settings, out=out, speed=speed, seed=seed) as ready:
            tell = complain if as_json else say
            for line in ready.describe():
                tell(line)
            kind: Kind = "json" if as_json else "plain" if plain or says_lines() else "live"
            one = _Run(doors_of(context), ready, sources, kind=kind)
            code = asyncio.run(one.run(workers))
        # Said when all is down: whoever reads the last line may start the next command at once.
        for line in one.last_lines:
            tell(line)
        if as_json:
            say(json.dumps({"kind": "ended", "exit_code": code, **one.end}))
    if open_page and one.page is not None:
        typer.launch(one.page.as_uri())
    raise typer.Exit(code)


@contextlib.contextmanager
def _troubles(settings: Settings) -> Iterator[None]:
    """Turn what can go wrong around a run into a line and an exit code."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - as above

    from worker.cli.crew import CrewTrouble  # noqa: PLC0415
    from worker.cli.state_folder import StateFolderBusy  # noqa: PLC0415
    from worker.embedded.redis_server import RedisNotStarted  # noqa: PLC0415
    from worker.storage.errors import StoreError  # noqa: PLC0415

    try:
        yield
    except (StateFolderBusy, RedisNotStarted, StoreError) as error:
        stop(str(error))
    except CrewTrouble as error:
        stop(str(error), exits.TROUBLE)
    except RedisError as error:
        stop(no_redis(settings, error))
    except OSError as error:
        stop(f"{error.filename or 'this machine'}: {error.strerror or error}")
    except KeyboardInterrupt:
        stop("interrupted; the next run goes on where this one stopped", exits.INTERRUPTED)


def _with_redis(settings: Settings, url: str) -> Settings:
    from pydantic import SecretStr  # noqa: PLC0415 - as above

    from config.redis_address import redis_address  # noqa: PLC0415

    try:
        redis_address(url)
    except ValueError as error:
        stop(f"--redis-url: {error}")
    return settings.model_copy(update={"redis_url": SecretStr(url)})


class _Run:
    """One run, from the first record to the last line."""

    def __init__(self, doors: Doors, ready: Surroundings, sources: list[str], *, kind: Kind) -> None:
        self._doors = doors
        self._ready = ready
        self._sources = sources
        self._kind = kind
        self._tell = complain if kind == "json" else say
        #: The first photos, for the page.
        self._shown: list[NewListing] = []
        self.page: Path | None = None
        #: Staged photos whose manifest is not in this run's store.
        self._elsewhere = 0
        self.last_lines: list[str] = []
        #: How it ended, for programs.
        self.end: dict[str, Any] = {}

    async def run(self, workers: int) -> int:
        """Enqueue, follow, stop the workers, report; return the exit code."""
        from worker.cli.accounts import Ledgers, chosen, open_ledgers, routes_of  # noqa: PLC0415
        from worker.cli.crew import Crew  # noqa: PLC0415 - `--help` must not wait for any of these
        from worker.cli.intake import Reading  # noqa: PLC0415
        from worker.cli.journal import Journal  # noqa: PLC0415
        from worker.cli.progress import display  # noqa: PLC0415
        from worker.cli.summary import exit_code, summary, summary_json  # noqa: PLC0415
        from worker.cli.tracker import Tracker  # noqa: PLC0415

        ready, begun_s = self._ready, time.monotonic()
        crew = Crew(ready.settings, ready.folder.logs, ready.sandbox)
        interrupted = _interruption(crew)
        reading = Reading(sources=self._sources, report=complain, routes=routes_of(ready.settings))
        tracker = Tracker()
        async with contextlib.AsyncExitStack() as stack:
            names = chosen(ready.settings, None)
            ledger = Ledgers(await open_ledgers(stack, self._doors.open_ledger, ready.settings, names))
            if ready.untouched:
                await ledger.unused_api()
            begun_ms = (await ledger.snapshot()).now_ms
            journal = Journal(
                ready.out / "completions.jsonl",
                begun_ms=begun_ms,
                position=ready.position(),
                noted=ready.note_position,
            )
            try:
                crew.start(workers)
                await self._enqueue(ledger, reading, tracker, interrupted)
                from worker.cli.delivering import deliver_rest  # noqa: PLC0415
                from worker.cli.following import Ending, follow  # noqa: PLC0415

                with display(self._kind, console()) as shown:
                    ending = await follow(
                        ledger, tracker=tracker, journal=journal, display=shown, crew=crew, interrupted=interrupted
                    )
                undelivered = await deliver_rest(ledger, interrupted)
                if interrupted.is_set():
                    ending = Ending.INTERRUPTED
                    self._tell(
                        "stopping: the workers finish what they are doing, up to 10 s; Ctrl-C again stops at once"
                    )
            finally:
                await asyncio.to_thread(crew.stop)
            await journal.copy(ledger, tracker)
        elapsed_s = time.monotonic() - begun_s
        await self._look_back(tracker, begun_ms, ending)
        self.last_lines = [
            *summary(tracker, ending, elapsed_s=elapsed_s, bad_records=len(reading.bad)),
            *undelivered,
            self._where(journal.path),
        ]
        self.end = {
            "ending": str(ending),
            "elapsed_s": elapsed_s,
            "bad_records": len(reading.bad),
            **summary_json(tracker),
            "outputs": [store.describe() for store in self._stores().values()],
            "messages": str(journal.path) if journal.path.exists() else None,
            "page": str(self.page) if self.page is not None else None,
        }
        return exit_code(tracker, ending, bad_records=len(reading.bad))

    async def _enqueue(
        self, ledger: LedgerPort, reading: Reading, tracker: Tracker, interrupted: asyncio.Event
    ) -> None:
        from worker.cli.intake import enqueue_all  # noqa: PLC0415 - as above
        from worker.cli.page import MOST_MANIFESTS  # noqa: PLC0415

        def each(some: list[NewListing], answers: list[Enqueued]) -> None:
            tracker.enqueued(some, answers)
            self._shown += islice(some, max(0, MOST_MANIFESTS - len(self._shown)))

        await enqueue_all(ledger, takewhile(lambda _: not interrupted.is_set(), reading), each)
        self._tell(f"{count(tracker.total, 'photo')} of {count(reading.listings, 'listing')} enqueued")

    async def _look_back(self, tracker: Tracker, begun_ms: int, ending: Ending) -> None:
        """Write the page, and tell old outputs from new ones. Troubles of it don't spoil the run."""
        from worker.cli.page import name_of, older_than, photos_of, read_manifests, render_page  # noqa: PLC0415 - as above
        from worker.core.photo import Stage  # noqa: PLC0415
        from worker.storage.errors import StoreError  # noqa: PLC0415
        from worker.storage.sources import SourceReader  # noqa: PLC0415

        settings = self._ready.settings
        try:
            stores = self._stores()
            photos = list(photos_of(self._shown))
            manifests = await read_manifests(stores, photos, tracker.outcomes)
            tracker.staged_earlier(older_than(manifests, begun_ms))
            names = {name_of(listing, photo) for listing, photo in photos}
            staged = {name for name in names if (seen := tracker.outcomes.get(name)) and seen.stage is Stage.DONE}
            self._elsewhere = len(staged - manifests.keys())
            if ending == "interrupted":
                return
            sources = SourceReader(
                allow_private_hosts=settings.allow_private_hosts, max_bytes=settings.max_source_bytes
            )
            try:
                text = await render_page(stores, sources, photos, outcomes=tracker.outcomes, manifests=manifests)
            finally:
                await sources.aclose()
            if text is not None:
                page = self._ready.out / "gallery.html"
                page.write_text(text, "utf-8")
                self.page = page
        except (StoreError, OSError) as error:
            complain(f"the page could not be written: {error}")

    def _stores(self) -> dict[str, ObjectStore]:
        """Return each account's store."""
        from config.accounts import accounts_of  # noqa: PLC0415 - as above
        from worker.storage.store import open_store  # noqa: PLC0415

        return {name: open_store(account.storage_url) for name, account in accounts_of(self._ready.settings).items()}

    def _where(self, messages: Path) -> str:
        places = ", ".join(store.describe() for store in self._stores().values())
        parts = [f"outputs and manifests: {places}"]
        if self._elsewhere:
            those = count(self._elsewhere, "photo")
            parts.append(f"but {those} lie where an earlier run put them (another --out or STAGECREW_STORAGE_URL)")
        if messages.exists():
            parts.append(f"messages: {messages}")
        if self.page is not None:
            parts.append(f"page: {self.page}")
        return "; ".join(parts)


def _interruption(crew: Crew) -> asyncio.Event:
    """Return the event that Ctrl-C or SIGTERM sets; a second one ends the workers at once."""
    interrupted = asyncio.Event()

    def on_signal() -> None:
        if interrupted.is_set():
            crew.kill()
        interrupted.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return interrupted
