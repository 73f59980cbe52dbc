"""The columns of the matrix: what the venue does wrong beside the kill, and what may be excused by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 0.2
"""Seconds by which a stamp may differ, in the card of the proofs and at the simulator: the real one has 5."""
LAG = 0.42
"""Seconds of visibility lag in the card of the proofs: the real one has 10."""
REQUEST_TIMEOUT = 0.3
PLACE = "POST /api/v1/order"
CANCEL = "DELETE /api/v1/order"
KINDS = ("place", "market", "cancel", "race", "cancel_all", "amend")
"""Kinds of commands; `race` is a cancel racing its place."""
CANCELING = ("cancel", "cancel_all", "amend")
"""Those whose own request is the venue's cancel."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One column.

    Attributes:
        name: of the column.
        wishes: faults that the simulator is asked for; `"endpoint": "own"` is the request of the command's kind.
        kinds: of commands that it applies to.
        reset: the answer to the command's own request is cut in half and the connection reset.
        private: whether the account listens to its private socket.
        lasts: seconds after which it has no effect any more.
        revises: a NeverPlaced may be wrong under it; then it has to be revised, with an alarm.
        lookalike: an order may stay in doubt for an operator, whom the proof plays.
    """

    name: str
    wishes: tuple[Mapping[str, Any], ...] = ()
    kinds: tuple[str, ...] = KINDS
    reset: bool = False
    private: bool = True
    lasts: float = 0.0
    revises: bool = False
    lookalike: bool = False
    note: str = field(default="", compare=False)


def _own(kind: str, **options: Any) -> tuple[Mapping[str, Any], ...]:
    return ({"kind": kind, "endpoint": "own", **options},)


def _place(kind: str, **options: Any) -> tuple[Mapping[str, Any], ...]:
    return ({"kind": kind, "endpoint": PLACE, **options},)


def _cancel(kind: str, **options: Any) -> tuple[Mapping[str, Any], ...]:
    return ({"kind": kind, "endpoint": CANCEL, "count": None, **options},)


def _private(kind: str, **options: Any) -> tuple[Mapping[str, Any], ...]:
    return ({"kind": kind, "count": None, **options},)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


_WITH_CANCEL = ("cancel", "race", "cancel_all", "amend")

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("none"),
        Fault("reply lost", _own("lose_reply")),
        Fault("request lost", _own("lose_request")),
        Fault("late by half", _own("execute_late", delay_ms=_ms(LAG / 2)), lasts=LAG / 2),
        Fault("late by twice", _own("execute_late", delay_ms=_ms(2 * LAG)), lasts=2 * LAG, revises=True),
        Fault("late answer", _own("late_answer", delay_ms=_ms(2 * REQUEST_TIMEOUT)), lasts=2 * REQUEST_TIMEOUT),
        Fault("html, not done", _own("server_error", status=502, execute=False)),
        Fault("html, done", _own("server_error", status=504, execute=True)),
        Fault("reset", reset=True),
        Fault("refused by limit", _own("refuse_by_limit", retry_after=1), lasts=1.0),
        Fault("refused late", _place("refuse_late", delay_ms=100, retry_after=1), lasts=1.1),
        Fault("hidden by half", _place("hide_order", delay_ms=_ms(LAG / 2), lose=True), lasts=LAG / 2),
        Fault("hidden by twice", _place("hide_order", delay_ms=_ms(2 * LAG), lose=True), lasts=2 * LAG, revises=True),
        Fault("no 423", _private("skip_frames", channel="private", type=423)),
        Fault("merged 441", (*_private("merge_matches"), *_private("skip_frames", channel="private", type=423))),
        Fault("no socket", private=False),
        Fault("blind delete", _cancel("blind_success"), kinds=_WITH_CANCEL),
        Fault("filled after cancel", _cancel("fill_after_cancel", share="1"), kinds=_WITH_CANCEL),
        Fault("part filled after cancel", _cancel("fill_after_cancel", share="0.5"), kinds=_WITH_CANCEL),
        Fault("id in capitals", ({"kind": "echo_client_id", "mode": "upper"}, *_place("lose_reply"))),
        Fault("id as GUID", ({"kind": "echo_client_id", "mode": "dashes"}, *_place("lose_reply"))),
        Fault("id left out", ({"kind": "echo_client_id", "mode": "none"}, *_place("lose_reply")), lookalike=True),
    )
}


def wishes_of(fault: Fault, kind: str, account: str) -> list[dict[str, Any]]:
    """The control calls that make a fault, for one account."""
    own = CANCEL if kind in CANCELING else PLACE
    return [
        {**wish, "account": account, **({"endpoint": own} if wish.get("endpoint") == "own" else {})}
        for wish in fault.wishes
    ]


def reset_name(kind: str) -> str:
    """The message whose answer is cut under a reset."""
    return "http:DELETE order" if kind in CANCELING else "http:POST order"
