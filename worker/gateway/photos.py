"""Where photos and listings are, and what can be asked of them: another picture, or to be cancelled.

A photo that is on its way costs one round trip to Redis; one that is done costs one read of its manifest besides, for
the names of its outputs. A store that can't be read takes nothing else along: `outputs_unread` says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from worker.core.events import timestamp
from worker.core.photo import Stage
from worker.gateway.bodies import (
    CancelAnswer,
    CancelledPhoto,
    ListedPhotoBody,
    ListingBody,
    Moved,
    PhotoBody,
    PhotoError,
    RegenerateAnswer,
)
from worker.gateway.problems import Refusal, answer, unavailable
from worker.intake.outcome import shown
from worker.ledger.reading import ListedPhoto, PhotoDetail, Reader
from worker.storage.errors import StoreError, without_query
from worker.storage.manifest import Manifest, StoredOutput, read_kept
from worker.storage.names import MANIFEST, photo_folder

if TYPE_CHECKING:
    from starlette.responses import Response

    from worker.gateway.operations import Call
    from worker.ledger.snapshot import PhotoView
    from worker.storage.store import ObjectStore

#: Photos of a listing in one answer.
MOST_PHOTOS: Final = 1_000
_STORE_RETRY_S: Final = 30
_REGENERATE: Final[Mapping[str, HTTPStatus]] = {
    "asked": HTTPStatus.ACCEPTED,
    "on_its_way": HTTPStatus.OK,
    "there": HTTPStatus.OK,
    "not_staged": HTTPStatus.CONFLICT,
}


class RegeneratedPort(Protocol):
    """The answer for one photo."""

    @property
    def verdict(self) -> str:
        """`asked`, `on_its_way`, `there`, `not_staged` or `unknown`."""

    @property
    def stage(self) -> Stage | None:
        """Where it is now."""

    @property
    def number(self) -> int:
        """Which regeneration."""


class CancelledPort(Protocol):
    """The answer for one photo."""

    @property
    def photo_id(self) -> str:
        """Which photo."""

    @property
    def verdict(self) -> str:
        """`withdrawn`, `kept`, `dropped`, `uncertain`, `ended` or `unknown`."""

    @property
    def stage(self) -> Stage | None:
        """Where it is now."""


class ControlPort(Protocol):
    """What people may ask of an account's photos; may raise RedisError and StoreError."""

    async def regenerate(
        self, photos: Sequence[tuple[str, str]], *, number: int | None = None
    ) -> Sequence[RegeneratedPort]:
        """Ask for another picture of each staged photo."""

    async def cancel(self, photos: Sequence[tuple[str, str]], *, keep: bool = True) -> Sequence[CancelledPort]:
        """Withdraw photos; keep or drop what is paid for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One account as the routes see it; the store is opened when it is first asked for, and may raise StoreError."""

    account: str
    reader: Reader
    store: Callable[[], Awaitable[ObjectStore]]
    control: Callable[[], Awaitable[ControlPort]]


class Photos:
    """Answers for photos and listings of all accounts."""

    def __init__(self, windows: Callable[[], Mapping[str, Window]]) -> None:
        """`windows` by account."""
        self._windows = windows

    async def photo(self, call: Call) -> Response:
        """Answer where a photo is."""
        window, listing_id, photo_id = self._named(call)
        found = await window.reader.photo(listing_id, photo_id)
        if found is None:
            raise _unknown(window, listing_id, photo_id)
        manifest, unread = await _manifest(window, found.view)
        return answer(_photo(window.account, found, manifest, unread).model_dump(mode="json"))

    async def listing(self, call: Call) -> Response:
        """Answer where a listing and its photos are."""
        window, listing_id, _ = self._named(call)
        after, limit = call.values["after"], call.values["limit"]
        found = await window.reader.listing(listing_id, after=after, limit=limit)
        if found is None:
            raise _unknown(window, listing_id)
        body = ListingBody(
            account=window.account,
            listing_id=found.listing_id,
            partner=found.partner,
            metadata=dict(found.metadata),
            open=found.open,
            stages=dict(found.stages),
            photos=[_listed(photo) for photo in found.photos],
            next=found.photos[-1].photo_id if found.more else None,
        )
        return answer(body.model_dump(mode="json"))

    async def regenerate(self, call: Call) -> Response:
        """Ask for another picture of a photo."""
        window, listing_id, photo_id = self._named(call)
        try:
            control = await window.control()
            [made] = await control.regenerate([(listing_id, photo_id)], number=call.values["number"])
        except StoreError as error:
            raise _store_away(error) from error
        if made.verdict == "unknown":
            raise _unknown(window, listing_id, photo_id)
        body = RegenerateAnswer(
            account=window.account,
            listing_id=listing_id,
            photo_id=photo_id,
            verdict=str(made.verdict),
            stage=made.stage,
            number=made.number,
        )
        return answer(body.model_dump(mode="json"), _REGENERATE[str(made.verdict)])

    async def cancel_photo(self, call: Call) -> Response:
        """Cancel a photo."""
        window, listing_id, photo_id = self._named(call)
        return await _cancel(window, listing_id, [photo_id], keep=call.values["keep"])

    async def cancel_listing(self, call: Call) -> Response:
        """Cancel all photos of a listing."""
        window, listing_id, _ = self._named(call)
        names = await window.reader.names(listing_id)
        if not names:
            raise _unknown(window, listing_id)
        return await _cancel(window, listing_id, names, keep=call.values["keep"])

    async def cancel(self, call: Call) -> Response:
        """Cancel a photo or, without a photo's id, a listing."""
        return await (self.cancel_listing if call.values["photo_id"] is None else self.cancel_photo)(call)

    def _named(self, call: Call) -> tuple[Window, str, str]:
        windows, account = self._windows(), call.values["account"]
        if account not in windows:
            remedy = f"the accounts here are {', '.join(windows)}"
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no account {shown(account)}", remedy)
        return windows[account], call.values["listing_id"], call.values.get("photo_id") or ""


