"""Metrics made from a state."""

from __future__ import annotations

import urllib.request

from prometheus_client import CollectorRegistry, generate_latest

from services.stack.servers import free_port
from tickrouter.metrics import StateMetrics, expose

STATE = {
    "pid": 7,
    "contracts": {"btcturk/btc.try": {"ticks": 5, "feed": "live", "sinks": {"redis": 4}}},
    "away": {"redis": True},
}


def test_numbers_become_gauges_and_names_become_labels() -> None:
    registry = CollectorRegistry()
    registry.register(StateMetrics("collector", lambda: STATE))
    text = generate_latest(registry).decode()
    assert 'tickrouter_collector_contracts_ticks{name="btcturk/btc.try"} 5.0' in text
    assert 'tickrouter_collector_contracts_sinks_redis{name="btcturk/btc.try"} 4.0' in text
    assert 'tickrouter_collector_away_redis{name=""} 1.0' in text
    assert "feed" not in text


def test_they_are_served_on_loopback() -> None:
    port = free_port()
    expose("router", port, lambda: STATE)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert b"tickrouter_router_pid" in answer.read()
