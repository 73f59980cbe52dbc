"""Fixed windows that start with their first request."""

from __future__ import annotations

from services.simulator.limits import LIMITS, Limits
from services.simulator.problems import Problem

POST = "POST /api/v1/order"


def _refusals(limits: Limits, times: list[float]) -> list[Problem | None]:
    return [limits.check(POST, "account", "key", now) for now in times]


def test_ten_in_a_second_pass_and_the_next_blocks_for_a_second() -> None:
    limits = Limits()
    assert _refusals(limits, [10 + index / 100 for index in range(10)]) == [None] * 10
    refusal = limits.check(POST, "account", "key", 10.5)
    assert refusal is not None and refusal.status == 429
    assert limits.check(POST, "account", "key", 11.2) is not None, "blocked for the period after the excess"
    assert limits.check(POST, "account", "key", 11.5) is None
    assert limits.refused == {POST: 2}


def test_the_window_starts_with_its_first_request() -> None:
    limits = Limits()
    assert _refusals(limits, [10.9] * 10) == [None] * 10
    assert limits.check(POST, "account", "key", 11.89) is not None
    assert _refusals(Limits(), [10.9] * 10 + [11.9] * 10) == [None] * 20


def test_the_minute_counts_beside_the_second() -> None:
    limits = Limits()
    steps = [index * 0.15 for index in range(301)]
    refusals = _refusals(limits, steps)
    assert refusals[:300] == [None] * 300
    refusal = refusals[300]
    assert refusal is not None
    assert refusal.headers == (("Retry-After", "60"),)
    assert refusal.body is not None
    assert (refusal.body["limit"], refusal.body["period"], refusal.body["policy"]) == ("300", "1m", "account")


def test_addresses_accounts_and_endpoints_are_apart() -> None:
    limits = Limits()
    _refusals(limits, [1.0] * 11)
    assert limits.check(POST, "account", "other", 1.0) is None
    assert limits.check(POST, "ip", "key", 1.0) is None
    assert limits.check("DELETE /api/v1/order", "account", "key", 1.0) is None


def test_an_endpoint_counted_by_address_ignores_accounts() -> None:
    limits = Limits()
    refusals = [limits.check("GET /api/v1/users/balances", "account", "key", 1.0) for _ in range(500)]
    assert refusals == [None] * 500
    assert any(limits.check("GET /api/v1/users/balances", "ip", "here", 1.0) for _ in range(121))


def test_limits_can_be_switched_off() -> None:
    assert _refusals(Limits(enabled=False), [1.0] * 50) == [None] * 50


def test_orders_have_both_windows_for_both_policies() -> None:
    for endpoint in (POST, "DELETE /api/v1/order"):
        assert {(limit.count, limit.seconds, limit.policies) for limit in LIMITS[endpoint]} == {
            (300, 60, ("account", "ip")),
            (10, 1, ("account", "ip")),
        }
