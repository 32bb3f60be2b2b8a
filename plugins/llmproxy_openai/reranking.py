"""Ranking, as servers of OpenAI's dialect offer it beside OpenAI's own calls, in the canonical form and out of it.

There are two manners. Most servers (Jina, Together, vLLM, llama.cpp, the first of Cohere's APIs) are told `top_n` and
answer `results`; Voyage is told `top_k` and `truncation`, and answers `data`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import Ranked, RerankAnswer, RerankRequest
from llmproxy.canonical.fields import count, flag, required_text, rest, text, wrong
from llmproxy.plugin import Usage
from llmproxy_openai.calls import RankingManner
from llmproxy_openai.usage import read_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_KNOWN: Final = frozenset(
    {
        "model",
        "query",
        "documents",
        "top_n",
        "top_k",
        "return_documents",
        "max_tokens_per_doc",
        "truncation",
        "user",
    }
)


def decode_rerank(asked: dict[str, Any], losses: Losses) -> RerankRequest:
    """Read a request of either manner; report what the canonical form cannot hold."""
    rest(asked, _KNOWN, "", losses)
    bound = count(asked, "top_n")
    return RerankRequest(
        model=text(asked, "model"),
        query=required_text(asked, "query"),
        documents=_documents(asked.get("documents")),
        top_n=count(asked, "top_k") if bound is None else bound,
        return_documents=flag(asked, "return_documents"),
        document_tokens=count(asked, "max_tokens_per_doc"),
        truncate=flag(asked, "truncation"),
        user=text(asked, "user"),
    )


def _documents(told: Any) -> tuple[str, ...]:
    if type(told) is not list or not told:
        raise wrong("documents", "a list of texts, and not empty")
    return tuple(_document(each) for each in told)


def _document(told: Any) -> str:
    own = told.get("text") if type(told) is dict else told
    if type(own) is not str:
        raise wrong("documents", "a list of texts, or of objects with a text")
    return own


def encode_rerank(
    request: RerankRequest, model: str, manner: RankingManner, losses: Losses
) -> dict[str, Any]:
    """Write a request; documents are not asked for, since the caller's own are at hand."""
    body: dict[str, Any] = {"model": model, "query": request.query}
    if request.top_n is not None:
        body[manner] = request.top_n
    if request.truncate is not None and manner == "top_k":
        body["truncation"] = request.truncate
    elif request.truncate is False:
        losses.lose("truncate", "the provider cuts what is too long, or refuses it")
    for name in ("document_tokens", "user"):
        if getattr(request, name):
            losses.lose(name)
    return body | {"documents": list(request.documents)}


def read_ranking(told: Any) -> RerankAnswer:
    """Read an answer of either manner; the best need not stand first.

    Raises:
        ValueError: it is no ranking.
    """
    items = (told.get("results") or told.get("data") or []) if type(told) is dict else None
    if type(items) is not list:
        raise ValueError("a ranking has results")
    results = sorted(map(_ranked, items), key=lambda each: -each.score)
    name, model = told.get("id"), told.get("model")
    return RerankAnswer(
        id=name if type(name) is str else "",
        model=model if type(model) is str else "",
        results=tuple(results),
        usage=_usage(told),
    )


def _ranked(told: Any) -> Ranked:
    index = told.get("index") if type(told) is dict else None
    if type(index) is not int:
        raise ValueError("a result has the index of its document")
    score = told.get("relevance_score", told.get("score"))
    if type(score) not in (int, float):
        raise ValueError("a result has a score")
    document = told.get("document")
    own = document.get("text") if type(document) is dict else document
    return Ranked(index=index, score=score, document=own if type(own) is str else None)


def _usage(told: dict[str, Any]) -> Usage | None:
    usage = told.get("usage")
    if type(usage) is dict:
        return read_usage(usage)
    meta = told.get("meta")
    billed = meta.get("billed_units") if type(meta) is dict else None
    searches = billed.get("search_units") if type(billed) is dict else None
    return Usage(units=int(searches)) if isinstance(searches, int | float) else None


def write_ranking(
    answer: RerankAnswer, asked: RerankRequest, manner: RankingManner, name: str, model: str
) -> dict[str, Any]:
    """Write an answer in the caller's manner, with the caller's own documents.

    Voyage's callers have them if they ask, others unless they decline, as with Jina.
    """
    shown = asked.return_documents is True or (asked.return_documents is None and manner == "top_n")
    items = [_item(each, asked.documents if shown else (), manner) for each in answer.results]
    told: dict[str, Any] = {"object": "list", "model": answer.model or model}
    usage = answer.usage or Usage()
    if manner == "top_k":
        return {**told, "data": items, "usage": {"total_tokens": usage.total}}
    told = {"id": answer.id or name, **told, "results": items}
    told["usage"] = {"prompt_tokens": usage.total, "total_tokens": usage.total}
    if usage.units:
        told["meta"] = {"api_version": {"version": "1"}, "billed_units": {"search_units": usage.units}}
    return told


def _item(ranked: Ranked, documents: tuple[str, ...], manner: RankingManner) -> dict[str, Any]:
    told: dict[str, Any] = {"index": ranked.index, "relevance_score": ranked.score}
    if 0 <= ranked.index < len(documents):
        own = documents[ranked.index]
        told["document"] = own if manner == "top_k" else {"text": own}
    return told
