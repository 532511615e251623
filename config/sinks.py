"""The forms of STAGECREW_COMPLETIONS_URL and of its secrets: parsed and checked before anything starts.

Every sink has a name that is stable and holds no secret: it names the sink's outbox in Redis, so what waits there is
found again after a restart. It follows from the URL, or is given after a `#`. No message here quotes an https URL's
path or query: they may be secrets.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, TypeAlias
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from pydantic import AfterValidator, SecretStr, ValidationInfo

#: Celery's queues of our own workers (`config/celeryconfig.py`: `stagecrew`, `stagecrew.enqueue`, `stagecrew-ACCOUNT`):
#: they know no tasks of others and would drop such a message.
OUR_QUEUES: Final = re.compile(r"stagecrew(?:[.-].*)?")
#: Celery's default queue, which a worker of the user's serves unless told otherwise.
THEIR_QUEUE: Final = "celery"

#: Between two URLs: blanks, or a comma that another URL follows; a comma may be a part of a URL as well.
_BETWEEN: Final = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)|,?\s+|,$")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_QUEUE: Final = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")
_TASK: Final = re.compile(r"[A-Za-z0-9_.-]+")
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d+")
_ACCOUNT: Final = re.compile(r"\d{12}")
_AWS_HOST: Final = re.compile(r"(?:sqs|sns)[.-].*\.amazonaws\.com(?:\.cn)?")
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what such secrets begin with


class SinkKind(StrEnum):
    """What kind of sink a URL names."""

    STREAM = "stream"
    SQS = "sqs"
    SNS = "sns"
    HTTPS = "https"
    CELERY = "celery"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkAddress:
    """One sink: its kind, its name, and where it is."""

    kind: SinkKind
    name: str
    #: The stream's or queue's name, the queue's URL, the topic's ARN, the https URL, the task's name.
    target: str = field(repr=False)
    #: AWS region and account that the URL names; without them those of the AWS SDK hold.
    region: str | None = None
    owner: str | None = None
    #: Celery's queue.
    queue: str = THEIR_QUEUE


def sink_addresses(text: str, *, allow_http: bool = False) -> tuple[SinkAddress, ...]:
    """Return the sinks that STAGECREW_COMPLETIONS_URL names. Raises ValueError with a remedy."""
    urls = [url for url in _BETWEEN.split(text.strip()) if url]
    if not urls:
        message = "it names no sink; remove it, or set redis+stream://NAME, sqs://, sns://, https:// or celery://TASK"
        raise ValueError(message)
    sinks = tuple(_sink(url, allow_http=allow_http) for url in urls)
    if sum(sink.kind is SinkKind.STREAM for sink in sinks) > 1:
        message = "it names two redis+stream:// sinks; one stream can have any number of readers, so keep one"
        raise ValueError(message)
    names = [sink.name for sink in sinks]
    for name in names:
        if names.count(name) > 1:
            message = f"two sinks are called {name}; give one another name at its URL's end, like #second"
            raise ValueError(message)
    return sinks


def signing_secrets(text: str, sinks: Sequence[SinkAddress]) -> Mapping[str, tuple[bytes, ...]]:
    """Return the secrets of each https sink, by its name. Raises ValueError with a remedy, never with a secret.

    `text` has one or several, separated by blanks or commas; `NAME=SECRET` is for the sink of that name alone.
    """
    wanted = [sink.name for sink in sinks if sink.kind is SinkKind.HTTPS]
    shared: list[bytes] = []
    own: dict[str, list[bytes]] = {name: [] for name in wanted}
    for part in re.split(r"[\s,]+", text.strip()):
        name, _, secret = part.partition("=")
        if name in own and secret:
            own[name].append(_secret(secret))
        elif part:
            shared.append(_secret(part))
    for name in wanted:
        if not own[name] and not shared:
            message = (
                f"the sink {name} has no secret to sign its messages with; make one, like "
                "whsec_ and the output of `openssl rand -base64 32`, and give it to the receiver too"
            )
            raise ValueError(message)
    return {name: tuple(own[name] or shared) for name in wanted}


def _checked_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    sink_addresses(value.get_secret_value(), allow_http=bool(info.data.get("allow_private_hosts")))
    return value


def _checked_secret(value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    # A URL that can't be used is a problem of its own.
    if (url := info.data.get("completions_url")) is not None:
        sinks = sink_addresses(url.get_secret_value(), allow_http=True)
        signing_secrets(value.get_secret_value() if value else "", sinks)
    return value


#: The settings' own types: each is checked against the settings above it.
CompletionsUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_checked_url)]
CompletionsSecret: TypeAlias = Annotated[SecretStr | None, AfterValidator(_checked_secret)]


def _secret(text: str) -> bytes:
    if not text.startswith(_SECRET_PREFIX):
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        message = "a secret that begins with whsec_ must go on in base64; copy it again, whole"
        raise ValueError(message)
    return key


def _sink(url: str, *, allow_http: bool) -> SinkAddress:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port if parts.scheme in {"http", "https"} else None
    except ValueError:
        message = "one of its URLs can't be read; write scheme://..., several separated by blanks"
        raise ValueError(message) from None
    match parts.scheme:
        case "redis+stream":
            sink = _stream(parts)
        case "sqs":
            sink = _sqs(parts)
        case "sns":
            sink = _sns(parts)
        case "https" | "http":
            sink = _https(parts, host, port, allow_http=allow_http)
        case "celery":
            sink = _celery(parts)
        case _:
            shown = f"{parts.scheme}://" if parts.scheme and "://" in url else "a part of it"
            message = f"{shown} is no sink; use redis+stream://NAME, sqs://, sns://, https:// or celery://TASK"
            raise ValueError(message)
    if not _NAME.fullmatch(sink.name):
        message = "a sink's name after # may have up to 80 letters, digits, dots, hyphens and underscores"
        raise ValueError(message)
    return sink


def _stream(parts: SplitResult) -> SinkAddress:
    name = f"{parts.netloc}{parts.path}".rstrip("/")
    if not name or parts.query:
        message = "a stream is written redis+stream://NAME, like redis+stream://stagecrew.completions"
        raise ValueError(message)
    return SinkAddress(kind=SinkKind.STREAM, name=parts.fragment or "stream", target=name)


def _sqs(parts: SplitResult) -> SinkAddress:
    region, owner = _option(parts, "region"), None
    if parts.netloc.startswith("arn:"):
        region, owner, queue = _arn(parts, "sqs")
        target = queue
    elif parts.path.strip("/"):
        owner, _, queue = parts.path.strip("/").partition("/")
        target = f"https://{parts.netloc}{parts.path.rstrip('/')}"
        if found := re.fullmatch(r"sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?", parts.netloc):
            region = region or found[1]
    else:
        target = queue = parts.netloc
    remedy = "a queue is written sqs://QUEUE, sqs://arn:aws:sqs:REGION:ACCOUNT:QUEUE, or its URL with sqs for https"
    _hold(queue, _QUEUE, remedy)
    _hold(owner, _ACCOUNT, remedy)
    _hold(region, _REGION, "a region looks like eu-west-1: sqs://QUEUE?region=eu-west-1")
    return SinkAddress(
        kind=SinkKind.SQS, name=parts.fragment or f"sqs-{queue}", target=target, region=region, owner=owner
    )


def _sns(parts: SplitResult) -> SinkAddress:
    _option(parts, None)
    remedy = "a topic is written by its ARN: sns://arn:aws:sns:REGION:ACCOUNT:TOPIC"
    if not parts.netloc.startswith("arn:"):
        raise ValueError(remedy)
    region, owner, topic = _arn(parts, "sns")
    _hold(topic, _TOPIC, remedy)
    _hold(region, _REGION, remedy)
    _hold(owner, _ACCOUNT, remedy)
    return SinkAddress(
        kind=SinkKind.SNS, name=parts.fragment or f"sns-{topic}"[:80], target=parts.netloc, region=region, owner=owner
    )


def _https(parts: SplitResult, host: str, port: int | None, *, allow_http: bool) -> SinkAddress:
    if not host:
        message = "an https sink needs a host, like https://hooks.example.com/stagecrew"
        raise ValueError(message)
    if parts.scheme == "http" and not allow_http:
        message = f"http to {host} is not safe: use https; only a sandbox allows http (STAGECREW_ALLOW_PRIVATE_HOSTS)"
        raise ValueError(message)
    if _AWS_HOST.fullmatch(host):
        message = f"https://{host} is Amazon's: write its queue sqs://..., its topic sns://arn:..."
        raise ValueError(message)
    name = "-".join(["https", host.replace(":", "-"), *([str(port)] if port else [])])
    return SinkAddress(
        kind=SinkKind.HTTPS, name=parts.fragment or name[:80], target=urlunsplit(parts._replace(fragment=""))
    )


def _celery(parts: SplitResult) -> SinkAddress:
    queue = _option(parts, "queue") or THEIR_QUEUE
    task = parts.netloc
    if not _TASK.fullmatch(task) or parts.path.strip("/"):
        message = "a task is written by its name: celery://billing.photo_staged, with ?queue=QUEUE where it has one"
        raise ValueError(message)
    if OUR_QUEUES.fullmatch(queue):
        message = f"queues like {queue} are our own workers': they would drop {task}; name its workers' queue"
        raise ValueError(message)
    return SinkAddress(kind=SinkKind.CELERY, name=parts.fragment or f"celery-{task}"[:80], target=task, queue=queue)


def _arn(parts: SplitResult, service: str) -> tuple[str, str, str]:
    """Return region, account and name of an ARN; three words that nothing matches when it is none."""
    found = re.fullmatch(rf"arn:aws[a-z-]*:{service}:([^:/]+):([^:/]+):([^:/]+)", parts.netloc)
    return (found[1], found[2], found[3]) if found and not parts.path.strip("/") else ("?", "?", "?")


def _option(parts: SplitResult, name: str | None) -> str | None:
    options = parse_qs(parts.query)
    if unknown := sorted(options.keys() - {name}):
        known = f"only ?{name}=" if name else "none"
        message = f"{parts.scheme}:// has no option {unknown[0]}; there is {known}"
        raise ValueError(message)
    return options[name][0] if name in options else None


def _hold(value: str | None, form: re.Pattern[str], remedy: str) -> None:
    if value is not None and not form.fullmatch(value):
        raise ValueError(remedy)
