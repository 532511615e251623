"""Other programs hand photos over as docs/enqueueing.md says: its own snippets, against real processes."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from redis import Redis

from tests.fleet.conftest import DEADLINE_S, Fleet, free_port
from worker.core.identity import generation_key
from worker.core.photo import Stage
from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import embedded_redis
from worker.ledger.intake import IntakeCounters
from worker.services import open_account

Build = Callable[..., Fleet]
DOCUMENT = Path(__file__).parents[2] / "docs" / "enqueueing.md"
TOKEN = "a-token-of-the-tests-0123456789"


def snippets(language: str) -> list[str]:
    """Return the document's blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def produce(crew: Fleet, program: str, broker: str | None = None) -> None:
    """Run a producer elsewhere, with its own Python path; it must not come to import anything of ours."""
    check = "\nimport sys\nassert not {'config', 'tasks', 'worker'} & set(sys.modules)\n"
    subprocess.run(
        [sys.executable, "-P", "-c", program + check],
        cwd=crew.folder,
        env={"PATH": crew.environ["PATH"], "BROKER": broker or crew.redis.url, "PYTHONPATH": str(crew.folder)},
        check=True,
    )


def known(crew: Fleet, listing_id: str) -> Callable[[Any], bool]:
    """Say whether the ledger knows a listing."""
    return lambda _: bool(crew._ask(lambda ledger: ledger.listing(listing_id)))


