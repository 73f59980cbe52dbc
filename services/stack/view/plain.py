"""The view under a pipe: one readable line a second."""

from __future__ import annotations

from ..facts import Snapshot
from ..supervisor import Supervisor


def line(elapsed: float, snapshot: Snapshot, supervisor: Supervisor) -> str:
    """The state of the stack in one line."""
    redis = str(snapshot.ticks) if snapshot.contracts else "?"
    mongo = str(snapshot.collections["ticks"]) if snapshot.collections else "?"
    parts = [f"{elapsed:5.0f}s", f"{snapshot.rate:5.0f} ticks/s", f"redis {redis}", f"mongo {mongo}"]
    for contract in snapshot.contracts:
        price = "-" if contract.price is None else f"{contract.price:.10g}"
        feed = "" if contract.feed == "live" else f" ({contract.feed or 'no feed yet'})"
        parts.append(f"{contract.name.partition('/')[2]} {price}{feed}")
    open_orders = sum(account.size.open for account in snapshot.accounts)
    parts.append(f"open {open_orders} fills {snapshot.fills}" if snapshot.accounts else "open ? fills ?")
    down = [child.program.name for child in supervisor.children.values() if not child.is_running]
    if down:
        parts.append(f"DOWN {' '.join(down)}")
    parts += [f"! {error}" for error in snapshot.errors]
    return "  ".join(parts)
