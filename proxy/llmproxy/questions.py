"""What a request asks last, apart from all that decides how it is answered: for who looks for questions of one meaning.

A reading of a request (keyrules.py) holds all that counts of it. Its question is the text of the last turn, if that is
the user's and nothing but text. What is left without it is what two questions must have in common to be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llmproxy.keyrules import KeyRules

_USER: Final = frozenset({"user", None})


def take_question(rules: KeyRules, counted: dict[str, Any]) -> str | None:
    """Take the question out of what is counted of a request, in place; None, and nothing taken, where it has none.

    What stays in its place is `None`, which no text is.
    """
    turns = rules.turns
    if turns is None:
        return None
    said = counted.get(turns.field)
    if type(said) is str and turns.lone == "user":
        counted[turns.field] = None
        return said
    if type(said) is not list or not said or type(last := said[-1]) is not dict:
        return None
    if last.get("role") not in _USER or last.get("type", "message") != "message":
        return None
    text = _text(rules, last.get(turns.content))
    if text is not None:
        last[turns.content] = None
    return text


def _text(rules: KeyRules, content: Any) -> str | None:
    """Return the text of content that is nothing else, in one piece."""
    if type(content) is list and len(content) == 1 and type(part := content[0]) is dict:
        kind = part.get("type")
        bare = part.keys() <= {"type", "text"} and (kind is None or kind in rules.text_types)
        content = part.get("text") if bare else None
    return content if type(content) is str else None
