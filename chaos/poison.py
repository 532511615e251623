"""What gets into a fleet's queues and is no message of its: broken JSON, unknown names, arguments of the wrong kind."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any, Final

#: The queues that a fleet takes messages from.
QUEUES: Final = ("stagecrew", "stagecrew.enqueue")


def poison(choice: float) -> tuple[str, str]:
    """Return a queue and a message for it; `choice` (0 to 1) says which."""
    kinds: list[tuple[str, Any, Any]] = [
        ("stagecrew.no_such_task", [[]], {}),
        ("stagecrew.ingest_source", [], {}),
        ("stagecrew.ingest_source", ["no list"], {"account": 7}),
        ("stagecrew.create_generation", [[["unknown photo", "no token", "nobody/nothing"]]], {"account": "default"}),
        ("stagecrew.create_generation", [[["one part only"]]], {}),
        ("stagecrew.poll_generation", [[None, {"a": 1}]], {"account": "default"}),
        ("stagecrew.store_outputs", [[["x" * 100_000, "1", "long"]]], {"account": "nobody's"}),
        ("stagecrew.announce", "no arguments at all", {}),
        ("stagecrew.enqueue", [], {"listings": [{"listing_id": 1}, None, "no record"]}),
        ("stagecrew.enqueue", [], {"listings": {"no": "list"}}),
        ("os.system", ["true"], {}),
    ]
    broken = ["{this is no JSON", json.dumps({"no": "envelope"}), json.dumps([1, 2]), "", "\u0000\u0001"]
    number = min(int(choice * (len(kinds) + len(broken))), len(kinds) + len(broken) - 1)
    queue = QUEUES[number % len(QUEUES)]
    if number >= len(kinds):
        return queue, broken[number - len(kinds)]
    return queue, message(queue, *kinds[number])


def message(queue: str, task: str, args: Any, kwargs: Any) -> str:
    """Return a message as Celery's protocol has it."""
    task_id = str(uuid.uuid4())
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps([args, kwargs, embed]).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": task,
                "id": task_id,
                "root_id": task_id,
                "parent_id": None,
                "group": None,
                "retries": 0,
                "eta": None,
                "expires": None,
                "argsrepr": "()",
                "kwargsrepr": "{}",
                "origin": "chaos",
            },
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": queue, "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": task_id,
            },
        }
    )
