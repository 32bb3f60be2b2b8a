"""Embeddings, both ways: `/api/embed`, and `/api/embeddings` of old, which takes one text."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadRequest
from llmproxy_ollama.answers import Stamp, word_of
from llmproxy_ollama.fields import count, flag, lose_rest, text, texts, wrong
from llmproxy_ollama.usage import read_usage

_EMBED: Final = frozenset({"model", "input", "dimensions", "truncate", "stream"})
_ONE: Final = frozenset({"model", "prompt", "stream"})
_ELSEWHERE: Final = "only a model that Ollama runs has it"


def decode_embed(told: dict[str, Any], losses: Losses) -> EmbedRequest:
    """Read a request of `/api/embed`."""
    lose_rest(told, _EMBED, "", losses, _ELSEWHERE)
    if flag(told, "truncate") is False:
        losses.add("truncate", "the provider decides what becomes of a text that is too long")
    if told.get("input") is None:
        raise wrong("input", "a string or a list of strings")
    return EmbedRequest(
        model=text(told, "model"), inputs=texts(told, "input"), dimensions=count(told, "dimensions")
    )


def decode_one(told: dict[str, Any], losses: Losses) -> EmbedRequest:
    """Read a request of `/api/embeddings`."""
    lose_rest(told, _ONE, "", losses, _ELSEWHERE)
    return EmbedRequest(model=text(told, "model"), inputs=(text(told, "prompt"),), single=True)


def write_embed(request: EmbedRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Return the body of `/api/embed`.

    Raises:
        BadRequest: a text is given as tokens.
    """
    for name in ("user", "task", "title"):
        if getattr(request, name):
            losses.lose(name)
    if not all(isinstance(each, str) for each in request.inputs):
        raise BadRequest("not_translatable", "Ollama embeds texts; it takes no token ids.")
    body: dict[str, Any] = {"model": model, "input": list(request.inputs)}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return body


def read_vectors(told: dict[str, Any]) -> EmbedAnswer:
    """Read the vectors of either call.

    Raises:
        ValueError: they are none.
    """
    vectors = [told["embedding"]] if "embedding" in told else told.get("embeddings")
    if not isinstance(vectors, list) or not all(map(_is_vector, vectors)):
        raise ValueError("an embedding is no list of numbers")
    found = tuple(tuple(map(float, vector)) for vector in vectors)
    return EmbedAnswer(model=word_of(told, "model"), vectors=found, usage=read_usage(told))


def _is_vector(told: Any) -> bool:
    return isinstance(told, list) and all(type(number) in (int, float) for number in told)


def write_vectors(answer: EmbedAnswer, stamp: Stamp, now: float, *, single: bool) -> dict[str, Any]:
    """Return the object that callers read."""
    vectors = [list(vector) for vector in answer.vectors]
    if single:
        return {"embedding": vectors[0] if vectors else []}
    took = stamp.took(now)
    told: dict[str, Any] = {"model": stamp.model or answer.model, "embeddings": vectors}
    told |= {key: took[key] for key in ("total_duration", "load_duration")}
    if answer.usage is not None:
        told["prompt_eval_count"] = answer.usage.total
    return told
