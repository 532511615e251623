"""Celery's settings, each with its reason. Messages are hints: the ledger's leases recover what a broker loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kombu import Exchange, Queue

from config.accounts import DEFAULT, accounts_of
from config.redis_tls import broker_options
from config.sinks import SinkKind

if TYPE_CHECKING:
    from config.settings import Settings

QUEUE: Final = "stagecrew"
#: Where producers send `stagecrew.enqueue`.
RECORDS_QUEUE: Final = "stagecrew.enqueue"
#: Where a producer's Celery sends when it names no queue. What is not ours there is given back
#: (`worker/dispatch/consumer.py`), behind what came later; so where a sink of ours puts its messages there, nothing is
#: taken from it.
PLAIN_QUEUE: Final = "celery"
#: The longest text of a result in Flower: a full batch of photos whose names have 450 characters.
RESULT_CHARS: Final = 16_384
#: Threads of one worker at most: more of them would only wait for the same event loop.
MOST_THREADS: Final = 1000


def queue_of(account: str) -> str:
    """Return the queue of an account's messages; `default` has the one that everything else goes to as well."""
    return QUEUE if account == DEFAULT else f"{QUEUE}-{account}"


def _queues(settings: Settings) -> list[str]:
    """Return the queues that a worker takes messages from."""
    names = [QUEUE, *map(queue_of, accounts_of(settings)), RECORDS_QUEUE]
    theirs = {sink.queue for sink in settings.sinks if sink.kind is SinkKind.CELERY}
    return list(dict.fromkeys(names if PLAIN_QUEUE in theirs else [*names, PLAIN_QUEUE]))


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)


def threads_of(settings: Settings) -> int:
    """Return the threads of a worker: as many as photos that may be worked on at once, for each account its own."""
    return min(MOST_THREADS, settings.hands * len(accounts_of(settings)))


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return the configuration of the app."""
    return {
        "broker_url": settings.broker_url_text,
        # Always checked, name included; None leaves it to the URL.
        "broker_use_ssl": broker_options(settings),
        # JSON only: a message must never be able to carry code.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "event_serializer": "json",
        "result_serializer": "json",
        # The ledger keeps what became of a photo; a result a task would cost a key and a round trip.
        "result_backend": None,
        "task_ignore_result": True,
        "task_default_queue": QUEUE,
        # Each account has a queue of its own: a worker gets no message of an account that it does not know, and takes
        # turns between the others. Records of other programs wait apart: however many there are, a step never waits
        # behind them.
        "task_queues": [_queue(name) for name in _queues(settings)],
        "task_routes": {"stagecrew.enqueue": {"queue": RECORDS_QUEUE}},
        # Early acks: on Redis a late ack does not save a message either, and repeats what runs long.
        "task_acks_late": False,
        # One message a thread: the dispatcher sends no more than the fleet has hands for.
        "worker_prefetch_multiplier": 1,
        # A thread waits for its batch on the process's event loop.
        "worker_pool": "threads",
        "worker_concurrency": threads_of(settings),
        # Flower finds a listing in results too, however many photos the batch has; Celery's own 1 kB would cut them.
        "task_annotations": {"*": {"resultrepr_maxsize": RESULT_CHARS}},
        # Flower shows tasks by the workers' events; a sent event besides would cost a message a batch.
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        # Flower asks the workers by remote control. Who reaches the broker could do as much anyway, unless
        # messages have to be signed: Celery's control messages can't be.
        "worker_enable_remote_control": settings.message_key is None,
        # Takes nothing from queues that others use too.
        "worker_consumer": "worker.dispatch.consumer:CarefulConsumer",
        # Our own logging is set up once, for all processes alike.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # A worker that starts before its broker, or loses it, waits for it for as long as it takes.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Nor does it end when its broker refuses a command for a while: a full disk, no memory, a replica that is none.
        "broker_channel_error_retry": True,
        # Nor does it drop what it is doing meanwhile: a step that runs on settles in the ledger, not by the broker.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # A dead broker must not hang the dispatcher: what it could not send, it sends after the leases have run out.
        "broker_pool_acquire_timeout": 10,
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.2},
        "broker_transport_options": {
            # Longer than a message waits for a thread: what kombu gives back is stale by then and skipped.
            "visibility_timeout": 3600,
            # The sweep for such messages comes every 10 s, not at every tenth sweep as kombu has it.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # Without these a publish on a dead connection waits for ever. Unix sockets know no keep-alive.
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": not settings.broker_url_text.startswith("redis+socket"),
            "health_check_interval": 15,
        },
    }
