"""Vertex's `predict` for embeddings, both ways: texts as instances, vectors as predictions with a count of tokens each.

Source: the text embeddings API of Vertex AI.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadField, BadRequest, Usage
from llmproxy_gemini.fields import integer, items, lose_rest, members, unreadable, word

_INSTANCE: Final = "instances[]"
_KNOWN: Final = frozenset({"content", "task_type", "taskType", "title", "mimeType", "mime_type"})
_PARAMETERS: Final = frozenset({"outputDimensionality", "autoTruncate"})
#: Gemini's later models are asked by `embedContent` on Vertex too.
_BY_CONTENT: Final = re.compile(r"(?:^|/)gemini-(?!embedding-001)")


def predicts_vectors(model: str) -> bool:
    """Say whether a model on Vertex embeds by this call."""
    return _BY_CONTENT.search(model) is None


def embeds(told: dict[str, Any]) -> bool:
    """Say whether what is predicted are the vectors of texts."""
    instances = told.get("instances")
    return isinstance(instances, list) and bool(instances) and all(map(_is_text, instances))


def _is_text(instance: object) -> bool:
    return isinstance(instance, dict) and "content" in instance


def read_instances(model: str, told: dict[str, Any], losses: Losses) -> EmbedRequest:
    """Read a request; all of its texts must be for the same task."""
    lose_rest(told, frozenset({"instances", "parameters"}), "", losses)
    settings = members(told.get("parameters") or {}, "parameters")
    lose_rest(settings, _PARAMETERS, "parameters", losses)
    texts, tasks = [], set()
    for each in items(told.get("instances"), "instances"):
        instance = members(each, _INSTANCE)
        lose_rest(instance, _KNOWN, _INSTANCE, losses)
        if not isinstance(instance.get("content"), str):
            raise BadField("invalid_type", f"'{_INSTANCE}.content' must be a string.", f"{_INSTANCE}.content")
        texts.append(instance["content"])
        task = word(instance, "task_type", _INSTANCE) or word(instance, "taskType", _INSTANCE)
        tasks.add((task, word(instance, "title", _INSTANCE)))
    if len(tasks) != 1:
        raise BadRequest("not_translatable", "All instances must have the same task_type and title.")
    ((task, title),) = tasks
    wanted = settings.get("outputDimensionality")
    return EmbedRequest(
        model=model,
        inputs=tuple(texts),
        single=len(texts) == 1,
        dimensions=None if wanted is None else integer(wanted, "parameters.outputDimensionality"),
        task=task,
        title=title,
    )


def write_instances(request: EmbedRequest, losses: Losses) -> dict[str, Any]:
    """Return the body of a request."""
    if request.user:
        losses.lose("user", "Vertex is not told of users")
    told: dict[str, Any] = {"instances": [_instance(request, text) for text in request.inputs]}
    if request.dimensions is not None:
        told["parameters"] = {"outputDimensionality": request.dimensions}
    return told


def _instance(request: EmbedRequest, text: str | tuple[int, ...]) -> dict[str, str]:
    if not isinstance(text, str):
        raise BadRequest("not_translatable", "Vertex embeds texts; it takes no token ids.")
    told = {"content": text}
    if request.task:
        told["task_type"] = request.task
    if request.title:
        told["title"] = request.title
    return told


def holds_vectors(told: dict[str, Any]) -> bool:
    """Say whether an answer's predictions are vectors."""
    predictions = told.get("predictions")
    first = predictions[0] if isinstance(predictions, list) and predictions else None
    return isinstance(first, dict) and "embeddings" in first


def read_vectors(told: dict[str, Any]) -> EmbedAnswer:
    """Read the vectors.

    Raises:
        ValueError: they cannot be read.
    """
    vectors = []
    for each in told["predictions"]:
        found = each.get("embeddings") if isinstance(each, dict) else None
        values = found.get("values") if isinstance(found, dict) else None
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            raise unreadable("a prediction is no vector")
        vectors.append(tuple(values))
    return EmbedAnswer(vectors=tuple(vectors), usage=read_counts(told))


def write_vectors(answer: EmbedAnswer) -> dict[str, Any]:
    """Return the object that Vertex's SDKs read; how many tokens each text has is not told apart."""
    predictions: list[dict[str, Any]] = [
        {"embeddings": {"values": list(vector)}} for vector in answer.vectors
    ]
    if answer.usage is not None:
        for at, each in enumerate(predictions):
            count = 0 if at else answer.usage.total
            each["embeddings"]["statistics"] = {"truncated": False, "token_count": count}
    return {"predictions": predictions}


def read_counts(told: dict[str, Any]) -> Usage | None:
    """Add up the tokens of all texts; None where none are told."""
    counts = []
    predictions = told.get("predictions")
    for each in predictions if isinstance(predictions, list) else ():
        found = each.get("embeddings") if isinstance(each, dict) else None
        statistics = found.get("statistics") if isinstance(found, dict) else None
        count = statistics.get("token_count") if isinstance(statistics, dict) else None
        if isinstance(count, float) and count.is_integer():
            count = int(count)
        if type(count) is int and count >= 0:
            counts.append(count)
    return Usage(sum(counts)) if counts else None
