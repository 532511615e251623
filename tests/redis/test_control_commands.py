"""`stagecrew regenerate`, `cancel`, `pause` and `resume` as their user has them, on a real Redis and a real store."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from config.accounts import settings_for
from config.settings import Settings
from worker.cli import app
from worker.cli.doors import Doors
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.core.step import Ending, Step
from worker.flow.dispatching import Orders
from worker.services import Account, open_account
from worker.storage.latest import point_to
from worker.storage.manifest import Manifest
from worker.storage.store import open_store

Stagecrew = Callable[..., Result]


@pytest.fixture
def stagecrew(settings: Settings) -> Stagecrew:
    """Run a command as its user would."""

    def run(*words: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(words), obj=Doors(load_settings=lambda: settings), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def on_account(settings: Settings, work: Callable[[Account], Any]) -> Any:
    """Do something with the account's ledger."""

    async def live() -> Any:
        async with open_account(settings) as account:
            # The account has never sent anything, so no budget has a window to wait for.
            await account.redis.set(f"{account.scripts.root}boot", 0)
            return await work(account)

    return asyncio.run(live())


def enqueue(settings: Settings, listing: str, count: int, partner: str = "acme") -> None:
    """Enqueue a listing."""
    photos = tuple(
        NewPhoto(photo_id=f"p{n}", request=canonical_request(source=f"/{n}.jpg"), metadata={}) for n in range(count)
    )
    new = NewListing(listing_id=listing, partner=partner, photos=photos, metadata={})
    on_account(settings, lambda account: account.ledger.enqueue([new]))


def move(settings: Settings, stage: Stage, count: int = 1) -> None:
    """Let the next photos that are sent out go to `stage`, as workers would have it."""

    async def work(account: Account) -> None:
        await account.admission.heartbeat("w", hands=count, busy=0, version="1")
        orders = await account.dispatching.dispatch("w")
        assert isinstance(orders, Orders)
        for sent in orders.photos:
            batch = await account.ledger.open(sent.step, [(sent.key, sent.token)])
            step = Step(ending=Ending.GO, stage=stage, fields={"job_id": f"job-{sent.key[:6]}"}, delay_ms=3_600_000)
            await account.ledger.settle(batch.opened[0].photo, step)
        assert len(orders.photos) == count

    on_account(settings, work)


def stages(settings: Settings, listing: str = "L") -> dict[str, Stage]:
    """Return where the photos of a listing are."""
    views = on_account(settings, lambda account: account.ledger.listing(listing))
    return {view.photo_id: view.stage for view in views}


def test_one_photo_is_regenerated_without_a_question_and_asking_again_buys_nothing(stagecrew, settings) -> None:
    enqueue(settings, "L", 1)
    move(settings, Stage.DONE)
    result = stagecrew("regenerate", "L/p0")
    assert result.exit_code == 0, result.output
    assert "1 photo waiting for another picture" in result.output
    assert "L/p0 (ingested)" in result.output
    result = stagecrew("regenerate", "L/p0")
    assert result.exit_code == 0
    assert "being made already" in result.output


def test_many_are_regenerated_only_when_somebody_has_agreed_to_what_it_costs(stagecrew, settings) -> None:
    enqueue(settings, "L", 3)
    move(settings, Stage.DONE, 2)
    result = stagecrew("regenerate", "L")
    assert result.exit_code == 2
    assert "up to 2 new jobs, each of which is billed: say --yes to go on" in result.stderr
    assert sorted(stages(settings).values()) == sorted([Stage.DONE, Stage.DONE, Stage.ACCEPTED])
    result = stagecrew("regenerate", "L", "--yes", "--json")
    assert result.exit_code == 0
    answers = json.loads(result.stdout)["photos"]
    assert sorted(answer["verdict"] for answer in answers) == ["asked", "asked", "not_staged"]


def test_all_staged_photos_and_names_from_a_file_can_be_regenerated(stagecrew, settings, tmp_path) -> None:
    enqueue(settings, "L", 2)
    move(settings, Stage.DONE, 2)
    (tmp_path / "names").write_text("L/p0\n\n")
    assert "1 photo waiting for" in stagecrew("regenerate", "--file", str(tmp_path / "names")).output
    assert "1 photo waiting for" in stagecrew("regenerate", "--all", "--yes").output
    assert "no photo to make another picture of" in stagecrew("regenerate", "--all", "--yes").output
    assert stagecrew("regenerate", "--file", "-", stdin="L/p1\n").exit_code == 0


def test_a_photo_that_is_not_staged_or_not_known_is_said_to_be_that(stagecrew, settings) -> None:
    enqueue(settings, "L", 1)
    result = stagecrew("regenerate", "L/p0", "nobody/p")
    assert result.exit_code == 1
    assert "1 photo left alone: not staged" in result.stdout
    assert "nobody/p: neither the ledger nor the store knows such a listing or photo" in result.stderr


