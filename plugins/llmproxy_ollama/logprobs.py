"""Log probabilities of tokens: Ollama's list, and the canonical object, which is OpenAI's."""

from __future__ import annotations

from typing import Any


def read_logprobs(told: Any) -> dict[str, Any] | None:
    """Return the canonical object, or None where there are none."""
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told) or not told:
        return None
    return {"content": [_token(each) for each in told]}


def _token(told: dict[str, Any]) -> dict[str, Any]:
    likely = told.get("top_logprobs")
    above = [_plain(each) for each in likely if isinstance(each, dict)] if isinstance(likely, list) else []
    return {**_plain(told), "top_logprobs": above}


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    return {"token": told.get("token"), "logprob": told.get("logprob"), "bytes": told.get("bytes")}


def written_logprobs(told: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return Ollama's list of them, empty where there are none."""
    return _each_written(told.get("content") if told else None)


def _written(told: dict[str, Any]) -> dict[str, Any]:
    out = {key: told[key] for key in ("token", "logprob", "bytes") if told.get(key) is not None}
    if likely := _each_written(told.get("top_logprobs")):
        out["top_logprobs"] = likely
    return out


def _each_written(tokens: Any) -> list[dict[str, Any]]:
    """Write tokens as a provider told them, which nobody has looked at."""
    return [_written(each) for each in tokens if isinstance(each, dict)] if isinstance(tokens, list) else []
