"""What Flower and `celery inspect` are told of a message: never a signed address."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kombu.message import Message

from worker.dispatch.request import MaskedRequest

SECRET = "https://bucket.example.com/1.jpg?X-Amz-Signature=very-secret"


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The task, of an app that finds no settings in its folder."""
    monkeypatch.chdir(tmp_path)
    from tasks.enqueue import enqueue

    return enqueue


@pytest.fixture
def request_of(task: Any) -> Callable[..., MaskedRequest]:
    """Build the request of a message with a signed address."""

    def build(**headers: str) -> MaskedRequest:
        listings = [{"listing_id": "a", "photos": [{"photo_id": "1", "source": SECRET}]}]
        told = {"id": "1", "task": task.name, "lang": "py", **headers}
        message = Message(
            json.dumps([[], {"listings": listings}, {}]),
            content_type="application/json",
            content_encoding="utf-8",
            headers=told,
            delivery_info={},
            properties={},
        )
        return MaskedRequest(message, app=task.app, task=task)

    return build


def test_a_signed_address_is_not_shown_and_the_rest_is(request_of: Callable[..., MaskedRequest]) -> None:
    shown = request_of(argsrepr="()", kwargsrepr=f"{{'listings': [{{'source': '{SECRET}', 'listing_id': 'a'}}]}}")
    assert "very-secret" not in shown.kwargsrepr + json.dumps(shown.info())
    assert "'listing_id': 'a'" in shown.kwargsrepr
    assert shown.info()["args"] == "()"


def test_a_message_that_says_nothing_of_itself_shows_nothing(request_of: Callable[..., MaskedRequest]) -> None:
    shown = request_of()
    assert (shown.kwargsrepr, shown.argsrepr) == ("", "")
    assert "very-secret" not in json.dumps(shown.info())


def test_the_task_is_run_by_it_and_acknowledged_when_it_is_done(task: Any) -> None:
    assert task.Request == "worker.dispatch.request:MaskedRequest"
    assert (task.name, task.acks_late) == ("stagecrew.enqueue", True)


def test_outside_of_a_worker_the_task_says_where_it_runs(task: Any) -> None:
    with pytest.raises(RuntimeError, match="stagecrew worker"):
        task.run([])
