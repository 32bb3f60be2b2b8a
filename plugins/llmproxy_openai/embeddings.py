"""Embeddings, in the canonical form and out of it, both ways."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import EmbedAnswer, EmbedRequest
from llmproxy.canonical.fields import count, flag, rest, text, wrong
from llmproxy_openai.usage import read_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses
    from llmproxy.plugin import Quirks

_KNOWN: Final = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
#: What other providers' callers say beside OpenAI's own; `truncation` and `output_dtype` are Voyage's, and no more than
#: the default as its client writes them.
_OTHERS: Final = frozenset({"input_type", "output_dimension", "truncation", "output_dtype"})
#: What vectors are for, in the words of Voyage, Cohere, NVIDIA and Jina.
_TASKS: Final = {
    "query": "RETRIEVAL_QUERY",
    "search_query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "search_document": "RETRIEVAL_DOCUMENT",
    "passage": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_VOYAGES: Final = {"RETRIEVAL_QUERY": "query", "RETRIEVAL_DOCUMENT": "document"}
_JINAS: Final = {
    "RETRIEVAL_QUERY": "retrieval.query",
    "RETRIEVAL_DOCUMENT": "retrieval.passage",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "separation",
    "SEMANTIC_SIMILARITY": "text-matching",
}


def decode_embeddings(asked: dict[str, Any], losses: Losses) -> EmbedRequest:
    """Read a request; report what the canonical form cannot hold."""
    rest(asked, _KNOWN | _OTHERS, "", losses)
    kind = text(asked, "input_type")
    if kind and kind not in _TASKS:
        losses.add("input_type", "other providers know no such kind of text")
    if flag(asked, "truncation") is False:
        losses.add("truncation", "other providers cut what is too long as they like, or refuse it")
    if text(asked, "output_dtype") not in ("", "float"):
        losses.add("output_dtype", "vectors come as numbers")
    encoding = text(asked, "encoding_format")
    if encoding not in ("", "float", "base64"):
        losses.add("encoding_format", "vectors come as numbers")
    return EmbedRequest(
        model=text(asked, "model"),
        inputs=_inputs(asked.get("input")),
        dimensions=count(asked, "dimensions") or count(asked, "output_dimension"),
        encoding=encoding if encoding in ("float", "base64") else "",
        user=text(asked, "user"),
        task=_TASKS.get(kind, ""),
    )


def _inputs(given: Any) -> tuple[str | tuple[int, ...], ...]:
    """Read texts; a list of numbers is one text of tokens."""
    if type(given) is str:
        return (given,)
    if type(given) is list and given:
        if type(given[0]) is int:
            return (_tokens(given),)
        return tuple(each if type(each) is str else _tokens(each) for each in given)
    raise wrong("input", "text, tokens, or a list of either, and not empty")


def _tokens(given: Any) -> tuple[int, ...]:
    if type(given) is not list or not given or not all(type(token) is int for token in given):
        raise wrong("input", "text, tokens, or a list of either, and not empty")
    return tuple(given)


def encode_request(request: EmbedRequest, model: str, quirks: Quirks, losses: Losses) -> dict[str, Any]:
    """Write a request; numbers are asked for, and packed here if the caller wants them so."""
    body: dict[str, Any] = {"model": model, "input": list(request.inputs)}
    for key in ("dimensions", "user"):
        value = getattr(request, key)
        if value and key in quirks.refused:
            losses.lose(key, "the provider refuses it")
        elif value and key == "dimensions" and "output_dimension" in quirks.extras:
            body["output_dimension"] = value
        elif value:
            body[key] = value
    if request.task:
        _write_task(request.task, body, quirks, losses)
    if request.title:
        losses.lose("title")
    return body


def _write_task(task: str, body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    """Write what the vectors are for, where the provider takes it."""
    for field, words in (("input_type", _VOYAGES), ("task", _JINAS)):
        if field in quirks.extras and task in words:
            body[field] = words[task]
            return
    losses.lose("task")


def read_embeddings(body: dict[str, Any]) -> EmbedAnswer:
    """Read an answer; vectors may stand in any order.

    Raises:
        ValueError: it holds no vectors.
    """
    items = body["data"]
    if not all(type(item) is dict for item in items):
        raise ValueError("an embedding is an object")
    if all(type(item.get("index")) is int for item in items):
        items = sorted(items, key=_index)
    model, usage = body.get("model"), body.get("usage")
    return EmbedAnswer(
        model=model if type(model) is str else "",
        vectors=tuple(_vector(item.get("embedding")) for item in items),
        usage=read_usage(usage) if type(usage) is dict else None,
    )


def _index(item: dict[str, int]) -> int:
    return item["index"]


def _vector(told: Any) -> tuple[float, ...]:
    if type(told) is str:
        try:
            data = base64.b64decode(told, validate=True)
            return struct.unpack(f"<{len(data) // 4}f", data)
        except (binascii.Error, struct.error) as fault:
            raise ValueError("an embedding is no list of numbers") from fault
    if type(told) is not list or not all(type(number) in (float, int) for number in told):
        raise ValueError("an embedding is no list of numbers")
    return tuple(map(float, told))


def encode_embeddings(answer: EmbedAnswer, model: str, *, packed: bool) -> dict[str, Any]:
    """Write an answer, its vectors as numbers or packed as base64."""
    write = _packed if packed else list
    body: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": write(vector)}
            for index, vector in enumerate(answer.vectors)
        ],
        "model": answer.model or model,
    }
    total = 0 if answer.usage is None else answer.usage.total
    body["usage"] = {"prompt_tokens": total, "total_tokens": total}
    return body


def _packed(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
