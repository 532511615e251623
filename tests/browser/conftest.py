"""A real Chromium for what people look at. Where there is none, these tests are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import chromium, why_not

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for all that is looked at; it is closed before other tests go on."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with chromium() as running:
        yield running