async def _cancel(window: Window, listing_id: str, photo_ids: Sequence[str], *, keep: bool) -> Response:
    try:
        control = await window.control()
        answers = await control.cancel([(listing_id, photo_id) for photo_id in photo_ids], keep=keep)
    except StoreError as error:
        raise _store_away(error) from error
    if all(found.verdict == "unknown" for found in answers):
        raise _unknown(window, listing_id, *photo_ids[:1])
    body = CancelAnswer(
        account=window.account,
        listing_id=listing_id,
        photos=[
            CancelledPhoto(photo_id=found.photo_id, verdict=str(found.verdict), stage=found.stage) for found in answers
        ],
    )
    return answer(body.model_dump(mode="json"))


async def _manifest(window: Window, view: PhotoView) -> tuple[Manifest | None, str | None]:
    """Return a staged photo's manifest, or why it can't be read; neither for a photo that is not staged."""
    if view.stage is not Stage.DONE:
        return None, None
    name = _manifest_name(view)
    try:
        store = await window.store()
        found = await read_kept(store, name, Manifest)
    except StoreError as error:
        return None, str(error)
    if found is None:
        return None, f"{name} is not in {store.describe()} (any more), or damaged"
    return found, None


def _manifest_name(view: PhotoView) -> str:
    return f"{photo_folder(view.listing_id, view.photo_id, view.fingerprint, view.regeneration)}/{MANIFEST}"


def _photo(account: str, found: PhotoDetail, manifest: Manifest | None, unread: str | None) -> PhotoBody:
    view = found.view
    request: dict[str, Any] = dict(found.request)
    if "source" in request:
        request["source"] = without_query(str(request["source"]))
    outputs: list[StoredOutput] | None = list(manifest.outputs) if manifest else None
    return PhotoBody(
        account=account,
        listing_id=view.listing_id,
        photo_id=view.photo_id,
        partner=view.partner,
        priority=found.priority,
        stage=view.stage,
        since=timestamp(view.stage_since_ms),
        accepted_at=timestamp(view.accepted_ms),
        history=[Moved(stage=stage, at=timestamp(at_ms)) for stage, at_ms in found.history],
        revision=view.revision,
        regeneration=view.regeneration,
        fingerprint=view.fingerprint,
        request=request,
        metadata=dict(found.metadata),
        attempts=view.attempt,
        job_id=view.job_id or (manifest.job_id if manifest else None),
        earlier_jobs=list(view.earlier_jobs),
        reference=found.reference or (manifest.reference if manifest else None),
        error=_error(view),
        manifest=_manifest_name(view) if view.stage is Stage.DONE else None,
        outputs=outputs,
        outputs_unread=unread,
    )


def _listed(photo: ListedPhoto) -> ListedPhotoBody:
    view = photo.view
    return ListedPhotoBody(
        photo_id=photo.photo_id,
        stage=photo.stage,
        since=timestamp(view.stage_since_ms) if view else None,
        revision=view.revision if view else None,
        fingerprint=view.fingerprint if view else None,
        job_id=view.job_id if view else None,
        error=_error(view) if view else None,
    )


def _error(view: PhotoView) -> PhotoError | None:
    if view.error_code is None:
        return None
    return PhotoError(code=view.error_code, message=view.error_message or "")


def _unknown(window: Window, listing_id: str, *photo_id: str) -> Refusal:
    what = " ".join([f"listing {shown(listing_id)}", *(f"photo {shown(name)}" for name in photo_id)])
    detail = f"the ledger of account {window.account} does not know {what}"
    remedy = "check the ids and how they are encoded; a photo that ended long ago is forgotten, its manifest is not"
    return Refusal(HTTPStatus.NOT_FOUND, detail, remedy)


def _store_away(error: StoreError) -> Refusal:
    return unavailable(str(error), "send it again when the store answers", after_s=_STORE_RETRY_S)


__all__ = ["MOST_PHOTOS", "ControlPort", "Photos", "Window"]
