"""Prometheus metrics: every number of a process's state, under names made from its keys.

`{"contracts": {"btcturk/btc.try": {"ticks": 5}}}` of the collector becomes
`tickrouter_collector_contracts_ticks{name="btcturk/btc.try"} 5`: below `contracts` and `accounts` the keys are names,
everywhere else they are parts of the metric's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

NAMED = frozenset({"contracts", "accounts"})
"""Keys below which the next key is a label."""
_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_]+")


class StateMetrics(Collector):
    """Gauges read from a state whenever somebody scrapes."""

    def __init__(self, service: str, state: Callable[[], Mapping[str, Any]]) -> None:
        self._prefix = f"tickrouter_{service}"
        self._state = state

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One family for each metric name."""
        families: dict[str, GaugeMetricFamily] = {}
        for path, label, value in _numbers(self._state(), (self._prefix,), ""):
            name = _NOT_A_NAME.sub("_", "_".join(path)).lower()
            family = families.setdefault(name, GaugeMetricFamily(name, name.replace("_", " "), labels=["name"]))
            family.add_metric([label], value)
        return families.values()


def expose(service: str, port: int, state: Callable[[], Mapping[str, Any]]) -> None:
    """Serve a process's metrics on loopback; port 0 serves none."""
    if port:
        registry = CollectorRegistry()
        registry.register(StateMetrics(service, state))
        start_http_server(port, addr="127.0.0.1", registry=registry)


def _numbers(value: Any, path: tuple[str, ...], label: str) -> Iterator[tuple[tuple[str, ...], str, float]]:
    if isinstance(value, bool | int | float):
        yield path, label, float(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if path[-1] in NAMED and isinstance(inner, Mapping):
                for name, part in inner.items():
                    yield from _numbers(part, (*path, str(name)), str(key))
            else:
                yield from _numbers(inner, (*path, str(key)), label)