def counted(crew: Fleet) -> dict[tuple[str, str], int]:
    """Return what came in."""

    async def ask(_: Any) -> dict[tuple[str, str], int]:
        async with open_account(crew.settings) as account:
            return await IntakeCounters(account.scripts).totals()

    found: dict[tuple[str, str], int] = crew._ask(ask)
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[str]:
    """Pictures on a web server of this machine: the address, to which /0.jpg ... /9.jpg are added."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        Image.new("RGB", (64, 48), (number * 20, 40, 90)).save(folder / f"{number}.jpg")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.contextmanager
def gateway(crew: Fleet) -> Iterator[str]:
    """Run `stagecrew gateway` while the block runs; give its address."""
    port = free_port()
    with (crew.folder / "gateway.log").open("wb") as log:
        command = [sys.executable, "-m", "worker.cli", "gateway", "--port", str(port)]
        process = spawn(command, environ=crew.environ | {"STAGECREW_INTAKE_TOKENS": TOKEN}, output=log)
    try:
        crew.wait_for("the gateway", lambda _: "gateway: http" in (crew.folder / "gateway.log").read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process, within_s=20)


def test_producers_that_have_nothing_of_ours_enqueue_through_the_broker(fleet: Build) -> None:
    crew = fleet(workers=1)
    by_celery, by_redis = snippets("python")
    produce(crew, by_celery)
    produce(crew, by_redis)
    crew.wait_for("the photo by Celery", known(crew, "elm-street-14"))
    crew.wait_for("the photo by Redis", known(crew, "elm-street-16"))
    produce(crew, by_celery.replace('    queue="stagecrew.enqueue",\n', "").replace("elm-street-14", "elm-street-15"))
    crew.wait_for("the photo without a queue's name", known(crew, "elm-street-15"))
    crew.wait_for("the counts", lambda _: counted(crew).get(("celery", "hand_overs")) == 3)
    assert counted(crew)["celery", "accepted"] == 3


def test_a_bad_record_in_a_message_is_logged_and_counted_and_the_good_ones_go_on(fleet: Build) -> None:
    crew = fleet(workers=1)
    [by_celery, _] = snippets("python")
    good = '{"photo_id": "kitchen", "source": "https://cdn.example.com/14/kitchen.jpg", "mode": "clean"}'
    secret = "https://cdn.example.com/14/1.jpg?X-Amz-Signature=very-secret"
    bad = f'{{"photo_id": "cellar", "source": "/etc/passwd"}}, {{"photo_id": "x", "source": "{secret}", "mod": "y"}}'
    assert good in by_celery
    produce(crew, by_celery.replace(good, f"{good}, {bad}"))
    crew.wait_for("the good photo", known(crew, "elm-street-14"))
    crew.wait_for("the counts", lambda _: counted(crew).get(("celery", "bad_records")) == 2)
    crew.wait_for("the log", lambda _: crew.logs().count("bad record") == 2)
    assert "files of this machine can't be named here" in crew.logs()
    assert "very-secret" not in crew.logs()


def test_files_below_the_allowed_folder_are_staged_from_a_message(fleet: Build) -> None:
    crew = fleet(workers=0)
    crew.photos(1)
    crew.environ["STAGECREW_ENQUEUE_FILES_BELOW"] = str(crew.folder / "sources")
    crew.start_worker()
    [by_celery, _] = snippets("python")
    produce(crew, by_celery.replace("https://cdn.example.com/14/kitchen.jpg", "0.jpg"))
    crew.wait_for("the photo", lambda snapshot: snapshot.stages.get(Stage.DONE) == 1)
    crew.check_books(staged=1)


def test_another_applications_messages_are_given_back_as_they_were(fleet: Build) -> None:
    crew = fleet(workers=0)
    [by_celery, _] = snippets("python")
    foreign = by_celery.replace('    queue="stagecrew.enqueue",\n', "")
    produce(crew, foreign.replace('"stagecrew.enqueue"', '"shop.send_invoice"'))
    produce(crew, foreign.replace('"stagecrew.enqueue"', '"celery.chord_unlock"'))
    with Redis.from_url(crew.redis.url) as redis:
        before = {json.loads(message)["headers"]["id"] for message in redis.lrange("celery", 0, -1)}
        assert len(before) == 2
        crew.start_worker()
        crew.wait_for("the word of it", lambda _: "another application uses this queue" in crew.logs())
        produce(crew, by_celery)
        crew.wait_for("the photo from our own queue", known(crew, "elm-street-14"))
        crew.wait_for("all of them", lambda _: redis.llen("celery") == 2)
        assert {json.loads(message)["headers"]["id"] for message in redis.lrange("celery", 0, -1)} == before


def test_what_the_document_says_of_http_works_as_it_says(fleet: Build) -> None:
    crew = fleet(workers=0)
    calls = [block for block in snippets("sh") if "curl" in block]
    assert len(calls) == 5
    with gateway(crew) as address:
        environ = {"PATH": crew.environ["PATH"], "GATEWAY": address, "TOKEN": TOKEN}
        said = []
        for call in calls:
            done = subprocess.run(
                ["bash", "-ec", call], cwd=crew.folder, env=environ, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
    assert [json.loads(text)["photos"]["accepted"] for text in said[:2]] == [1, 2]
    assert '"stages":{"accepted":1}' in said[2]
    assert json.loads(said[3])["photo_id"] == "living room"
    assert json.loads(said[4])["photos"][0]["verdict"] == "withdrawn"


def test_reference_and_metadata_are_on_every_job_and_every_completion(fleet: Build, pictures: str) -> None:
    """From the request over HTTP to the job at the API and to the messages: your own, and ours."""
    crew = fleet(workers=1)
    own = {"agent": "J. Doe", "long": "x" * 300, **{f"z{number:02}": str(number) for number in range(12)}}
    listing = {
        "listing_id": "elm/1",
        "partner": "acme",
        "metadata": own | {"floor": "0"},
        "photos": [
            {"photo_id": "a", "source": f"{pictures}/0.jpg", "mode": "clean", "metadata": {"floor": 1}},
            {"photo_id": "b", "source": f"{pictures}/1.jpg", "mode": "clean"},
            {"photo_id": "gone", "source": f"{pictures}/404.jpg", "mode": "clean"},
        ],
    }
    with gateway(crew) as address:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/v1/listings", json.dumps(listing).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202
        crew.wait_for_all(3)
        url = f"{address}/v1/photos/elm%2F1/a"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            told = json.load(answer)
    books = crew.check_books(staged=2)
    metadata = {"a": own | {"floor": "1"}, "b": own | {"floor": "0"}, "gone": own | {"floor": "0"}}

    jobs = {job["metadata"]["photo_id"]: job for job in books["jobs"]}
    assert set(jobs) == {"a", "b"}
    for name, job in jobs.items():
        ours = {"listing_id": "elm/1", "photo_id": name, "partner": "acme"}
        first_ten = dict(sorted(metadata[name].items())[:10])
        assert job["metadata"] == {key: text[:200] for key, text in first_ten.items()} | ours
        assert len(job["metadata"]) == 13

    events = {event["data"].get("photo_id", event["type"]): event for event in crew.events()}
    for name in ("a", "b"):
        data = events[name]["data"]
        assert (data["listing_id"], data["partner"], data["metadata"]) == ("elm/1", "acme", metadata[name])
        assert data["reference"] == jobs[name]["reference"]
        assert data["reference"] == generation_key("default", "elm/1", name, data["fingerprint"])
        manifest = json.loads(crew.stored(data["manifest"]))
        assert (manifest["reference"], manifest["metadata"]) == (data["reference"], metadata[name])
    failed = events["gone"]["data"]
    assert (failed["metadata"], failed["partner"], failed["reference"]) == (metadata["gone"], "acme", None)
    completed = events["stagecrew.listing.completed.v1"]["data"]
    assert (completed["listing_id"], completed["partner"]) == ("elm/1", "acme")
    assert completed["metadata"] == listing["metadata"]

    assert (told["stage"], told["reference"]) == ("done", jobs["a"]["reference"])
    assert [output["name"] for output in told["outputs"]] == [
        output["name"] for output in events["a"]["data"]["outputs"]
    ]
    assert [step["stage"] for step in told["history"]][-3:] == ["storing", "announcing", "done"]

    crew._ask(lambda ledger: ledger._redis.flushall())
    crew.enqueue([_restored(listing)])
    crew.wait_for_all(3)
    again = {event["data"].get("photo_id"): event for event in crew.events()}
    assert again["a"]["data"]["reference"] == jobs["a"]["reference"], "told again from the manifest"
    assert again["a"]["id"] == events["a"]["id"]


def _restored(listing: dict[str, Any]) -> Any:
    from worker.intake.outcome import ParsedListing
    from worker.intake.record import parse_listing

    [found] = parse_listing(listing, where="the test")
    assert isinstance(found, ParsedListing)
    return found.listing


def test_a_message_waits_while_the_ledger_is_away(fleet: Build, tmp_path: Path) -> None:
    crew = fleet(workers=0)
    with embedded_redis(tmp_path / "broker", port=free_port()) as broker:
        crew.environ["STAGECREW_BROKER_URL"] = broker.url
        crew.start_worker()
        crew.wait_for("a leader", lambda snapshot: snapshot.leader is not None)
        crew.redis.kill()
        [by_celery, _] = snippets("python")
        produce(crew, by_celery, broker.url)
        with Redis.from_url(broker.url) as redis:
            _until(lambda: "records not taken yet" in crew.logs(), "the word of it")
            crew.redis.restart()
            crew.wait_for("the photo", known(crew, "elm-street-14"))
            _until(lambda: not redis.llen("stagecrew.enqueue") and not redis.hlen("unacked"), "the acknowledgement")
        stop(crew.workers.pop(), within_s=20)


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)
