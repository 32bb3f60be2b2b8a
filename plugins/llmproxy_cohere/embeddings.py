"""Embeddings, in the canonical form and out of it, both ways. Source: Cohere's API reference, Embed v1 and v2."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import EmbedAnswer, EmbedRequest
from llmproxy.canonical.fields import count, objects, required_text, rest, text, wrong
from llmproxy.plugin import BadRequest
from llmproxy_cohere.fields import texts
from llmproxy_cohere.usage import counted_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

#: What the vectors are for: Cohere's words, and Gemini's, which the canonical form has.
_TASKS: Final = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_TYPES: Final = {task: word for word, task in _TASKS.items()} | {
    "QUESTION_ANSWERING": "search_query",
    "FACT_VERIFICATION": "search_query",
    "CODE_RETRIEVAL_QUERY": "search_query",
    "SEMANTIC_SIMILARITY": "clustering",
}
_KNOWN: Final = frozenset(
    {
        "model",
        "texts",
        "images",
        "inputs",
        "input_type",
        "embedding_types",
        "output_dimension",
        "truncate",
        "max_tokens",
        "priority",
    }
)
#: Forms of vectors that follow from their numbers; what Cohere's own int8 and uint8 are, only Cohere knows.
WRITABLE: Final = frozenset({"float", "base64", "binary", "ubinary"})


def decode_embed(asked: dict[str, Any], losses: Losses) -> EmbedRequest:
    """Read a request; report what the canonical form cannot hold."""
    rest(asked, _KNOWN, "", losses)
    if asked.get("images") or text(asked, "input_type") == "image":
        raise BadRequest("not_translatable", "Only Cohere embeds pictures; other providers are sent texts.")
    inputs = texts(asked, "texts") or tuple(_input(each) for each in objects(asked, "inputs"))
    if not inputs:
        raise wrong("texts", "a list of texts, and not empty")
    kind = text(asked, "input_type")
    if text(asked, "truncate") not in ("", "END"):
        losses.add("truncate", "other providers cut what is too long as they like, or refuse it")
    for key in ("max_tokens", "priority"):
        if asked.get(key):
            losses.add(key, "other providers have no such bound")
    types_of(asked)
    return EmbedRequest(
        model=text(asked, "model"),
        inputs=inputs,
        dimensions=count(asked, "output_dimension"),
        task=_TASKS.get(kind, ""),
    )


def _input(told: dict[str, Any]) -> str:
    said = []
    for part in objects(told, "content", "inputs[]."):
        if required_text(part, "type", "inputs[].content[].") != "text":
            raise BadRequest(
                "not_translatable", "Only Cohere embeds pictures; other providers are sent texts."
            )
        said.append(text(part, "text", "inputs[].content[]."))
    return "\n".join(said)


def types_of(asked: dict[str, Any]) -> tuple[str, ...]:
    """Return the forms of vectors that are asked for; none where the first API's plain lists are."""
    types = texts(asked, "embedding_types")
    if any(kind not in WRITABLE for kind in types):
        message = "Only Cohere gives vectors of embedding_types int8 and uint8; others give float."
        raise BadRequest("not_translatable", message)
    return types


def encode_embed(request: EmbedRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Write a request; it must say what the vectors are for, which few callers of other dialects do."""
    if not all(type(each) is str for each in request.inputs):
        raise BadRequest("not_translatable", "Cohere embeds texts; it takes no token ids.")
    body: dict[str, Any] = {
        "model": model,
        "input_type": _TYPES.get(request.task, "search_document"),
        "embedding_types": ["float"],
    }
    if request.task and request.task not in _TYPES:
        losses.lose("task", "told as search_document")
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    for name in ("title", "user"):
        if getattr(request, name):
            losses.lose(name)
    return body | {"texts": list(request.inputs)}


def decode_vectors(told: dict[str, Any]) -> EmbedAnswer:
    """Read vectors.

    Raises:
        ValueError: there are none.
    """
    found = told.get("embeddings")
    vectors = found.get("float") if type(found) is dict else found
    if type(vectors) is not list:
        raise ValueError("an answer has vectors of numbers")
    meta = told.get("meta")
    return EmbedAnswer(
        vectors=tuple(_vector(each) for each in vectors),
        usage=counted_usage(meta) if type(meta) is dict else None,
    )


def _vector(told: Any) -> tuple[float, ...]:
    if type(told) is not list or not all(type(number) in (float, int) for number in told):
        raise ValueError("an embedding is no list of numbers")
    return tuple(map(float, told))


def encode_vectors(
    answer: EmbedAnswer, name: str, asked: tuple[str, ...], inputs: list[str]
) -> dict[str, Any]:
    """Write vectors in the forms that were asked for, or as the first API's plain lists where none was."""
    told: dict[str, Any] = {"id": name, "texts": inputs}
    if asked:
        told["response_type"] = "embeddings_by_type"
        told["embeddings"] = {kind: [_written(each, kind) for each in answer.vectors] for kind in asked}
    else:
        told["response_type"] = "embeddings_floats"
        told["embeddings"] = [list(each) for each in answer.vectors]
    meta: dict[str, Any] = {"api_version": {"version": "2" if asked else "1"}}
    if answer.usage is not None:
        meta["billed_units"] = {"input_tokens": answer.usage.total}
    return told | {"meta": meta}


def _written(vector: tuple[float, ...], kind: str) -> Any:
    if kind == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    if kind == "float":
        return list(vector)
    packed = _bits(vector)
    return packed if kind == "ubinary" else [byte - 128 for byte in packed]


def _bits(vector: tuple[float, ...]) -> list[int]:
    """Return the numbers' signs, eight in a byte."""
    signs = "".join("1" if number > 0 else "0" for number in vector)
    return [int(signs[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(signs), 8)]
