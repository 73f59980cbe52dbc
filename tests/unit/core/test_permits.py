"""Which windows a request falls under."""

from __future__ import annotations

from tickrouter.core.permits import Rule, claims

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
