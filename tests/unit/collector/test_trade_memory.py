"""Which trades are news."""

from __future__ import annotations

from services.collector.trade_memory import TradeMemory


def test_a_trade_is_news_once() -> None:
    memory = TradeMemory()
    assert memory.is_news("1", live=True)
    assert not memory.is_news("1", live=True)
    assert not memory.is_news("1", live=False)


def test_a_live_trade_is_news_even_after_a_list() -> None:
    memory = TradeMemory()
    assert memory.is_news("1", live=False)
    assert not memory.is_news("1", live=False)
    assert memory.is_news("1", live=True)
    assert not memory.is_news("1", live=True)


def test_the_oldest_are_forgotten() -> None:
    memory = TradeMemory(limit=2)
    for number in ("1", "2", "3"):
        memory.is_news(number, live=True)
    assert not memory.is_news("3", live=True)
    assert memory.is_news("1", live=True)
