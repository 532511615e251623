"""Partners' weights: how many turns each takes within a priority, for every one of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_REMEDY = "write partners with whole numbers from 1 on, like acme=3,globex=1"


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    weights: dict[str, int] = {}
    for part in value.split(","):
        name, _, weight = (text.strip() for text in part.rpartition("="))
        if not name or not (weight.isascii() and weight.isdigit()):
            message = f"{part.strip()!r} is no weight; {_REMEDY}"
            raise ValueError(message)
        if name in weights:
            message = f"{name!r} is there twice; keep one of them"
            raise ValueError(message)
        weights[name] = int(weight)
    return weights


#: Written `acme=3,globex=1`; an integer from 1 on.
Weights = Annotated[Mapping[str, Annotated[int, Field(ge=1, le=1_000_000)]], BeforeValidator(_parsed)]
