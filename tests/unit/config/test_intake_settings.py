"""Bearer tokens: only their digests are kept, and a bad one is refused without being shown."""

from __future__ import annotations

import pytest

from config.intake import Tokens
from config.settings import SettingsError, load_settings

GOOD = "0123456789abcdef"


def test_any_of_several_tokens_fits_and_no_other() -> None:
    tokens = Tokens.of(f" {GOOD}, second-token-of-two=,")
    assert tokens.fits(GOOD)
    assert tokens.fits("second-token-of-two=")
    for other in ("", GOOD[:-1], f"{GOOD}x", GOOD.upper(), f"{GOOD}, second-token-of-two=", "\udcff", "ü"):
        assert not tokens.fits(other)


def test_settings_hold_and_show_no_token() -> None:
    settings = load_settings({"STAGECREW_INTAKE_TOKENS": GOOD})
    assert settings.intake_tokens is not None
    assert GOOD not in repr(settings) + str(settings.model_dump()) + repr(vars(settings))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("short", "fewer than 16 characters"),
        (f"{GOOD},short", "token 2 has fewer than 16 characters"),
        (", ,", "no token in it"),
        ("with a blank in it", "a character that no bearer token has"),
        ("ünicode-ünicode-ünicode", "a character that no bearer token has"),
    ],
)
def test_a_bad_token_is_refused_by_its_place(given: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        load_settings({"STAGECREW_INTAKE_TOKENS": given})
    assert "STAGECREW_INTAKE_TOKENS" in str(error.value)
    assert given.strip(", ") == "" or given not in str(error.value)


def test_a_folder_of_files_is_named_absolutely() -> None:
    with pytest.raises(SettingsError, match="STAGECREW_ENQUEUE_FILES_BELOW: it must be an absolute path"):
        load_settings({"STAGECREW_ENQUEUE_FILES_BELOW": "photos"})
