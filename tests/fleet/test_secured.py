"""A fleet as a careful operator runs it: TLS with certificates on both sides, a Redis user that can do no more than it
must, signed messages; all as docs/security.md says it."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from config.messages import MessageKeys
from tests.fleet.conftest import ROOT, Fleet
from tests.fleet.test_enqueueing import known, produce
from tests.tls import Front, tls_front

Build = Callable[..., Fleet]
ACL = ROOT / "deploy" / "redis" / "stagecrew.acl"
PASSWORD = "a-password-of-the-tests"
KEY, NEXT_KEY = "a-message-key-of-the-tests", "the-next-message-key-of-the-tests"
NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def let_in(crew: Fleet) -> None:
    """Load the user that docs/security.md tells to load."""
    [line] = ACL.read_text().splitlines()
    name, *rules = line.replace("PASSWORD", PASSWORD).split()[1:]
    with Redis.from_url(crew.redis.url) as admin:
        admin.execute_command("ACL", "SETUSER", name, *rules)


def secured(crew: Fleet, front: Front) -> None:
    crew.environ |= {
        "STAGECREW_REDIS_URL": f"rediss://stagecrew:{PASSWORD}@127.0.0.1:{front.port}/0",
        "STAGECREW_REDIS_CA_FILE": str(front.ca),
        "STAGECREW_REDIS_CERT_FILE": str(front.cert),
        "STAGECREW_MESSAGE_KEY": f"{NEXT_KEY},{KEY}",
    }


def message(
    listing: str, *, key: str | None = None, body: bytes | None = None, embedded: Any = NO_CALLBACKS, **headers: Any
) -> dict[str, Any]:
    """Return a message that enqueues a listing, signed for another one's arguments unless `key` is None."""
    task = str(uuid.uuid4())
    photo = {
        "photo_id": "bath",
        "source": "https://cdn.example.com/bath.jpg?X-Amz-Signature=very-secret",
        "mode": "clean",
    }
    kwargs = {"listings": [{"listing_id": listing, "photos": [photo]}]}
    signature = MessageKeys.of(key).sign("stagecrew.enqueue", task, [], kwargs) if key else None
    return {
        "body": base64.b64encode(body or json.dumps([[], kwargs, embedded]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "any", "task": "stagecrew.enqueue", "id": task, "stagecrew-signature": signature} | headers,
        "properties": {
            "correlation_id": task,
            "delivery_mode": 2,
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "stagecrew.enqueue"},
            "priority": 0,
            "body_encoding": "base64",
        },
    }


def forged() -> list[dict[str, Any]]:
    """Messages of somebody who can write to the broker and has no key, and what no Celery would send."""
    ours = message("theirs", key=KEY)
    call = {"task": "stagecrew.announce", "args": [], "kwargs": {}, "options": {}}
    return [
        message("theirs"),
        message("theirs", key="another-key-of-somebody"),
        ours | {"body": message("theirs-too")["body"]},
        ours | {"headers": ours["headers"] | {"id": "another"}},
        message("theirs", key=KEY, embedded=NO_CALLBACKS | {"callbacks": [call]}),
        message("theirs", **{"stagecrew-signature": ["no", "text"]}),
        message("theirs", **{"stagecrew-signature": "ä" * 64}),
        message("theirs", body=b"\xff\xfe"),
        message("theirs", body=b"[" * 100_000),
        message("theirs", body=b'"text"'),
        message("theirs", body=b'[[], {"listings": {"__type__": "uuid", "__value__": "no"}}, {}]'),
        message("theirs", task=["no", "name"]),
        message("theirs", task="stagecrew.unknown"),
        message("theirs", key=KEY, eta="no time"),
        message("theirs", body=b"cos\nsystem\n(S'true'\ntR.") | {"content-type": "application/x-python-serialize"},
        message("theirs") | {"headers": None},
    ]  # fmt: skip


def test_a_fleet_over_tls_as_a_user_of_few_rights_does_nothing_that_is_not_signed(fleet: Build, tmp_path: Path) -> None:
    crew = fleet(workers=0)
    let_in(crew)
    with (
        tls_front(crew.redis.port, tmp_path) as front,
        Redis.from_url(crew.redis.url, decode_responses=True) as admin,
    ):
        secured(crew, front)
        worker = crew.start_worker()
        crew.enqueue(crew.photos(2))
        for one in [*map(json.dumps, forged()), "no JSON", "{}", "[1]", "\xff"]:
            admin.lpush("stagecrew.enqueue", one)
        program = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "security.md").read_text(), re.DOTALL)[0]
        # A producer that still has the key before the next one, at the end of the queue.
        produce(crew, f"import os\nos.environ['MESSAGE_KEY'] = {KEY!r}\n{program}")
        crew.wait_for("the signed listing", known(crew, "elm-street-14"))
        crew.wait_for("two photos", lambda snapshot: snapshot.stages.get("done") == 2)
        assert not known(crew, "theirs")(None)
        assert not known(crew, "theirs-too")(None)
        assert worker.poll() is None
        assert crew.logs().count("messages dropped: not signed") >= 1
        for secret in (KEY, PASSWORD, "very-secret"):
            assert secret not in crew.logs()
        assert admin.execute_command("ACL", "LOG") == [], "something that stagecrew does was refused to its user"

        with Redis.from_url(f"redis://stagecrew:{PASSWORD}@127.0.0.1:{crew.redis.port}/0") as user:
            for command in (["FLUSHALL"], ["CONFIG", "GET", "dir"], ["KEYS", "*"], ["GET", "another"], ["ACL", "LIST"]):
                with pytest.raises(NoPermissionError):
                    user.execute_command(*command)

        crew.environ["STAGECREW_REDIS_CA_FILE"] = str(front.other_ca)
        doubted = crew.stagecrew("doctor")
        assert doubted.returncode == 1
        assert "CERTIFICATE_VERIFY_FAILED" in doubted.stdout
        assert "bad  broker: it can't be reached" in doubted.stdout
        assert "Traceback" not in doubted.stdout + doubted.stderr
        assert PASSWORD not in doubted.stdout + doubted.stderr
