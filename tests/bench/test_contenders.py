"""Every contender does the whole job: a few photos each, with real processes, and what is left undone is noticed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import CONTENDERS, SCENARIOS, main, parse
from bench.arena import Arena, open_arena
from bench.contenders.contender import Contender, Deadline, RunFailed, environ_of, nothing
from bench.contenders.fleet import environ_for
from bench.contenders.stagecrew import Stagecrew
from bench.meter import Meter, own_usage, usage_of
from bench.scenarios.alone import alone
from bench.scenarios.options import Options
from bench.work import Work, missing
from config.settings import load_settings, variables
from worker.sandbox.config import SandboxConfig

PHOTOS = 6
FAST = SandboxConfig(speed=20, picture="tiny", job_min_s=2, job_max_s=4)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def arena() -> Iterator[Arena]:
    """An arena with one worker process a contender."""
    with open_arena(workers=1) as opened:
        yield opened


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Work that nobody does."""
    return Work(
        folder=str(tmp_path),
        sources=str(tmp_path),
        photos=1,
        base_url="http://127.0.0.1:1",
        api_key="kat_live_x.y",
        webhook_secret="s",
        speed=20,
        workers=1,
        hands=4,
        in_flight=50,
        limited=True,
    )


def fill(work: Work) -> None:
    """Do the work by hand."""
    folder = work.output / "0"
    folder.mkdir(parents=True)
    (folder / "primary.jpg").write_bytes(b"picture")
    (folder / "manifest.json").write_text(json.dumps({"outputs": [{"role": "primary"}]}))


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.name)
def test_a_contender_does_the_whole_job(arena: Arena, contender: Contender) -> None:
    """`run` itself raises when an output, a manifest or a completion is missing, or a job too many was made."""
    run = arena.run(contender, FAST, PHOTOS)
    assert run.books["jobs_created"] == PHOTOS
    assert {job["status"] for job in run.jobs} == {"succeeded"}
    assert all(job["seen_ms"] >= job["ends_ms"] for job in run.jobs)
    assert run.spent.completed == PHOTOS
    assert set(run.spent.begun_ms) == set(run.spent.done_ms) == {str(number) for number in range(PHOTOS)}
    assert run.peak_bytes > 10_000_000
    assert run.cpu_ms > 0


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.name)
def test_one_by_one_means_that_each_photo_is_alone(arena: Arena, contender: Contender) -> None:
    run = arena.run(contender, FAST, 3, one_by_one=True)
    assert run.books["peak_in_flight"] == 1
    assert run.spent.done_ms["0"] <= run.spent.begun_ms["1"]
    assert run.spent.done_ms["1"] <= run.spent.begun_ms["2"]


def test_without_limits_stagecrew_keeps_to_the_jobs_in_flight_that_it_was_given(arena: Arena) -> None:
    run = arena.run(Stagecrew(), replace(FAST, limits_off=True, in_flight=2), PHOTOS)
    assert run.books["peak_in_flight"] <= 2


def test_a_photo_alone_is_measured_by_what_the_fleet_did(arena: Arena) -> None:
    """The due times come from the ledger's own keys: were they named otherwise, no wait would be found."""
    options = Options(arena=arena, contenders=(Stagecrew(),), photos=2, speed=20, full=False, say=nothing_said)
    figures = {figure.title: figure.values["stagecrew"] for figure in alone(options).figures}
    beyond = figures["one photo alone: beyond the API's own time and the poll interval, median"]
    whole = figures["one photo alone: the same with the waits between reads, median"]
    assert 0 < beyond < whole


def test_a_run_writes_the_document_and_the_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the figures are what is asked is the machine's matter: 1 says that one is not."""
    here = Path.cwd()
    code = main(["--scenario", "scale", "--photos", "60", "--workers", "1", "--write", str(tmp_path)])
    assert code in {0, 1}, capsys.readouterr().err
    assert Path.cwd() == here
    text = (tmp_path / "benchmarks.md").read_text()
    assert "| dispatch script per photo, 1,000 waiting |" in text
    assert "Redis memory per waiting photo" in text
    assert (tmp_path / "benchmarks.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("words", [["--photos", "3"], ["--speed", "0"], ["--workers", "0"], ["--scenario", "none"]])
def test_a_run_that_can_measure_nothing_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(words)
    assert refused.value.code == 2


def test_the_command_names_every_scenario_and_contender() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "worker.cli", "bench", "--help"],
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = set(shown.replace(",", " ").replace(".", " ").split())
    assert {*SCENARIOS, *(one.name for one in CONTENDERS)} <= words


def test_what_is_missing_of_the_job_is_said(work: Work) -> None:
    assert missing(work, completed=1) == "0 manifests for 1 photos"
    fill(work)
    assert missing(work, completed=1) is None
    assert missing(work, completed=0) == "0 completions for 1 photos"
    (work.output / "0" / "primary.jpg").write_bytes(b"")
    assert missing(work, completed=1) == "0 pictures for 1 outputs of 1 photos"


def test_a_contender_that_leaves_something_undone_fails_the_run(arena: Arena) -> None:
    class Idle(Stagecrew):
        def run(self, work: Work, look: object) -> object:  # type: ignore[override]
            done = super().run(replace(work, photos=1), nothing)
            return replace(done, completed=work.photos)

    with pytest.raises(RunFailed, match="did not do the whole job: 1 manifests for 2 photos"):
        arena.run(Idle(), FAST, 2)


def test_a_wait_in_which_nothing_happens_ends_with_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("the reason\n")
    hopeless = Deadline("the run", log, within_s=-1)
    with pytest.raises(RunFailed, match=r"(?s)the run: nothing happens any more.*the reason"):
        hopeless.check()


def test_the_settings_of_a_measured_fleet_exist(work: Work) -> None:
    assert set(environ_for(work, "redis://127.0.0.1:1/0")) <= variables()
    settings = load_settings(environ_for(replace(work, limited=False), "redis://127.0.0.1:1/0"))
    assert settings.limits.generations.count == 1_000_000


def test_no_setting_of_whoever_measures_reaches_a_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATALO_API_KEY", "kat_live_mine.secret")
    monkeypatch.setenv("STAGECREW_HANDS", "1")
    environ = environ_of({"STAGECREW_SPEED": "2"})
    assert "KATALO_API_KEY" not in environ
    assert "STAGECREW_HANDS" not in environ
    assert environ["STAGECREW_SPEED"] == "2"


def test_the_meter_counts_from_its_beginning_and_adds_up_a_role() -> None:
    me = os.getpid()
    meter = Meter({me: "worker"})
    begun = usage_of(me)
    while usage_of(me).cpu_s == begun.cpu_s:
        sum(range(10_000))
    used = meter.read()["worker"]
    assert 0 < used.cpu_s <= usage_of(me).cpu_s
    assert used.peak_bytes == pytest.approx(own_usage().peak_bytes, rel=0.2)


def nothing_said(_: str) -> None:
    """Say nothing."""


def test_without_a_checkout_the_command_says_where_the_benchmarks_are(tmp_path: Path) -> None:
    for package in ("worker", "config", "tasks"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    said = subprocess.run(
        [sys.executable, "-P", "-m", "worker.cli", "bench"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    assert "source checkout" in said.stderr
