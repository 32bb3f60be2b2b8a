"""Embedding calls, both ways: one content, or a batch of them."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadField, BadRequest
from llmproxy_gemini.fields import integer, items, lose_rest, members, unreadable, word
from llmproxy_gemini.parts import joined_text
from llmproxy_gemini.paths import resource_name
from llmproxy_gemini.usage import read_usage

_KNOWN: Final = frozenset({"model", "content", "taskType", "title", "outputDimensionality"})
_UNSET: Final = "TASK_TYPE_UNSPECIFIED"


def read_embed(model: str, told: dict[str, Any], losses: Losses) -> EmbedRequest:
    """Read an `embedContent`."""
    text, settings = _content(told, "", losses)
    return EmbedRequest(model=model, inputs=(text,), single=True, **settings)


def read_batch(model: str, told: dict[str, Any], losses: Losses) -> EmbedRequest:
    """Read a `batchEmbedContents`; all its requests must ask for the same."""
    lose_rest(told, frozenset({"requests", "model"}), "", losses)
    requests = items(told.get("requests"), "requests")
    if not requests:
        raise BadField("missing_field", "'requests' must hold at least one request.", "requests")
    texts: list[str] = []
    settings: dict[str, Any] | None = None
    for each in requests:
        text, own = _content(members(each, "requests[]"), "requests[]", losses)
        if settings is not None and own != settings:
            message = "All requests of a batch must have the same taskType, title and outputDimensionality."
            raise BadRequest("not_translatable", message)
        settings = own
        texts.append(text)
    return EmbedRequest(model=model, inputs=tuple(texts), **(settings or {}))


def _content(told: dict[str, Any], where: str, losses: Losses) -> tuple[str, dict[str, Any]]:
    lose_rest(told, _KNOWN, where, losses)
    path = f"{where}.content" if where else "content"
    content = told.get("content")
    if content is None:
        raise BadField("missing_field", f"'{path}' must be there.", path)
    inner = members(content, path) if isinstance(content, dict) else {"parts": content}
    texts = [text.text for text in joined_text(inner.get("parts"), losses, f"{path}.parts[]")]
    if len(texts) > 1:
        losses.add(f"{path}.parts[]", "the parts were put into one text, a line each")
    settings: dict[str, Any] = {}
    if "outputDimensionality" in told:
        settings["dimensions"] = integer(told["outputDimensionality"], f"{where}.outputDimensionality")
    task = word(told, "taskType", where)
    if task and task != _UNSET:
        settings["task"] = task
    if title := word(told, "title", where):
        settings["title"] = title
    return "\n".join(texts), settings


def write_embed(request: EmbedRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Return the body of an embedding call: of one content if a single one is asked for, else of a batch."""
    if request.user:
        losses.lose("user", "Gemini is not told of users")
    if request.single and len(request.inputs) == 1:
        return _request(request, request.inputs[0], model)
    return {"requests": [_request(request, text, model) for text in request.inputs]}


def _request(request: EmbedRequest, text: str | tuple[int, ...], model: str) -> dict[str, Any]:
    if not isinstance(text, str):
        raise BadRequest("not_translatable", "Gemini embeds texts; it takes no token ids.")
    told: dict[str, Any] = {"model": resource_name(model), "content": {"parts": [{"text": text}]}}
    if request.task:
        told["taskType"] = request.task
    if request.title:
        told["title"] = request.title
    if request.dimensions is not None:
        told["outputDimensionality"] = request.dimensions
    return told


def read_vectors(told: dict[str, Any]) -> EmbedAnswer:
    """Read the vectors of one content or of a batch."""
    found = [told["embedding"]] if "embedding" in told else told.get("embeddings")
    if not isinstance(found, list):
        raise unreadable("the answer holds no embeddings")
    counts = told.get("usageMetadata")
    usage = read_usage(counts) if isinstance(counts, dict) else None
    return EmbedAnswer(vectors=tuple(_vector(each) for each in found), usage=usage)


def _vector(told: object) -> tuple[float, ...]:
    values = told.get("values", []) if isinstance(told, dict) else None
    if not isinstance(values, list) or not all(type(each) in (int, float) for each in values):
        raise unreadable("an embedding is no list of numbers")
    return tuple(values)


def write_vectors(answer: EmbedAnswer, *, single: bool) -> dict[str, Any]:
    """Return the object that Gemini's SDKs read."""
    vectors = [{"values": list(vector)} for vector in answer.vectors]
    told: dict[str, Any] = {"embedding": vectors[0]} if single and vectors else {"embeddings": vectors}
    if answer.usage is not None:
        told["usageMetadata"] = {"promptTokenCount": answer.usage.total}
    return told
