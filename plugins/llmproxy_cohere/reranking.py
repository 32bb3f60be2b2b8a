"""Ranking, in the canonical form and out of it, both ways. Source: Cohere's API reference, Rerank v1 and v2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.canonical import Ranked, RerankAnswer, RerankRequest
from llmproxy.canonical.fields import count, flag, required_text, rest, text, wrong
from llmproxy_cohere.usage import counted_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses
    from llmproxy.plugin import Usage

_KNOWN: Final = frozenset(
    {
        "model",
        "query",
        "documents",
        "top_n",
        "return_documents",
        "rank_fields",
        "max_tokens_per_doc",
        "priority",
    }
)


def decode_rerank(asked: dict[str, Any], losses: Losses) -> RerankRequest:
    """Read a request; report what the canonical form cannot hold."""
    rest(asked, _KNOWN, "", losses)
    if asked.get("priority"):
        losses.add("priority", "other providers know no such order")
    fields = asked.get("rank_fields")
    return RerankRequest(
        model=text(asked, "model"),
        query=required_text(asked, "query"),
        documents=_documents(asked.get("documents"), fields if type(fields) is list else ()),
        top_n=count(asked, "top_n"),
        return_documents=flag(asked, "return_documents"),
        document_tokens=count(asked, "max_tokens_per_doc"),
    )


def _documents(told: Any, fields: Any) -> tuple[str, ...]:
    if type(told) is not list or not told:
        raise wrong("documents", "a list of texts, and not empty")
    return tuple(each if type(each) is str else _document(each, fields) for each in told)


def _document(told: Any, fields: Any) -> str:
    """Return an object's text; of several members, a line each, as Cohere reads them."""
    if type(told) is not dict:
        raise wrong("documents", "a list of texts or objects")
    if fields:
        told = {key: told[key] for key in fields if type(key) is str and key in told}
    elif type(told.get("text")) is str:
        return str(told["text"])
    lines = (
        (key, value if type(value) is str else orjson.dumps(value).decode()) for key, value in told.items()
    )
    return "\n".join(f"{key}: {value}" for key, value in lines)


def encode_rerank(request: RerankRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Write a request of the second API, which returns no documents: the caller's own answer has them."""
    body: dict[str, Any] = {"model": model, "query": request.query}
    if request.top_n is not None:
        body["top_n"] = request.top_n
    if request.document_tokens is not None:
        body["max_tokens_per_doc"] = request.document_tokens
    if request.truncate is False:
        losses.lose("truncate", "what is too long is cut")
    if request.user:
        losses.lose("user")
    return body | {"documents": list(request.documents)}


def decode_ranking(told: dict[str, Any]) -> RerankAnswer:
    """Read an answer.

    Raises:
        ValueError: it is no ranking.
    """
    name, meta = told.get("id"), told.get("meta")
    return RerankAnswer(
        id=name if type(name) is str else "",
        results=tuple(_ranked(each) for each in told["results"]),
        usage=counted_usage(meta) if type(meta) is dict else None,
    )


def _ranked(told: Any) -> Ranked:
    if type(told) is not dict or type(told.get("index")) is not int:
        raise ValueError("a result has the index of its document")
    score, document = told.get("relevance_score"), told.get("document")
    if score is None or type(score) not in (int, float):
        raise ValueError("a result has a score")
    own = document.get("text") if type(document) is dict else document
    return Ranked(index=told["index"], score=score, document=own if type(own) is str else None)


def encode_ranking(
    answer: RerankAnswer, name: str, asked: RerankRequest | None, version: str
) -> dict[str, Any]:
    """Write an answer; the caller's own documents stand in it where it asked for them (the first API)."""
    results = []
    for each in answer.results:
        told: dict[str, Any] = {"index": each.index, "relevance_score": each.score}
        if asked is not None and asked.return_documents and 0 <= each.index < len(asked.documents):
            told["document"] = {"text": asked.documents[each.index]}
        results.append(told)
    meta: dict[str, Any] = {"api_version": {"version": version}, **_billed(answer.usage)}
    return {"id": answer.id or name, "results": results, "meta": meta}


def _billed(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    counts = {"search_units": usage.units} if usage.units else {"input_tokens": usage.total}
    return {"billed_units": counts}
