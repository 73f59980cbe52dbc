from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.simulator.markets.shelf import Shelf

ORDERS = st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 9)), min_size=1, max_size=30)


def filled(orders: list[tuple[int, int]]) -> Shelf:
    shelf = Shelf("buy")
    for number, (key, lots) in enumerate(orders, 1):
        shelf.add(number, key, lots)
    return shelf


@given(ORDERS)
def test_levels_hold_their_orders_in_the_order_of_arrival(orders: list[tuple[int, int]]) -> None:
    shelf = filled(orders)
    keys = {key for key, _ in orders}
    assert shelf.best == max(keys)
    assert len(shelf) == len(keys)
    for key in keys:
        here = [number for number, (at, _) in enumerate(orders, 1) if at == key]
        assert shelf.orders(key) == here
        assert shelf.count(key) == len(here)
        assert shelf.lots(key) == sum(orders[number - 1][1] for number in here)
        assert orders[shelf.smallest(key) - 1][1] == min(orders[number - 1][1] for number in here)


@given(ORDERS, st.integers(-6, 6))
def test_better_levels_come_best_first(orders: list[tuple[int, int]], key: int) -> None:
    better = sorted({at for at, _ in orders if at > key}, reverse=True)
    assert list(filled(orders).better_than(key)) == better


@given(ORDERS, st.integers(-6, 6))
def test_the_nearest_level_is_at_the_key_or_better_if_there_is_one(orders: list[tuple[int, int]], key: int) -> None:
    keys = sorted({at for at, _ in orders})
    assert filled(orders).nearest(key) == next((at for at in keys if at >= key), keys[-1])


@given(ORDERS, st.integers(0, 300))
def test_taking_fills_by_price_then_by_time(orders: list[tuple[int, int]], lots: int) -> None:
    shelf = filled(orders)
    queue = sorted(range(1, len(orders) + 1), key=lambda number: (-orders[number - 1][0], number))
    expected, left = [], lots
    for number in queue:
        if orders[number - 1][1] > left:
            break
        left -= orders[number - 1][1]
        expected.append(number)
    assert shelf.take(lots) == expected
    rest = sum(amount for _, amount in orders) - min(lots, sum(amount for _, amount in orders))
    assert sum(shelf.lots(key) for key in {at for at, _ in orders}) == rest


@given(ORDERS, st.data())
def test_a_removed_order_is_gone_and_takes_an_empty_level_along(
    orders: list[tuple[int, int]], data: st.DataObject
) -> None:
    shelf = filled(orders)
    number = data.draw(st.integers(1, len(orders)))
    key = shelf.key_of(number)
    shelf.remove(number)
    assert number not in shelf
    assert number not in shelf.orders(key)
    assert len(shelf) == len({at for at, _ in orders[: number - 1] + orders[number:]})
