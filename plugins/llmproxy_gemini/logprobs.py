"""Log probabilities of tokens: Gemini's two lists, and OpenAI's one."""

from __future__ import annotations

from typing import Any


def read_logprobs(told: object) -> dict[str, Any] | None:
    """Return a `logprobsResult` in OpenAI's shape."""
    if not isinstance(told, dict):
        return None
    chosen, tops = _list(told, "chosenCandidates"), _list(told, "topCandidates")
    tokens = []
    for place, each in enumerate(chosen):
        token = _token(each)
        if token is None:
            continue
        step = tops[place] if place < len(tops) and isinstance(tops[place], dict) else {}
        alternatives = [_token(top) for top in _list(step, "candidates")]
        tokens.append({**token, "top_logprobs": [top for top in alternatives if top is not None]})
    return {"content": tokens} if tokens else None


def _list(told: dict[str, Any], key: str) -> list[Any]:
    value = told.get(key)
    return value if isinstance(value, list) else []


def _token(told: object) -> dict[str, Any] | None:
    if not isinstance(told, dict) or not isinstance(told.get("token"), str):
        return None
    logprob = told.get("logProbability", 0.0)
    logprob = logprob if isinstance(logprob, int | float) else 0.0
    return {
        "token": told["token"],
        "logprob": logprob,
        "bytes": list(told["token"].encode("utf-8", "replace")),
    }


def write_logprobs(told: dict[str, Any] | None) -> dict[str, Any]:
    """Return the candidate's members for log probabilities in OpenAI's shape."""
    tokens = [token for token in _list(told or {}, "content") if isinstance(token, dict)]
    if not tokens:
        return {}
    values = [token.get("logprob") or 0.0 for token in tokens]
    result: dict[str, Any] = {"chosenCandidates": [_written(token) for token in tokens]}
    tops = [[top for top in _list(token, "top_logprobs") if isinstance(top, dict)] for token in tokens]
    if any(tops):
        result["topCandidates"] = [{"candidates": [_written(top) for top in step]} for step in tops]
    return {"avgLogprobs": sum(values) / len(values), "logprobsResult": result}


def _written(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token.get("token", ""), "logProbability": token.get("logprob", 0.0)}