def test_a_photo_that_only_the_store_knows_is_regenerated(stagecrew, settings, tmp_path) -> None:
    manifest = Manifest(
        account="default",
        listing_id="a/b",
        photo_id="c",
        partner="acme",
        fingerprint="f",
        revision=1,
        job_id="old",
        request={"source": "/x.jpg"},
        outputs=(),
        created_at="",
        staged_at="",
        metadata={},
    )
    store = open_store(settings.storage_url)
    from worker.storage.names import photo_folder

    name = f"{photo_folder('a/b', 'c', 'f')}/manifest.json"
    asyncio.run(store.put(name, manifest.model_dump_json().encode(), media_type="application/json"))
    asyncio.run(point_to(store, manifest, accepted_ms=1))
    result = stagecrew("regenerate", "a/b/c")
    assert result.exit_code == 0, result.output
    assert "a/b/c (ingested)" in result.stdout
    [view] = on_account(settings, lambda account: account.ledger.listing("a/b"))
    assert (view.parent_job_id, view.regeneration) == ("old", 1)


@pytest.mark.parametrize("words", [(), ("L", "--all")])
def test_regenerate_and_cancel_want_to_know_what(stagecrew, words) -> None:
    assert stagecrew("regenerate", *words).exit_code == 2
    assert stagecrew("cancel", *words).exit_code == 2
    assert stagecrew("resume").exit_code == 2


def test_cancel_says_of_each_photo_whether_it_is_paid_for(stagecrew, settings) -> None:
    enqueue(settings, "L", 3)
    move(settings, Stage.GENERATING, 1)
    result = stagecrew("cancel", "L", "nobody")
    assert result.exit_code == 1
    assert "2 photos withdrawn: no job was created and none will be" in result.stdout
    assert "1 photo paid for already: the result is stored as usual" in result.stdout
    assert "nobody: the ledger knows no such listing or photo" in result.stderr
    result = stagecrew("cancel", "L", "--drop")
    assert "1 photo paid for already: the result will not be stored" in result.stdout
    assert "2 photos left alone: ended before" in result.stdout
    assert "cancelled: its result is to be dropped" in stagecrew("status", "L").output


def test_a_partner_or_everything_is_cancelled_only_when_somebody_has_agreed(stagecrew, settings) -> None:
    enqueue(settings, "L", 2, partner="acme")
    enqueue(settings, "M", 2, partner="other")
    result = stagecrew("cancel", "--partner", "acme")
    assert result.exit_code == 2
    assert "2 waiting photos will be withdrawn; 0 more are paid for, and their results kept" in result.stderr
    assert "2 photos withdrawn" in stagecrew("cancel", "--partner", "acme", "--yes").stdout
    assert set(stages(settings, "M").values()) == {Stage.ACCEPTED}
    assert "2 photos withdrawn" in stagecrew("cancel", "--all", "--yes").stdout
    assert "no photo to cancel" in stagecrew("cancel", "--all", "--yes").stdout


def test_pauses_are_set_shown_and_ended(stagecrew, settings) -> None:
    enqueue(settings, "L", 2)
    assert "neither an account" in stagecrew("pause").stdout
    said = stagecrew("pause", "L", "--reason", "the owner asked").stdout
    assert "2 photos paused" in said
    assert "partner acme is paused" in stagecrew("pause", "--partner", "acme").stdout
    assert "account default is paused" in stagecrew("pause", "--all", "--reason", "budget").stdout
    assert "was paused before" in stagecrew("pause", "--all", "--reason", "budget").stdout
    shown = stagecrew("pause").stdout
    for text in (
        "the account is paused by",
        ": budget",
        "partner acme is paused",
        "listing L is paused",
        "2 photos parked",
    ):
        assert text in shown
    status = stagecrew("status").output
    assert "PAUSED: the account is paused by" in status
    assert "1 listing paused" in status
    assert "PAUSED: the account" in stagecrew("watch", "--plain", "--times", "1").output
    assert "the owner asked" in stagecrew("failed", "--stage", "parked").output
    assert "`stagecrew resume` ends it" in stagecrew("doctor").output
    assert "2 photos resumed" in stagecrew("resume", "L").stdout
    assert "account default goes on" in stagecrew("resume", "--all", "--partner", "acme").stdout
    assert "account default was not paused" in stagecrew("resume", "--all").stdout
    assert "neither an account" in stagecrew("pause").stdout
    assert set(stages(settings).values()) == {Stage.ACCEPTED}


def test_one_photo_is_paused_and_resumed_by_its_name(stagecrew, settings) -> None:
    enqueue(settings, "a/b", 2)
    assert "1 photo paused" in stagecrew("pause", "a/b/p1").stdout
    assert stages(settings, "a/b") == {"p0": Stage.ACCEPTED, "p1": Stage.PARKED}
    assert "1 photo resumed" in stagecrew("resume", "a/b/p1").stdout
    assert "1 photo left alone: not paused" in stagecrew("resume", "a/b/p1").stdout


