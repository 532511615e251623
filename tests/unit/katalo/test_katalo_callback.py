"""Where the API is told to send webhooks."""

from __future__ import annotations

import pytest

from worker.katalo.callback import callback_url


@pytest.mark.parametrize(
    ("public", "account", "expected"),
    [
        ("https://hooks.example.com", None, "https://hooks.example.com/webhooks/katalo"),
        ("https://hooks.example.com/", None, "https://hooks.example.com/webhooks/katalo"),
        ("https://hooks.example.com/katalo", None, "https://hooks.example.com/katalo"),
        ("https://hooks.example.com/katalo/", "acme", "https://hooks.example.com/katalo/acme"),
        ("https://hooks.example.com", "acme", "https://hooks.example.com/webhooks/katalo/acme"),
        ("https://hooks.example.com", "a/b ü", "https://hooks.example.com/webhooks/katalo/a%2Fb%20%C3%BC"),
        ("https://hooks.example.com/katalo?tenant=7", "acme", "https://hooks.example.com/katalo/acme?tenant=7"),
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080/webhooks/katalo"),
    ],
)
def test_the_address_is_completed_by_path_and_account(public: str, account: str | None, expected: str) -> None:
    assert callback_url(public, account) == expected
