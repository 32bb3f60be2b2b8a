"""Log probabilities: Cohere tells them of pieces of text, each of one token or more, the canonical form of tokens.

Only the chosen tokens are told. The probability of a piece of several tokens is their product.
"""

from __future__ import annotations

from typing import Any


def read_item(item: Any) -> dict[str, Any] | None:
    """Return one piece as a list of tokens (OpenAI's shape); None where it is none."""
    numbers = item.get("logprobs") if isinstance(item, dict) else None
    if (
        not isinstance(numbers, list)
        or not numbers
        or not all(type(each) in (int, float) for each in numbers)
    ):
        return None
    text = item.get("text")
    token = text if isinstance(text, str) else ""
    entry = {"token": token, "logprob": float(sum(numbers)), "bytes": list(token.encode("utf-8", "replace"))}
    return {"content": [{**entry, "top_logprobs": []}]}


def read_items(items: Any) -> dict[str, Any] | None:
    """Return an answer's pieces likewise."""
    found = (
        [told["content"][0] for item in items if (told := read_item(item))] if isinstance(items, list) else []
    )
    return {"content": found} if found else None


def write_items(logprobs: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Write each token as a piece of its own; nobody else tells Cohere's numbers of them."""
    tokens = (logprobs or {}).get("content")
    return [
        {"text": token.get("token", ""), "token_ids": [], "logprobs": [token.get("logprob", 0.0)]}
        for token in tokens or ()
        if isinstance(token, dict)
    ]
