"""Writes what a release leaves behind in the middle of its work: `python -m tests.releases.write_snapshot`.

The release's own code runs: its Redis, sandbox, worker, gateway and commands. Photos are brought into every stage in
which they can wait, then the worker is killed, and all there is is packed: `midrun-VERSION.tar.gz` beside this file.

| in the archive | what |
|---|---|
| `redis.json` | every key with its type, value and remaining life; when it was taken, by Redis's clock |
| `sandbox.sql` | the simulator's state; its clock is in `redis.json`, and its address stands as `{SANDBOX}` |
| `output/`, `sources/` | the store, and the sources by relative names |
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
SANDBOX: Final = "{SANDBOX}"
#: The sink that takes nothing, so that its outbox fills.
SINKS: Final = "redis+stream://stagecrew.completions http://127.0.0.1:9/hook#receiver"
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DAY_MS: Final = 86_400_000
ROOT: Final = "sc1:{default}:"


def main() -> None:
    """Run the previous release in a folder of its own, or be the one that it runs."""
    if sys.argv[1:2] == ["inside"]:
        _Run(Path.cwd()).run()
        return
    from tests.releases import PREVIOUS, environ_of, unpacked

    with tempfile.TemporaryDirectory() as folder:
        environ = environ_of(unpacked(Path(folder)), {name: os.environ[name] for name in ("PATH", "HOME")})
        work = Path(folder, "work")
        work.mkdir()
        subprocess.run([sys.executable, __file__, "inside"], env=environ, cwd=work, check=True)
        target = HERE / f"midrun-{PREVIOUS}.tar.gz"
        with tarfile.open(target, "w:gz") as archive:
            for name in ("redis.json", "sandbox.sql", "output", "sources"):
                archive.add(work / name, arcname=name)
    sys.stdout.write(f"{target.name}: {target.stat().st_size} bytes\n")


class _Run:
    """One run of the release whose code is imported here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "sources").mkdir()
        self.pictures = 0

    def run(self) -> None:
        """Bring photos everywhere, stop, and write it all down."""
        from worker.embedded.processes import stop
        from worker.embedded.redis_server import embedded_redis
        from worker.sandbox.config import SandboxConfig
        from worker.sandbox.running import running_sandbox

        config = SandboxConfig(
            speed=20.0, picture="tiny", url_life_s=36_000, job_min_s=2, job_max_s=4, state=str(self.folder / "box.db")
        )
        with contextlib.ExitStack() as stack:
            self.redis = stack.enter_context(embedded_redis(self.folder / "redis"))
            self.box = stack.enter_context(running_sandbox(config))
            os.environ |= {
                "C_FORCE_ROOT": "1",
                "STAGECREW_REDIS_URL": self.redis.url,
                "STAGECREW_BROKER_URL": self.redis.broker_url,
                "STAGECREW_STORAGE_URL": (self.folder / "output").as_uri(),
                "STAGECREW_SPEED": "20",
                "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
                "STAGECREW_LIMITS__IN_FLIGHT": "8",
                "STAGECREW_COMPLETIONS_URL": SINKS,
                "STAGECREW_COMPLETIONS_SECRET": SECRET,
                "KATALO_BASE_URL": self.box.base_url,
                "KATALO_API_KEY": self.box.api_key,
                "KATALO_WEBHOOK_SECRET": self.box.webhook_secret,
            }
            self.ask(lambda services: services.ledger.unused_api())
            worker = self.process("worker", "--name", "w1")
            stack.callback(stop, worker, within_s=5)
            self.bring_everywhere()
            self.box.set_faults(slow_ms=60_000)
            self.wait("steps under way", lambda found: found.leases > 0)
            worker.kill()
            worker.wait()
            self.in_the_way.rmdir()
            self.keep()

    def bring_everywhere(self) -> None:
        """Bring photos into each stage in which they can wait, behind pauses, and messages before a closed sink."""
        self.enqueue("done", 3, broken=1)
        self.until(done=3, failed=1)
        self.box.configure(job_min_s=60, job_max_s=80)
        self.enqueue("storing", 1)
        self.until(generating=1)
        self.block_the_store()
        self.until(storing=1)
        self.box.configure(job_min_s=3_000, job_max_s=3_600)
        self.enqueue("flight", 3)
        self.until(generating=3)
        self.lose_three_creates()
        self.enqueue("ready", 2)
        self.until(ingested=2)
        self.box.configure(ingest_min_s=3_000, ingest_max_s=3_600)
        self.enqueue("taken", 2)
        self.until(ingesting=2)
        self.command("pause", "--partner", "held-partner", "--reason", "their wish")
        self.enqueue("held", 2, partner="held-partner")
        self.pause_route("source_assets")
        self.pause_route("source_fetches")
        self.enqueue("waiting", 3)
        self.command("pause", "waiting/photo 2")
        self.enqueue("withdrawn", 1)
        self.command("cancel", "withdrawn")
        self.until(accepted=4, parked=1, cancelled=1, storing=1, creating=2, uncertain=1, ingested=2, ingesting=2)

    def block_the_store(self) -> None:
        """Let the outputs of the photo that is waited for find no place."""
        while not (receipts := list(self.folder.glob("output/storing*/**/receipt.json"))):
            time.sleep(0.05)
        self.in_the_way = receipts[0].with_name("primary.jpg")
        self.in_the_way.mkdir()

    def lose_three_creates(self) -> None:
        """Three jobs whose creates were never answered: one found too late, one whose webhook came early, one plain."""
        self.pause_route("generations")
        self.enqueue("lost", 3)
        self.until(ingested=3)
        self.box.set_faults(lost_responses=1.0)
        self.client().hdel(f"{ROOT}pauses", "generations")
        self.until(creating=3)
        self.wait("the jobs", lambda _: self.box.books()["jobs_created"] == 10)
        late = self.row("lost", "photo 0")
        self.box.set_faults(api_down=True)
        self.client().hset(late, "sent_ms", int(self.client().hget(late, "sent_ms")) - DAY_MS)
        self.until(uncertain=1)
        self.pause_route("generations")
        self.box.set_faults(api_down=False, lost_responses=0.0)
        self.early_webhook(self.client().hget(self.row("lost", "photo 1"), "idempotency_key"))

    def early_webhook(self, key: str) -> None:
        """Let the gateway take a webhook in whose job nobody knows yet: it names neither reference nor source."""
        [job] = [job for job in self.box.books()["jobs"] if job["key"] == key]
        gateway = self.process("gateway", "--port", "0", output=subprocess.PIPE)
        assert gateway.stdout is not None
        while b"gateway: " not in (line := gateway.stdout.readline()):
            assert line, "the gateway did not start"
        url = f"{self.box.base_url}/files/{job['job_id']}-primary.jpg?expires=0&signature=0"
        body = json.dumps({"event_type": "generation.completed", "job_id": job["job_id"], "outputs": [{"url": url}]})
        signature = hmac.new(self.box.webhook_secret.encode(), body.encode(), hashlib.sha256).hexdigest()
        where = line.decode().split()[1].rstrip(",")
        asked = urllib.request.Request(where, data=body.encode(), headers={"x-katalo-signature": signature})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert answer.status in {200, 202, 204}
        gateway.terminate()
        gateway.wait()
        assert self.client().exists(f"{ROOT}inbox:{job['job_id']}")

    def enqueue(self, listing: str, count: int, *, broken: int = 0, partner: str = "acme") -> None:
        """Enqueue a listing of new pictures, with relative names; the last ones of them no pictures."""
        from PIL import Image

        from worker.core.photo import NewListing, NewPhoto
        from worker.core.request import canonical_request

        photos = []
        for number in range(count + broken):
            source = Path("sources", f"{listing}-{number}.jpg")
            self.pictures += 1
            Image.new("RGB", (16, 12), (self.pictures * 5 % 256, 90, 30)).save(source)
            if number >= count:
                source.write_text("<html>not found</html>")
            asked = canonical_request(source=str(source), mode="refurnish", style_preset="modern")
            photos.append(NewPhoto(photo_id=f"photo {number}", request=asked, metadata={"n": str(number)}))
        new = NewListing(listing_id=listing, partner=partner, photos=tuple(photos), metadata={"run": "0.2.0"})
        self.ask(lambda services: services.ledger.enqueue([new]))

    def until(self, **stages: int) -> None:
        """Wait until so many photos are in these stages."""
        self.wait(str(stages), lambda found: all(found.stages.get(name, 0) == count for name, count in stages.items()))

    def wait(self, what: str, true: Callable[[Any], bool]) -> None:
        """Wait until the ledger shows something."""
        deadline = time.monotonic() + 60
        while not true(found := self.ask(lambda services: services.ledger.snapshot())):
            assert time.monotonic() < deadline, f"{what} did not come: {found}"
            time.sleep(0.05)

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """Ask the account's services."""
        from config.settings import load_settings
        from worker.services import open_services

        async def ask() -> Any:
            async with open_services(load_settings()) as services:
                return await question(services)

        return asyncio.run(ask())

    def pause_route(self, route: str) -> None:
        """Pause a route for the whole fleet, as a 429 does; for ten minutes."""
        self.ask(lambda services: services.admission.refused(route, 600_000))

    def row(self, listing: str, photo: str) -> str:
        """Return the key of a photo's row."""
        for key in self.client().scan_iter(f"{ROOT}p:*"):
            if self.client().hmget(key, "listing_id", "photo_id") == [listing, photo]:
                return str(key)
        raise LookupError(listing)

    def command(self, *arguments: str) -> None:
        """Run one of the release's commands."""
        subprocess.run([sys.executable, "-m", "worker.cli", *arguments], check=False, stdout=subprocess.DEVNULL)

    def process(self, *arguments: str, output: int | None = None) -> subprocess.Popen[bytes]:
        """Start one of the release's processes."""
        from worker.embedded.processes import spawn

        return spawn([sys.executable, "-m", "worker.cli", *arguments], environ=os.environ, output=output)

    def client(self) -> Any:
        """Return a client of the ledger's Redis."""
        from redis import Redis

        return Redis.from_url(self.redis.url, decode_responses=True)

    def keep(self) -> None:
        """Write down Redis, the sandbox and when it was."""
        client = self.client()
        seconds, micros = client.time()
        box = sqlite3.connect(self.folder / "box.db")
        clock = json.loads(box.execute("SELECT value FROM kept WHERE kind='clock'").fetchone()[0])
        at_ms = seconds * 1000 + micros // 1000
        kept = {
            "at_ms": at_ms,
            "api_ms": clock["api_ms"] + (at_ms - clock["wall_ms"]) * clock["speed"],
            "keys": dict(sorted(_keys(client), key=lambda item: item[0])),
        }
        # The order of a stream's fields counts, so nothing is sorted within a value.
        text = json.dumps(kept, indent=0, ensure_ascii=False)
        Path("redis.json").write_text(text.replace(self.box.base_url, SANDBOX), encoding="utf-8")
        Path("sandbox.sql").write_text("\n".join(box.iterdump()), encoding="utf-8")
        box.close()


def _keys(client: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every key with all that makes it."""
    read: dict[str, Callable[[str], Any]] = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": lambda key: sorted(client.smembers(key)),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": client.xrange,
    }
    for key in client.scan_iter("*"):
        kind = client.type(key)
        yield key, {"type": kind, "pttl": client.pttl(key), "value": read[kind](key)}


if __name__ == "__main__":
    main()