def test_a_paused_listing_whose_rows_have_gone_can_still_be_resumed(stagecrew, settings) -> None:
    enqueue(settings, "L", 1)
    stagecrew("pause", "L")

    async def forget(account: Account) -> None:
        for key in await account.redis.keys("*:l:*") + await account.redis.keys("*:p:*"):
            await account.redis.delete(key)

    on_account(settings, forget)
    assert "listing L goes on" in stagecrew("resume", "L").stdout
    assert stagecrew("resume", "L").exit_code == 1


def test_a_listing_is_paused_before_anything_of_it_is_there(stagecrew, settings) -> None:
    said = stagecrew("pause", "L", "--reason", "not yet")
    assert (said.exit_code, said.stdout) == (0, "listing L is paused; nothing of it is in the ledger yet\n")
    enqueue(settings, "L", 2)
    assert set(stages(settings).values()) == {Stage.PARKED}
    assert "2 photos resumed" in stagecrew("resume", "L").stdout


def test_answers_of_pause_as_json_name_what_is_unknown(stagecrew, settings) -> None:
    result = stagecrew("pause", "nobody/no photo", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"photos": [], "done": [], "unknown": ["nobody/no photo"]}
    assert "only a whole LISTING can be paused before it is there" in stagecrew("pause", "nobody/no photo").stderr


def test_a_store_that_can_not_be_used_is_one_clear_line(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = settings.model_copy(update={"storage_url": (tmp_path / "file" / "store").as_uri()})
    result = CliRunner().invoke(app, ["regenerate", "a/b"], obj=Doors(load_settings=lambda: broken))
    assert result.exit_code == 2
    assert "STAGECREW_STORAGE_URL" in result.stderr


DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
COMMANDS = [
    line.partition("#")[0].split()[1:]
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    for line in block.replace('"month\'s end"', "month's-end").splitlines()
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_in_the_document_does_what_it_says(stagecrew, settings, tmp_path, monkeypatch, words) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("elm-street-12/living-room\n")
    photo = NewPhoto(photo_id="living-room", request=canonical_request(source="/a.jpg"), metadata={})
    other = NewPhoto(photo_id="kitchen", request=canonical_request(source="/b.jpg"), metadata={})
    listings = [
        NewListing(listing_id="elm-street-12", partner="acme-realty", photos=(photo,), metadata={}),
        NewListing(listing_id="elm-street-14", partner="acme-realty", photos=(other,), metadata={}),
    ]
    on_account(settings, lambda account: account.ledger.enqueue(listings))
    if words[0] == "regenerate":
        move(settings, Stage.DONE, 2)
    result = stagecrew(*words)
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output


def test_the_document_has_commands() -> None:
    assert {words[0] for words in COMMANDS} == {"regenerate", "cancel", "pause", "resume"}


@pytest.fixture
def two_accounts(redis_url: str, tmp_path: Path) -> Settings:
    """Settings of two organisations on one Redis."""
    from config.settings import load_settings

    (tmp_path / "accounts.toml").write_text(
        '[accounts.east]\napi_key = "kat_live_e.1"\n[accounts.west]\napi_key = "kat_live_w.1"\n'
    )
    (tmp_path / "accounts.toml").chmod(0o600)
    return load_settings(
        {
            "STAGECREW_REDIS_URL": redis_url,
            "STAGECREW_STORAGE_URL": (tmp_path / "output").as_uri(),
            "STAGECREW_ACCOUNTS_FILE": str(tmp_path / "accounts.toml"),
        }
    )


def test_of_several_accounts_a_name_is_never_guessed_and_each_can_be_meant(two_accounts: Settings) -> None:
    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words), obj=Doors(load_settings=lambda: two_accounts))

    def put(account: str, listing: str) -> None:
        photo = NewPhoto(photo_id="p", request=canonical_request(source="/a.jpg"), metadata={})
        new = NewListing(listing_id=listing, account=account, photos=(photo,), metadata={})

        async def live() -> None:
            async with open_account(settings_for(two_accounts, account), account) as opened:
                await opened.ledger.enqueue([new])

        asyncio.run(live())

    put("east", "both")
    put("west", "both")
    put("west", "only")
    result = run("cancel", "both")
    assert result.exit_code == 2
    assert "both: accounts east, west have one; say which with --account" in result.stderr
    assert "west: only/p (parked)" in run("pause", "only").stdout
    assert "west: listing only is paused" in run("pause").stdout
    assert "west: only/p (accepted)" in run("resume", "only").stdout
    assert "east: both/p (cancelled)" in run("cancel", "both", "--account", "east").stdout
    assert "account west is paused" in run("pause", "--all", "--account", "west").stdout
    assert "west: account" not in run("pause").stdout
    assert "west: the account is paused" in run("pause").stdout
    assert "2 photos withdrawn" in run("cancel", "--all", "--yes").stdout
