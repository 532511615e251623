"""A chaos run can be had again: all its choices follow from the seed; and it strikes as often as it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from chaos.orders import STYLES, batches, orders_of, pictures
from chaos.plan import CHANCES, SPELLS, Fault, script, thrown
from chaos.poison import poison
from chaos.report import again
from chaos.run import Task
from chaos.strikes import WEATHERS

TICKS = 20_000


def test_the_same_seed_gives_the_same_run() -> None:
    assert script(7, list(Fault)) == script(7, list(Fault))
    assert [thrown(7, tick) for tick in range(400)] == [thrown(7, tick) for tick in range(400)]
    assert pictures(40, seed=7) == pictures(40, seed=7)
    assert batches(pictures(40, seed=7), "http://x", seed=7) == batches(pictures(40, seed=7), "http://x", seed=7)


def test_another_seed_gives_another_run() -> None:
    assert script(7, list(Fault)) != script(8, list(Fault))
    assert [thrown(7, tick) for tick in range(400)] != [thrown(8, tick) for tick in range(400)]


def test_the_script_strikes_with_every_fault_once() -> None:
    assert sorted(due.strike.fault for due in script(1, list(Fault))) == sorted(Fault)


def test_the_dice_keep_to_their_chances() -> None:
    seen = Counter(strike.fault for tick in range(TICKS) for strike in thrown(3, tick))
    assert seen.keys() == CHANCES.keys()
    for fault, chance in CHANCES.items():
        assert abs(seen[fault] / TICKS - chance) < 0.2 * chance + 0.0005, fault


def test_whatever_changes_the_weather_is_a_spell_that_ends() -> None:
    assert set(WEATHERS) <= set(SPELLS)
    assert all(weather.down or weather.shares for _, weather in WEATHERS.values())


def test_no_photo_has_the_source_of_another_and_some_are_ordered_twice() -> None:
    orders = list(orders_of(batches(pictures(500, seed=1), "http://x", seed=1)))
    first = [order for order in orders if order.style == STYLES[0]]
    assert len({order.sha256 for order in first}) == len(first) == 500
    assert any(not order.usable for order in orders)
    assert any(order.style == STYLES[1] for order in orders)


def test_poison_is_of_many_kinds_for_both_queues() -> None:
    found = {poison(choice / 100) for choice in range(100)}
    assert len({message[:40] for _, message in found}) > 10
    assert {queue for queue, _ in found} == {"stagecrew", "stagecrew.enqueue"}


def test_the_command_for_the_same_again_has_all_that_was_chosen(tmp_path: Path) -> None:
    whole = Task(seed=7, photos=20, workers=3, minutes=0.5, earlier=tmp_path)
    assert again(whole) == "python -m chaos --seed 7 --photos 20 --workers 3 --minutes 0.5"
    some = replace(whole, faults=[Fault.API_DOWN, Fault.SINK_CUT], quick_store=False, earlier=None)
    assert again(some) == f"{again(whole)} --faults api_down,sink_cut --one-release --moto"
