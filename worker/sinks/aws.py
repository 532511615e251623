"""Completion messages to Amazon SQS and SNS, ten in one call.

Where the queue or topic is FIFO (`.fifo`), the event's id is the deduplication id and the listing the message group:
the service drops what comes twice within its five minutes, and keeps a listing's order. Credentials and region come
from boto3's usual places, endpoints from AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL_SNS or AWS_ENDPOINT_URL. boto3 blocks,
so it is called in threads of the sink's own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from config.sinks import SinkAddress, SinkKind
from worker.core.delivery import DELIVERED, Outcome, down, refused, retry
from worker.ledger.outbox import Letter
from worker.sinks.sink import DEADLINE_S

T = TypeVar("T")
Entry = dict[str, Any]
#: What a call gave of each entry that the service did not take: its error, by the entry's id.
Failures = Mapping[str, Mapping[str, Any]]

CALLS: Final = 4
#: Both services take ten; together no more bytes than the smaller limit of the two, attributes included.
BATCH: Final = 10
BATCH_BYTES: Final = 240_000
#: One call, without retries of boto3's own: the outbox tries again.
_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=DEADLINE_S - 5, retries={"total_max_attempts": 1}, max_pool_connections=CALLS
)
#: Words in error codes that say that a message is at fault.
_MESSAGE_FAULTS: Final = ("TooLong", "InvalidMessageContents", "InvalidParameter", "ParameterValueInvalid")
#: Statuses and words in error codes that say that the service, the rights or the name are.
_SINK_STATUSES: Final = frozenset({401, 403, 404, 429})
_SERVER_TROUBLE: Final = 500
_SINK_FAULTS: Final = (
    "NonExistent", "DoesNotExist", "NotFound", "Denied", "Auth", "Token", "Client", "Signature", "Throttl", "OverLimit",
    "Kms", "KMS", "InvalidAddress", "Expired", "OptIn", "Disabled", "Unavailable",
)  # fmt: skip


class _AwsSink(ABC):
    """What both have in common: threads, batches, and what an error means."""

    name: Final[str]
    batch: Final = BATCH
    calls: Final = CALLS
    _service: str

    def __init__(self, address: SinkAddress) -> None:
        """Nothing is connected to yet."""
        self.name = address.name
        self._address = address
        self._fifo = address.target.endswith(".fifo")
        self._threads = ThreadPoolExecutor(max_workers=CALLS, thread_name_prefix=f"sink-{address.kind}")
        self._client: Any = None
        self._making = threading.Lock()

    async def aclose(self) -> None:
        """Close all connections; a call that still runs ends by its own time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """Deliver messages; return what became of each."""
        return await self._in_thread(lambda: self._send_all(letters))

    async def check(self) -> Outcome:
        """Return whether the queue or topic is there."""

        def look() -> Outcome:
            try:
                self._look()
            except ClientError as error:
                found = self._outcome(error)
                # Who may send need not have the right to look.
                return retry(found.reason) if "Denied" in _code(error) else down(found.reason)
            except BotoCoreError as error:
                return down(_unreached(error))
            return DELIVERED

        return await self._in_thread(look)

    @abstractmethod
    def _publish(self, entries: Sequence[Entry]) -> Failures:
        """Send one batch."""

    @abstractmethod
    def _entry(self, letter: Letter) -> Entry:
        """Return a message as the service takes it."""

    @abstractmethod
    def _look(self) -> None:
        """Ask for the queue or topic."""

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _send_all(self, letters: Sequence[Letter]) -> list[Outcome]:
        return [outcome for some in _batches(letters) for outcome in self._send_batch(some)]

    def _send_batch(self, letters: Sequence[Letter]) -> list[Outcome]:
        entries = [self._entry(letter) | {"Id": str(number)} for number, letter in enumerate(letters)]
        try:
            failures = self._publish(entries)
        except ClientError as error:
            found = self._outcome(error)
            if found.word is found.word.DOWN or len(letters) == 1:
                return [found] * len(letters)
            # One of them is at fault, and the answer does not say which.
            return [outcome for letter in letters for outcome in self._send_batch([letter])]
        except BotoCoreError as error:
            return [down(_unreached(error))] * len(letters)
        return [_entry_outcome(failures.get(str(number))) for number in range(len(letters))]

    def _attributes(self, letter: Letter) -> dict[str, Any]:
        attributes = {"id": letter.event_id, "type": letter.event_type}
        return {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}

    def _ordering(self, letter: Letter) -> dict[str, str]:
        if not self._fifo:
            return {}
        return {"MessageDeduplicationId": letter.event_id, "MessageGroupId": letter.listing}

    def _opened(self) -> Any:
        with self._making:
            if self._client is None:
                session = boto3.Session()
                # boto3 itself knows AWS_DEFAULT_REGION only; everything else goes by AWS_REGION.
                region = self._address.region or os.environ.get("AWS_REGION") or session.region_name
                self._client = session.client(self._service, region_name=region, config=_CONFIG)
            return self._client

    def _outcome(self, error: ClientError) -> Outcome:
        """Return what an error of a whole call means."""
        code, status = _code(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if any(word in code for word in _MESSAGE_FAULTS):
            return refused(f"{self._service.upper()} refuses this message ({code})")
        if status in _SINK_STATUSES or status >= _SERVER_TROUBLE or any(word in code for word in _SINK_FAULTS):
            remedy = "check the name, the region and the credentials' rights"
            return down(f"{self._service.upper()} answered {code}; {remedy}")
        return retry(f"{self._service.upper()} answered {code}")


class SqsSink(_AwsSink):
    """A queue: by its name, its ARN or its URL."""

    _service = "sqs"
    _url: str | None = None

    def _publish(self, entries: Sequence[Entry]) -> Failures:
        answer = self._opened().send_message_batch(QueueUrl=self._queue_url(), Entries=list(entries))
        return _failures(answer)

    def _entry(self, letter: Letter) -> Entry:
        body = {"MessageBody": letter.event, "MessageAttributes": self._attributes(letter)}
        return body | self._ordering(letter)

    def _look(self) -> None:
        self._opened().get_queue_attributes(QueueUrl=self._queue_url(), AttributeNames=["QueueArn"])

    def _queue_url(self) -> str:
        if self._address.target.startswith("https://"):
            return self._address.target
        if self._url is None:
            owner = {"QueueOwnerAWSAccountId": self._address.owner} if self._address.owner else {}
            self._url = str(self._opened().get_queue_url(QueueName=self._address.target, **owner)["QueueUrl"])
        return self._url


class SnsSink(_AwsSink):
    """A topic, by its ARN."""

    _service = "sns"

    def _publish(self, entries: Sequence[Entry]) -> Failures:
        answer = self._opened().publish_batch(TopicArn=self._address.target, PublishBatchRequestEntries=list(entries))
        return _failures(answer)

    def _entry(self, letter: Letter) -> Entry:
        return {"Message": letter.event, "MessageAttributes": self._attributes(letter)} | self._ordering(letter)

    def _look(self) -> None:
        self._opened().get_topic_attributes(TopicArn=self._address.target)


def aws_sink(address: SinkAddress) -> SqsSink | SnsSink:
    """Return the sink at an address of Amazon's."""
    return SqsSink(address) if address.kind is SinkKind.SQS else SnsSink(address)


def _batches(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """Yield the messages in batches that are within the services' limits; a message that is too long goes alone."""
    some: list[Letter] = []
    size = 0
    for letter in letters:
        # Type and id go along as attributes.
        one = len(letter.event.encode()) + 300
        if some and (len(some) == BATCH or size + one > BATCH_BYTES):
            yield some
            some, size = [], 0
        some.append(letter)
        size += one
    if some:
        yield some


def _failures(answer: Mapping[str, Any]) -> Failures:
    return {str(failure["Id"]): failure for failure in answer.get("Failed", ())}


def _entry_outcome(failure: Mapping[str, Any] | None) -> Outcome:
    if failure is None:
        return DELIVERED
    code = str(failure.get("Code", "unknown"))
    if failure.get("SenderFault") and any(word in code for word in _MESSAGE_FAULTS):
        return refused(f"the message is refused ({code})")
    return retry(f"the message was not taken ({code})")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _unreached(error: BotoCoreError) -> str:
    match error:
        case NoCredentialsError():
            return "there are no AWS credentials; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the machine a role"
        case NoRegionError():
            return "the AWS region is not known; set AWS_REGION"
    return f"it can't be reached ({type(error).__name__})"
