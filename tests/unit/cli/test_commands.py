"""What each command says, and the code with which it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from tests.unit.cli.conftest import budget, snapshot, view, working_worker
from worker.cli import exits, finding
from worker.core.photo import Stage
from worker.ledger.snapshot import CappedView, PauseView, Verdict

GOOD = '{"listing_id": "L1", "photos": [{"photo_id": "a", "source": "https://photos.test/a.jpg", "mode": "clean"}]}'
BAD = '{"listing_id": "L2", "photos": [{"photo_id": "b"}]}'

COMMANDS = (
    *("run", "enqueue", "status", "watch", "gallery", "worker", "sandbox", "doctor", "failed", "replay"),
    *("regenerate", "cancel", "pause", "resume", "forecast", "usage", "reconcile", "resolve", "purge", "gateway"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_names_the_exit_codes(stagecrew, command):
    result = stagecrew(command, "--help")
    assert result.exit_code == 0
    assert "Exit codes" in result.output


def test_the_documents_name_every_exit_code_with_its_meaning():
    root = Path(__file__).parents[3]
    table = re.findall(r"^\| (\d+) \| (.+) \|$", (root / "docs" / "screens.md").read_text(), re.MULTILINE)
    assert {int(code): meaning for code, meaning in table} == exits.MEANING


def test_a_good_record_is_enqueued_and_counted(stagecrew, ledger):
    result = stagecrew("enqueue", "-", stdin=GOOD)
    assert result.exit_code == 0
    assert "1 photo of 1 listing" in result.output
    assert [item.photo_id for item in ledger.views] == ["a"]


def test_a_bad_record_is_named_by_line_and_field_and_the_good_one_goes_on(stagecrew, ledger):
    result = stagecrew("enqueue", "-", stdin=f"{BAD}\n{GOOD}\n")
    assert result.exit_code == 1
    assert "line 1" in result.stderr
    assert "source" in result.stderr
    assert [item.photo_id for item in ledger.views] == ["a"]


def test_enqueueing_twice_says_that_nothing_changed(stagecrew):
    stagecrew("enqueue", "-", stdin=GOOD)
    result = stagecrew("enqueue", "-", stdin=GOOD)
    assert result.exit_code == 0
    assert "known already: nothing changed" in result.output


def test_every_verdict_of_the_ledger_is_explained(stagecrew):
    found = json.loads(stagecrew("enqueue", "-", "--json", stdin=GOOD).stdout)
    assert set(found["photos"]) == {str(verdict) for verdict in Verdict}
    assert found["photos"]["accepted"] == 1


@pytest.mark.parametrize("arguments", [("status",), ("failed",), ("replay", "--all"), ("enqueue", "-"), ("watch",)])
def test_a_redis_that_is_down_is_a_line_with_a_remedy_and_code_2(stagecrew, ledger, arguments):
    ledger.down = True
    result = stagecrew(*arguments, stdin=GOOD)
    assert result.exit_code == 2
    assert "STAGECREW_REDIS_URL" in result.stderr
    assert "Connection refused" in result.stderr


@pytest.mark.parametrize("arguments", [("status",), ("run", "."), ("worker",), ("enqueue", "-")])
def test_settings_that_cannot_be_used_are_named_with_code_2(stagecrew, environ, arguments):
    environ["STAGECREW_STORAGE_URL"] = "ftp://x"
    result = stagecrew(*arguments)
    assert result.exit_code == 2
    assert "STAGECREW_STORAGE_URL" in result.stderr


def test_status_shows_stages_slots_budgets_partners_and_workers(stagecrew, ledger):
    ledger.picture = snapshot(
        stages={Stage.GENERATING: 12, Stage.DONE: 30},
        partners={"acme": {Stage.GENERATING: 12, Stage.DONE: 30}},
        slots_used=12,
        budgets=(budget(),),
        workers=(working_worker(),),
        leader="one@host",
    )
    said = stagecrew("status").output
    for text in ("slots 12/50", "generating", "30", "jobs created", "1,234", "acme", "one@host", "leads"):
        assert text in said


def test_status_says_that_the_account_is_paused_and_that_no_worker_lives(stagecrew, ledger):
    ledger.picture = snapshot(paused_reason="the key is revoked")
    said = stagecrew("status").output
    assert "PAUSED: the key is revoked" in said
    assert "no workers" in said


def test_status_as_json_is_one_object(stagecrew, ledger):
    ledger.picture = snapshot(stages={Stage.DONE: 3})
    assert json.loads(stagecrew("status", "--json").stdout)["stages"] == {"done": 3}


def test_status_of_a_listing_shows_why_a_photo_failed(stagecrew, ledger):
    ledger.views = [view("L1", "a", Stage.FAILED, error_code="bad_source", error_message="it is no picture")]
    said = stagecrew("status", "L1", "a").output
    assert "bad_source: it is no picture" in said


def test_status_of_an_unknown_listing_ends_with_code_1(stagecrew):
    result = stagecrew("status", "nobody")
    assert result.exit_code == 1
    assert "'nobody'" in result.stderr


def test_ids_can_neither_break_nor_colour_the_terminal(stagecrew, ledger):
    ledger.views = [view("[/red]\x1b[31m", "p[bold]", Stage.DONE)]
    said = stagecrew("status", "[/red]\x1b[31m").output
    assert "\x1b" not in said
    assert "p[bold]" in said


def test_watch_prints_a_line_for_a_change_only(stagecrew, ledger):
    ledger.picture = snapshot(stages={Stage.DONE: 3})
    result = stagecrew("watch", "--plain", "--times", "2", "--interval", "0.2")
    assert result.output.splitlines() == ["1970-01-01T00:16:40Z  done 3 | slots 0/50 | workers 0"]


def test_failed_lists_reasons(stagecrew, ledger):
    ledger.views = [view("L1", "a", Stage.FAILED, error_message="too dark"), view("L1", "b", Stage.UNCERTAIN)]
    said = stagecrew("failed").output
    assert "too dark" in said
    assert "1 photo failed" in said
    assert "no photo is parked" in stagecrew("failed", "--stage", "parked").output


def test_failed_refuses_a_stage_that_nobody_waits_in(stagecrew):
    assert stagecrew("failed", "--stage", "done").exit_code == 2


def test_replay_of_a_listing_says_what_it_may_cost(stagecrew, ledger):
    ledger.views = [view("L1", "a", Stage.FAILED), view("L1", "b", Stage.DONE)]
    result = stagecrew("replay", "L1")
    assert result.exit_code == 0
    assert "1 photo sent again: up to 1 new job, which may be billed" in result.output
    assert "1 photo left alone: neither failed nor uncertain" in result.stderr


def test_replay_leaves_an_uncertain_photo_alone_unless_told_to_create_again(stagecrew, ledger):
    ledger.views = [view("L1", "a", Stage.UNCERTAIN)]
    result = stagecrew("replay", "L1/a")
    assert result.exit_code == 1
    assert "may exist and be billed" in result.stderr
    again = stagecrew("replay", "L1/a", "--create-again")
    assert again.exit_code == 0
    assert [create for _, create in ledger.replayed] == [False, True]


def test_replay_finds_ids_with_slashes(stagecrew, ledger):
    ledger.views = [view("a/b", "c/d", Stage.FAILED), view("a/b", "e", Stage.FAILED)]
    stagecrew("replay", "a/b/c/d")
    assert ledger.replayed == [([ledger.views[0].key], False)]


@pytest.mark.parametrize("arguments", [(), ("--all", "L1")])
def test_replay_wants_either_names_or_all(stagecrew, arguments):
    assert stagecrew("replay", *arguments).exit_code == 2


def test_replay_names_what_it_does_not_know(stagecrew, ledger):
    ledger.views = [view("L1", "a", Stage.FAILED)]
    result = stagecrew("replay", "L1", "nobody")
    assert result.exit_code == 1
    assert "nobody: the ledger knows no such" in result.stderr


def test_replay_of_all_with_nothing_to_replay_is_well(stagecrew):
    result = stagecrew("replay", "--all")
    assert result.exit_code == 0
    assert "0 photos sent again" in result.output


def test_run_wants_files_that_are_there(stagecrew):
    result = stagecrew("run", "nowhere.jsonl")
    assert result.exit_code == 2
    assert "nowhere.jsonl: there is no such file" in result.stderr


def test_run_refuses_a_speed_for_the_real_api(stagecrew, environ, tmp_path):
    environ["KATALO_API_KEY"] = "kat_live_abc.def"
    result = stagecrew("run", str(tmp_path), "--speed", "5")
    assert result.exit_code == 2
    assert "kat_live" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fault", "nothing=1"), "no such fault"),
        (("--fault", "errors_500=lots"), "is no number"),
        (("--fault", "errors_500=2"), "from 0 to 1"),
        (("--reading", "between-the-lines"), "no such reading"),
    ],
)
def test_the_sandbox_refuses_what_it_does_not_have(stagecrew, arguments, said):
    result = stagecrew("sandbox", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_doctor_ends_with_code_1_when_photos_wait_and_nobody_works(stagecrew, ledger, environ, tmp_path):
    environ |= {"STAGECREW_STORAGE_URL": tmp_path.as_uri(), "STAGECREW_BROKER_URL": "memory://"}
    ledger.picture = snapshot(stages={Stage.ACCEPTED: 2})
    result = stagecrew("doctor")
    assert result.exit_code == 1
    assert "bad  workers: none is alive, and 2 photos wait; start one" in result.output


def test_doctor_as_json_names_every_part(stagecrew, ledger, environ, tmp_path):
    environ |= {"STAGECREW_STORAGE_URL": tmp_path.as_uri(), "STAGECREW_BROKER_URL": "memory://"}
    ledger.picture = snapshot(workers=(working_worker(),), leader="one@host")
    result = stagecrew("doctor", "--json")
    report = json.loads(result.stdout)
    jsonschema.validate(report, finding.schema())
    named = [found["check"] for found in report["findings"]]
    assert named == ["python", "settings", "redis", "workers", "leader", "stuck", "broker", "storage", "katalo_api"]
    assert report["well"]
    assert result.exit_code == 0


def test_doctor_says_which_setting_is_wrong(stagecrew, environ):
    environ["STAGECREW_HANDZ"] = "3"
    result = stagecrew("doctor")
    assert result.exit_code == 1
    assert "STAGECREW_HANDS" in result.output


def test_a_photo_that_gets_no_turn_says_why(stagecrew, ledger):
    ledger.views = [view("L1", "a", Stage.INGESTED), view("L1", "b", Stage.DONE)]
    cap = CappedView(partner="acme", cap="day", number=100, since_ms=0, until_ms=86_400_000, waiting=7)
    ledger.picture = snapshot(capped=(cap,))
    waiting, done = json.loads(stagecrew("status", "L1", "--json").output)
    assert waiting["error_code"] == "capped"
    assert "the cap of 100 billable jobs a day" in waiting["error_message"]
    assert done["error_message"] is None
    ledger.picture = snapshot(
        capped=(cap,), pauses=(PauseView(partner=None, since_ms=0, reason="stocktaking", by="eve"),)
    )
    assert json.loads(stagecrew("status", "L1", "--json").output)[0]["error_code"] == "paused"
