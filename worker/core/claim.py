"""Whether a job is the one that an unanswered create made: certain, possible, or another's."""

from __future__ import annotations

from enum import StrEnum


class Claim(StrEnum):
    """How sure it is that a job belongs to an uncertain photo."""

    #: The API gives back the reference that only this create had.
    CERTAIN = "certain"
    #: Nothing speaks against it: same source asset, no reference. Enough when it is the only one.
    POSSIBLE = "possible"
    #: Another source, or another create's reference.
    NO = "no"


def claim(
    *, asset: str | None, reference: str | None, job_asset: str | None, job_reference: str | None
) -> tuple[Claim, str]:
    """Return how a job agrees with a photo's create (`asset`, `reference`), and in words why.

    Fields that the API does not give back say nothing (contract, section 1.4).
    """
    if asset and job_asset and asset != job_asset:
        return Claim.NO, f"the job is of source asset {job_asset}, the photo's is {asset}"
    if reference and job_reference:
        if reference == job_reference:
            return Claim.CERTAIN, f"the job has the create's own reference {reference}"
        return Claim.NO, f"the job has the reference {job_reference}, the photo's create had {reference}"
    if asset and job_asset:
        return Claim.POSSIBLE, f"the job is of the photo's source asset {asset}, and names no reference"
    return Claim.POSSIBLE, "the job names neither a source asset nor a reference that could be compared"
