"""Which windows a request falls under, and how many permits it may take of each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickrouter.core.permits import Rule, Window, claims

RULES = (
    Rule("minute", 300, 60, "POST /order", scope="account"),
    Rule("second", 10, 1, "POST /order", use=0.8),
    Rule("any", 1000, 60, "GET /*", scope="global", weight=2, weight_map={"GET /heavy*": 10}),
    Rule("each", 5, 1, "GET /*", scope="endpoint"),
)


def test_claims_name_rule_scope_and_weight() -> None:
    taken = claims(RULES, "POST /order", account="main", ip="1.2.3.4")
    assert [(claim.rule.name, claim.scope_value, claim.weight) for claim in taken] == [
        ("minute", "main", 1),
        ("second", "1.2.3.4", 1),
    ]
    heavy = claims(RULES, "GET /heavy/1", account="main", ip="1.2.3.4")
    assert [(claim.scope_value, claim.weight) for claim in heavy] == [("all", 10), ("GET /heavy/1", 1)]


def test_a_part_of_a_window_is_used_and_never_none_of_it() -> None:
    assert Rule("a", 10, 1, "x", use=0.8).usable == 8
    assert Rule("a", 1, 1, "x", use=0.5).usable == 1


def test_a_part_of_a_shared_window_is_kept_for_cancels() -> None:
    shared = Rule("shared", 100, 60, "* /order", use=0.9, kept_for="DELETE *", kept=0.2)
    (place,) = claims((shared,), "POST /order", account="main", ip="local")
    (cancel,) = claims((shared,), "DELETE /order", account="main", ip="local")
    assert (place.usable, cancel.usable) == (70, 90)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300)), min_size=1, max_size=60), st.integers(1, 5))
def test_no_window_of_the_venue_sees_more_than_is_usable(requests: list[tuple[int, int]], usable: int) -> None:
    """Whatever the venue's phase: it counts each request at some moment between grant and return."""
    interval, window = 1000, Window(1000, 5000)
    now, arrivals = 0, []
    pending: list[tuple[int, str]] = []
    for number, (pause, latency) in enumerate(requests):
        now += pause
        for returned, name in [entry for entry in pending if entry[0] <= now]:
            window.give_back(name, 1, returned)
            pending.remove((returned, name))
        if window.wait(usable, 1, now) == 0:
            window.take(str(number), 1, now)
            pending.append((now + latency, str(number)))
            arrivals.append(now + latency)
    arrivals.sort()
    assert all(later - earlier >= interval for earlier, later in zip(arrivals, arrivals[usable:], strict=False))
