"""The drawing of an order's life, made from its table."""

from __future__ import annotations

from tickrouter.core.order_life import TABLE


def mermaid() -> str:
    """A mermaid state diagram: one arrow for each pair of statuses, with the facts that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for status, row in TABLE.items():
        for fact, followers in row.items():
            for follower in followers:
                if follower is not status:
                    arrows.setdefault((str(status), str(follower)), []).append(fact.__name__)
    lines = ["stateDiagram-v2", "    [*] --> PendingNew"]
    lines += [f"    {before} --> {after}: {', '.join(facts)}" for (before, after), facts in arrows.items()]
    return "\n".join(lines)
