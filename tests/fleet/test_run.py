"""`stagecrew run` as its user has it: everything brought along, run again, interrupted, and with bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Start `stagecrew` in an empty folder with no settings."""
    environ = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | {"HOME": str(tmp_path)}

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "worker.cli", *words]
        return subprocess.Popen(
            command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return start


def listings(folder: Path, count: int = 6) -> str:
    """Write listings of real pictures as JSON Lines; return the file's name."""
    lines = []
    for number in range(count):
        Image.new("RGB", (240, 160), (40 * number, 90, 120)).save(folder / f"{number}.jpg")
        photo = {"photo_id": f"room {number}", "source": f"{number}.jpg", "mode": "refurnish", "style_preset": "modern"}
        lines.append(json.dumps({"listing_id": f"Listing {number // 2}", "partner": "acme", "photos": [photo]}))
    (folder / "listings.jsonl").write_text("\n".join(lines))
    return "listings.jsonl"


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; return its exit code and all that it printed."""
    said, _ = process.communicate(timeout=200)
    return process.returncode, said


def test_a_run_stages_everything_and_the_next_one_nothing_again(run: Run, tmp_path: Path) -> None:
    code, said = ended(run("run", listings(tmp_path), "--speed", "40"))
    assert code == 0, said
    assert "sandbox" in said.splitlines()[0]
    assert "6 photos staged" in said
    out = tmp_path / "stagecrew-output" / "sandbox"
    assert len(list(out.rglob("manifest.json"))) == 6
    events = [json.loads(line) for line in (out / "completions.jsonl").read_text().splitlines()]
    assert sorted(event["type"] for event in events) == sorted(
        ["stagecrew.photo.staged.v1"] * 6 + ["stagecrew.listing.completed.v1"] * len(_of_listings(events))
    )
    assert len({event["id"] for event in events}) == len(events)
    page = (out / "gallery.html").read_text()
    assert not re.search(r'(src|href)="https?:', page), "the page needs nothing else"
    assert page.count("data:image/jpeg") == 12

    code, said = ended(run("run", "listings.jsonl", "--speed", "40"))
    assert code == 0, said
    assert "nothing was staged again: 6 photos were already staged" in said

    code, said = ended(run("run", "listings.jsonl", "--speed", "40", "--out", "elsewhere", "--json"))
    assert code == 0, said
    assert "6 photos lie where an earlier run put them" in said
    *progress, end = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert {step["kind"] for step in progress} == {"progress"}
    assert [end[name] for name in ("kind", "exit_code", "ending", "total")] == ["ended", 0, "all_ended", 6]


def _of_listings(events: list[dict[str, str]]) -> list[str]:
    return [event["id"] for event in events if event["type"] == "stagecrew.listing.completed.v1"]


def test_an_interrupted_run_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    first = run("run", listings(tmp_path), "--speed", "4", "--plain")
    assert first.stdout is not None
    for line in first.stdout:
        if "generating 6" in line:
            break
    first.send_signal(signal.SIGINT)
    code, said = ended(first)
    assert code == 130, said
    assert "goes on" in said
    code, said = ended(run("run", "listings.jsonl", "--speed", "40"))
    assert code == 0, said
    out = tmp_path / "stagecrew-output" / "sandbox"
    jobs = {json.loads(path.read_text())["job_id"] for path in out.rglob("manifest.json")}
    assert len(jobs) == 6


def test_bad_records_are_named_and_the_good_ones_are_staged(run: Run, tmp_path: Path) -> None:
    name = listings(tmp_path, 1)
    good = (tmp_path / name).read_text()
    photo = '{"photo_id": "p", "source": "0.jpg"'
    bad = {
        "{broken": "not JSON",
        '{"listing_id": "a"}': "photos",
        '{"listing_id": "", "photos": [' + photo + "}]}": "listing_id",
        '{"listing_id": "b", "photos": [' + photo + ', "capture_type": "panorama360", "mode": "refurnish"}]}': "mode",
        '{"listing_id": "c", "photos": [' + photo + ', "capture_type": "panorama360"}]}': "style_preset",
        '{"listing_id": "d", "photos": [' + photo + ', "room_types": ["Kitchen", "Toilet"]}]}': "room_types",
        '{"listing_id": "e", "photos": [' + photo + ', "mode": 3}]}': "mode",
        '{"listing_id": "f", "priority": 12, "photos": [' + photo + "}]}": "priority",
    }
    (tmp_path / name).write_text("\n".join([*bad, good]))
    code, said = ended(run("run", name, "--speed", "40"))
    assert code == 1, said
    for number, field in enumerate(bad.values(), 1):
        told = [line for line in said.splitlines() if re.search(rf"line {number}\b", line)]
        assert any(field in line for line in told), f"line {number}: {field}\n{said}"
    assert "1 photo staged" in said
    assert "Traceback" not in said


def test_settings_that_can_not_be_used_are_one_clear_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STAGECREW_HANDS=many\n")
    code, said = ended(run("status"))
    assert code == 2
    assert "STAGECREW_HANDS" in said
    assert "Traceback" not in said


def test_a_redis_that_is_not_there_is_one_clear_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STAGECREW_REDIS_URL=redis://127.0.0.1:1/0\n")
    code, said = ended(run("status"))
    assert code == 2
    assert "Redis" in said
    assert "Traceback" not in said
