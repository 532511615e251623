"""Each token may ask so often, and no more; others are not held up by it."""

from __future__ import annotations

from config.limits import Limit
from tests.unit.gateway.conftest import Open
from worker.gateway.rates import Rates

ONE, OTHER = "the-first-token-of-the-tests", "the-other-token-of-the-tests"


def test_so_many_at_once_and_evenly_after_that() -> None:
    rates = Rates(Limit(count=3, window_s=30))
    assert [rates.wait_s(0, now_s=100) for _ in range(4)] == [0, 0, 0, 10]
    assert rates.wait_s(0, now_s=105) == 5
    assert rates.wait_s(0, now_s=110) == 0
    assert rates.wait_s(0, now_s=111) == 9
    assert [rates.wait_s(0, now_s=1_000) for _ in range(4)] == [0, 0, 0, 10]
    assert rates.wait_s(1, now_s=1_000) == 0


def test_a_token_that_asks_too_often_is_told_when_to_come_again(gateway: Open) -> None:
    door = gateway(STAGECREW_INTAKE_TOKENS=f"{ONE},{OTHER}", STAGECREW_INTAKE_RATE="2/3600s")

    def ask(token: str, listing: str = "elm") -> int:
        answer = door.http.get(f"/v1/listings/{listing}", headers={"authorization": f"Bearer {token}"})
        if answer.status_code == 429:
            assert 0 < int(answer.headers["retry-after"]) <= 1_800
            assert answer.json()["remedy"] == "send the same again after Retry-After seconds"
        return answer.status_code

    # Another route's requests count too; whoever has no token uses up nobody's.
    assert [ask(ONE), ask("nobody"), ask(ONE, "oak"), ask(ONE)] == [404, 401, 404, 429]
    assert ask(OTHER) == 404
