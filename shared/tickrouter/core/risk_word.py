"""What the event of a risk rule says, and what is read out of it again when Redis forgot the rule."""

from __future__ import annotations

_IS = " = "
_BACK = " as configured"
_REFUSED = " is not taken: "


def said(rule: str, text: str | None, wrong: str | None = None) -> str:
    """What is told of a rule: set to a text, back to the configuration's word (None), or not taken and why."""
    if text is None:
        return rule + _BACK
    return f"{rule}{_IS}{text}" + (f"{_REFUSED}{wrong}" if wrong is not None else "")


def heard(fact: str) -> tuple[str, str | None] | None:
    """Rule and text of what was told; None of one that was not taken."""
    rule, is_set, text = fact.partition(_IS)
    if not is_set:
        return fact.removesuffix(_BACK), None
    return None if _REFUSED in text else (rule, text)
