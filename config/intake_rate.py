"""How often one token may knock at the gateway: `STAGECREW_INTAKE_RATE`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.limits import Limit

IntakeRate = Annotated[
    Limit | None,
    Field(
        description="Requests below `/v1` that each token may make of one gateway process, like `600/60s`: that many "
        "at once, and evenly after that. More are answered 429 with `Retry-After`; unless set, there is no such limit."
    ),
]
