"""Lines out of pieces: the same lines however a body is cut, and never more than one line kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.gateway.streaming import Line, lines_of


async def _pieces(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def lines(parts: list[bytes], longest: int = 1_000) -> list[Line]:
    async def collect() -> list[Line]:
        return [line async for some in lines_of(_pieces(parts), longest=longest) for line in some]

    return asyncio.run(collect())


@given(st.lists(st.binary(max_size=12).map(lambda part: part.replace(b"\x00", b"\n")), max_size=20))
def test_a_body_has_the_same_lines_however_it_is_cut(parts: list[bytes]) -> None:
    body = b"".join(parts)
    whole = [Line(number, data) for number, data in enumerate(body.split(b"\n"), 1) if data.strip()]
    assert lines(parts) == whole == lines([body]) == lines([bytes([byte]) for byte in body])


@pytest.mark.parametrize("cut", [1, 3, 7, 100])
def test_a_line_that_is_too_long_is_told_by_its_number_and_not_kept(cut: int) -> None:
    body = b"one\n" + b"x" * 50 + b"\ntwo\n" + b"y" * 11
    parts = [body[at : at + cut] for at in range(0, len(body), cut)]
    assert lines(parts, longest=10) == [Line(1, b"one"), Line(2, None), Line(3, b"two"), Line(4, None)]


def test_a_line_of_just_the_allowed_length_is_kept() -> None:
    assert lines([b"x" * 10, b"\n"], longest=10) == [Line(1, b"x" * 10)]
    assert lines([b"x" * 10], longest=10) == [Line(1, b"x" * 10)]
