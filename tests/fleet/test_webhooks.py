"""Completion by webhook, with real processes: workers, a gateway that is killed and restarted, and a lossy sender."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fleet.conftest import Fleet, free_port
from worker.core.photo import Stage
from worker.embedded.processes import spawn, stop
from worker.sandbox.config import Faults

Build = Callable[..., Fleet]
PHOTOS = 300


class Gateway:
    """A gateway process of a fleet, always on the same port."""

    def __init__(self, crew: Fleet) -> None:
        self.crew = crew
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        crew.environ["STAGECREW_WEBHOOK_PUBLIC_URL"] = f"http://127.0.0.1:{self.port}"
        crew.environ["KATALO_WEBHOOK_SECRET"] = f"a-secret-to-come,{crew.sandbox.webhook_secret}"

    def start(self) -> None:
        """Start it and wait for the line that says that it listens."""
        command = [sys.executable, "-m", "worker.cli", "gateway", "--port", str(self.port)]
        with (self.crew.folder / "worker-gateway.log").open("ab") as log:
            self.process = spawn([*command], environ=self.crew.environ, output=log)
        self.crew.wait_for("the gateway", lambda _: self._answers())

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def webhooks(self) -> Counter[str]:
        """Return the webhooks so far by outcome, as Prometheus sees them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return Counter({s.labels["outcome"]: int(s.value) for s in samples if s.name == "stagecrew_webhooks_total"})

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture
def gateway_of() -> Iterator[Callable[[Fleet], Gateway]]:
    """Give a fleet a gateway; workers that are started from then on ask for webhooks."""
    made: list[Gateway] = []

    def build(crew: Fleet) -> Gateway:
        made.append(Gateway(crew))
        made[-1].start()
        return made[-1]

    yield build
    for gateway in made:
        if gateway.process is not None:
            assert stop(gateway.process, within_s=20) == 0, "it ends in order when it is told to"


def test_three_hundred_photos_are_staged_by_lossy_webhooks_and_a_gateway_killed_in_mid_run(
    fleet: Build, gateway_of: Callable[[Fleet], Gateway]
) -> None:
    faults = Faults(webhooks_lost=0.10, webhooks_doubled=0.20, webhooks_out_of_order=0.05, webhooks_forged=0.01)
    crew = fleet(workers=0, speed=5.0, job_min_s=30, job_max_s=40, faults=faults)
    gateway = gateway_of(crew)
    for _ in range(2):
        crew.start_worker()
    crew.enqueue(crew.photos(PHOTOS))
    crew.wait_for("the middle of the run", lambda snapshot: snapshot.stages.get(Stage.DONE, 0) >= PHOTOS // 3)
    gateway.kill()
    gateway.start()
    crew.wait_for_all(PHOTOS)
    books = crew.check_books(staged=PHOTOS)
    assert books["jobs_created"] == PHOTOS
    assert books["refused"] == {}
    reads = books["accepted"].get("generation_reads", 0) / PHOTOS
    assert reads <= 0.2, books["accepted"]
    assert books["faults"].keys() >= {"webhooks_lost", "webhooks_doubled", "webhooks_out_of_order", "webhooks_forged"}
    webhooks = gateway.webhooks()
    forged = books["faults"]["webhooks_forged"]
    assert books["webhooks"]["forged 401"] == forged > 0, "forged ones are refused"
    assert forged <= webhooks["refused"] <= forged + 1, "and counted; the killed gateway may have counted unanswered"
    assert webhooks["duplicate"] > 0
    assert webhooks["applied"] >= PHOTOS * 0.8
    assert webhooks["kept"] == 0


def test_webhooks_that_overtake_the_creates_answer_and_failures_find_their_photos(
    fleet: Build, gateway_of: Callable[[Fleet], Gateway]
) -> None:
    faults = Faults(webhooks_early=0.3, lost_responses=0.1, failed_jobs=0.1, expired_urls=0.1)
    crew = fleet(workers=0, speed=10.0, faults=faults)
    gateway = gateway_of(crew)
    crew.start_worker()
    crew.enqueue(crew.photos(80))
    crew.wait_for_all(80)
    failed = crew.held(Stage.FAILED)
    assert {view.error_code for view in failed} <= {"quality_rejected"}
    books = crew.check_books(staged=80 - len(failed))
    assert books["jobs_created"] == 80
    assert len(failed) == sum(job["fails"] for job in books["jobs"]) > 0
    assert books["faults"]["webhooks_early"] > 0
    webhooks = gateway.webhooks()
    assert webhooks["read"] >= len(failed), "a failure is read before it is believed"


def test_a_fleet_whose_webhooks_never_come_goes_back_to_reading(fleet: Build) -> None:
    """The address is wrong, or a firewall is in the way: the first jobs are late, the others are not."""
    crew = fleet(workers=0, speed=20.0)
    crew.environ["STAGECREW_WEBHOOK_PUBLIC_URL"] = f"http://127.0.0.1:{free_port()}"
    crew.start_worker()
    crew.enqueue(crew.photos(120))
    crew.wait_for_all(120)
    books = crew.check_books(staged=120)
    assert books["jobs_created"] == 120
    assert books["accepted"]["generation_reads"] > 120, "later jobs are read as they end"
