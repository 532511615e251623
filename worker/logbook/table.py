"""Every event that is logged: what it means and what to do. `docs/logs.md` is made from it, and from the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """One event."""

    means: str
    do: str = "Nothing."


_AWAY: Final = "Nothing, if it passes; else look at Redis (`stagecrew doctor`)."
_DEFECT: Final = "Report it with its traceback: it is a defect."

PHOTOS: Final[Mapping[str, Entry]] = {
    "step ended": Entry("A step of a photo has ended; `outcome` says how, and in which stage the photo is now."),
    "photo ended": Entry("A photo is over: `stage` is `done`, `failed` or `cancelled`, so long after its acceptance."),
    "photo held": Entry(
        "A photo failed, or the outcome of its create is uncertain: `code` and `reason` say why.",
        "`stagecrew failed` lists them; put the cause right, then `stagecrew replay` (or `stagecrew resolve`).",
    ),
    "step failed unexpectedly": Entry("An error nobody foresaw; the step is tried again.", _DEFECT),
    "not settled yet": Entry("A step was done, and Redis did not take its result; it is tried again.", _AWAY),
    "leases not renewed": Entry("Redis did not answer; the leases last a while longer.", _AWAY),
    "receipt not written yet": Entry(
        "The store did not take a job's receipt; it is written at the job's next read.",
        "Look at the store, if it goes on.",
    ),
    "damaged file ignored": Entry(
        "A manifest, receipt or pointer in the store can't be read, and counts as not there.",
        "Look at `object`: who else writes into the store?",
    ),
    "api refused a call": Entry(
        "The API answered 429: its route is paused for the whole fleet, and no attempt is spent.",
        "Nothing, if it is rare. See the alert StagecrewCallsRefused.",
    ),
    "api refused a key that is replaced by now": Entry("The call had been sent before the key was changed."),
    "account parked": Entry(
        "The API refuses the account as a whole: key, entitlement or allowance. Nothing is sent, no attempt is spent.",
        "See the alert StagecrewAccountParked.",
    ),
    "batch not opened": Entry(
        "Redis did not answer; nothing of the message was begun, and its photos are handed out again.", _AWAY
    ),
    "leases not given back": Entry("Redis did not answer; the leases run out instead.", _AWAY),
    "photos of a newer release are left to its workers": Entry(
        "A newer release has written their rows; its workers go on with them.",
        "Nothing during a rolling deploy; else bring this worker up to the fleet's release.",
    ),
    "a newer release's message is left to its workers": Entry(
        "The message says more than this release knows; its photos are handed out again.",
        "Nothing during a rolling deploy; else bring this worker up to the fleet's release.",
    ),
    "uncertain photo's job found": Entry("A create that was never answered did make a job; the photo goes on with it."),
}

FLEET: Final[Mapping[str, Entry]] = {
    "heartbeat not sent": Entry("Redis did not answer.", _AWAY),
    "nothing dispatched": Entry("Redis did not answer; nothing new is begun meanwhile.", _AWAY),
    "the broker did not take the orders": Entry(
        "The messages for `photos` photos could not be sent; they go out again when their leases have run out.",
        "Look at the broker, if it goes on.",
    ),
    "another application uses this queue: nothing more is taken from it; producers must name the queue "
    "stagecrew.enqueue": Entry(
        "A message in the queue `celery` was not ours and was given back.",
        "Let producers name the queue `stagecrew.enqueue`.",
    ),
    "the broker had what is no message; it is dropped, and the connection begun anew": Entry(
        "Something else has written into a queue of ours; the photos are not touched by it.",
        "Find out who else writes to the broker.",
    ),
    "message dropped: it is not one of Celery's": Entry(
        "It could not be read as a task.", "Find out who else writes to the broker."
    ),
    "messages dropped: not signed with STAGECREW_MESSAGE_KEY; their sender needs that key (docs/security.md), or "
    "somebody else writes to the broker": Entry(
        "`dropped` messages of `task` since the line before carried no signature, or a wrong one.",
        "Give every producer and worker the same keys, or find out who else writes to the broker.",
    ),
    "draining": Entry("The worker was told to end: it begins nothing new and settles `steps` within `grace_s`."),
    "steps left to their leases": Entry(
        "The worker ended before they were done; others do them when the leases have run out.",
        "Nothing; with a longer STAGECREW_SHUTDOWN_GRACE_S it happens less.",
    ),
    "systemd was not told": Entry("The socket in NOTIFY_SOCKET did not take the message.", "Look at the unit."),
    "no sign of life written": Entry(
        "The file that the health check reads could not be written.",
        "Set STAGECREW_ALIVE_FILE to where the worker may write.",
    ),
    "batch of an account left alone": Entry(
        "A message is about an account that this worker does not serve (yet).",
        "Give all workers the same accounts file.",
    ),
    "account not served": Entry(
        "An account's store or connections did not open; it is tried again every 5 s.", "Put right what it says."
    ),
    "a loop of the worker failed and is begun again": Entry("An error nobody foresaw.", _DEFECT),
    "the worker can't start": Entry(
        "No account's store or connections opened, or the file that shows life can't be written; it ends with code 2.",
        "Put right what `reason` says; `stagecrew doctor` looks closer.",
    ),
    "the worker's loop ended": Entry("The worker can do nothing any more; `/healthz` says so.", "Start it again."),
    "a setting is doubtful": Entry("It works, and is perhaps not what was meant.", "Read the reason."),
    "api key replaced": Entry("The key in the file has changed and is in use."),
    "the last good key stays in use": Entry("The file that holds the key can't be read.", "Put right what it says."),
    "the pause was not ended": Entry("A new key is in use, and Redis did not answer; the pause ends by itself.", _AWAY),
    "limit in force": Entry("The API reports another limit than the settings' default, or an earlier one ended."),
    "reported limits not understood": Entry("The usage summary has limits of an unknown form.", "Report it."),
    "account goes on": Entry("The API takes calls again; what was parked goes on by itself."),
    "uncertain photos wait for a person": Entry(
        "Creates were never answered and their jobs were not found.",
        "`stagecrew failed --stage uncertain`, then `stagecrew resolve`.",
    ),
    "reconciled": Entry(
        "The daily comparison of ledger, store and bills; an error when it does not add up.",
        "`stagecrew reconcile` shows what does not.",
    ),
    "upkeep waits": Entry("Redis did not answer.", _AWAY),
    "upkeep not done": Entry("The API or the store refused it; it is done later.", "Look at `reason`, if it goes on."),
    "upkeep failed unexpectedly": Entry("An error nobody foresaw.", _DEFECT),
    "no price learnt": Entry("The billing ledger could not be read for its prices."),
}

DELIVERY: Final[Mapping[str, Entry]] = {
    "messages not delivered": Entry("A sink did not take messages; they are sent again later.", "Look at `reasons`."),
    "message given up": Entry(
        "A sink refused a message, or it failed too often: a dead letter.", "See the alert StagecrewSinkDeadLetters."
    ),
    "a sink failed unexpectedly": Entry("An error nobody foresaw; the messages are sent again.", _DEFECT),
    "nothing claimed": Entry("Redis did not answer.", _AWAY),
    "deliveries not settled yet": Entry(
        "Redis did not answer; the messages may be sent again, with the same ids.", _AWAY
    ),
}

GATEWAY: Final[Mapping[str, Entry]] = {
    "records taken": Entry("A request or a message with records; `told` says what became of them."),
    "records not taken": Entry("Redis did not answer; the sender was told to send again.", _AWAY),
    "records not taken yet": Entry("Redis did not answer; the message was given back to its queue.", _AWAY),
    "bad record": Entry("A record of a message was refused; the others went on.", "Tell the producer."),
    "the client went away": Entry("A request broke off."),
    "not answered": Entry("Redis did not answer; the sender was told to come again.", _AWAY),
    "webhook": Entry("A webhook was taken in; `outcome` says what it did."),
    "webhooks refused: not signed with a secret known here": Entry(
        "`refused` webhooks since the line before; a line in ten seconds at most.",
        "If they are the API's, set KATALO_WEBHOOK_SECRET to the dashboard's secret.",
    ),
    "signed webhook can't be read": Entry("It is the API's and of an unknown form.", "Report it."),
    "webhook not stored": Entry("Redis did not answer; the API sends it again, or the job is read.", _AWAY),
    "webhook not counted": Entry("The same, for a refused one.", _AWAY),
    "webhook not taken in": Entry("An error nobody foresaw; the API sends it again.", _DEFECT),
    "no webhook comes: jobs are read until they end": Entry(
        "20 jobs have ended without a webhook.", "See the alert StagecrewWebhooksSilent."
    ),
    "webhooks come again": Entry("Jobs are left to their webhooks again."),
}

METRICS: Final[Mapping[str, Entry]] = {
    "metrics served": Entry("The worker shows its metrics at `host` and `port`."),
    "metrics port in use, another was taken": Entry(
        "Another process has the port, as another worker on the machine; this one shows its metrics at `port`."
    ),
    "no metrics port: nothing is shown, the worker goes on": Entry(
        "No port could be had.", "Set STAGECREW_METRICS_HOST and STAGECREW_METRICS_PORT to what may be listened on."
    ),
    "no metrics": Entry("Redis did not answer the gateway's scrape.", _AWAY),
    "no traces: OpenTelemetry is not installed": Entry(
        "OpenTelemetry's variables ask for traces.", "`pip install 'stagecrew[otel]'`, or unset them."
    ),
    "no traces: there is no such exporter": Entry(
        "OTEL_TRACES_EXPORTER or the protocol names one that is not installed.", "Install it, or name another."
    ),
}

#: The sections of the document.
SECTIONS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "About a photo": PHOTOS,
    "About the fleet and its accounts": FLEET,
    "About completion messages": DELIVERY,
    "About records and webhooks": GATEWAY,
    "About metrics and traces": METRICS,
}
