"""Whose a listing is: one table for all ways in."""

from __future__ import annotations

import pytest

from config.accounts import accounts_of
from config.settings import load_settings
from worker.intake.outcome import BadRecord, ParsedListing
from worker.intake.record import parse_listing
from worker.intake.routing import Routes, routed

FLEET = Routes(accounts=("default", "north", "south"), by_partner={"acme": "north"})
WITHOUT_DEFAULT = Routes(accounts=("north", "south"), by_partner={"acme": "north"})


def parsed(**record: str) -> ParsedListing:
    photo = {"photo_id": "p", "source": "https://photos.test/p.jpg"}
    [found] = parse_listing({"listing_id": "elm", "photos": [photo], **record}, where="line 3")
    assert isinstance(found, ParsedListing)
    return found


@pytest.mark.parametrize(
    ("record", "override", "account"),
    [
        ({}, None, "default"),
        ({"partner": "nobody's"}, None, "default"),
        ({"partner": "acme"}, None, "north"),
        ({"partner": "acme", "account": "south"}, None, "south"),
        ({"partner": "acme", "account": "default"}, None, "default"),
        ({"partner": "acme", "account": "default"}, "south", "south"),
    ],
)
def test_the_record_goes_before_the_partner_and_an_override_before_both(
    record: dict[str, str], override: str | None, account: str
) -> None:
    found = routed(parsed(**record), FLEET, account=override)
    assert isinstance(found, ParsedListing)
    assert found.listing.account == account


@pytest.mark.parametrize(
    ("record", "routes", "said"),
    [
        (
            {"account": "nort"},
            FLEET,
            "line 3: listing 'elm': account: there is no account 'nort'; name one of default, north, south",
        ),
        (
            {"partner": "globex"},
            WITHOUT_DEFAULT,
            (
                "line 3: listing 'elm': account: none is named, and partner 'globex' belongs to none; "
                "name one of north, south, or list the partner in the accounts file"
            ),
        ),
    ],
)
def test_a_record_of_no_known_account_is_refused_with_those_that_there_are(
    record: dict[str, str], routes: Routes, said: str
) -> None:
    found = routed(parsed(**record), routes)
    assert isinstance(found, BadRecord)
    assert str(found) == said


def test_a_bad_record_stays_what_it_is() -> None:
    bad = BadRecord(where="line 1", field="photos", problem="there is none", remedy="add one")
    assert routed(bad, FLEET) is bad


def test_without_an_accounts_file_everything_goes_to_the_default_account() -> None:
    routes = Routes.of(accounts_of(load_settings({})))
    assert routes == Routes(accounts=("default",), by_partner={})
