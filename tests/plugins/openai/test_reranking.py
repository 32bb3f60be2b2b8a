from __future__ import annotations

from typing import Any

import pytest
from tests.plugins.conftest import records

from llmproxy.canonical import Losses, Ranked, RerankAnswer, RerankRequest
from llmproxy.plugin import BadField, Usage
from llmproxy_openai.calls import RankingManner
from llmproxy_openai.reranking import decode_rerank, encode_rerank, read_ranking, write_ranking

ASKED = RerankRequest(model="m", query="q", documents=("a", "b"))
ANSWER = RerankAnswer(results=(Ranked(index=1, score=0.5),), usage=Usage(7))


def decoded(**more: Any) -> tuple[RerankRequest, list[str]]:
    losses = Losses()
    request = decode_rerank({"model": "m", "query": "q", "documents": ["a", "b"], **more}, losses)
    return request, [loss.field for loss in losses]


@pytest.mark.parametrize("bound", ["top_n", "top_k"])
def test_both_names_of_the_bound_are_read(bound: str) -> None:
    request, lost = decoded(**{bound: 1}, return_documents=True, truncation=True)

    assert request == RerankRequest(
        model="m", query="q", documents=("a", "b"), top_n=1, return_documents=True, truncate=True
    )
    assert lost == []


def test_documents_may_be_objects_with_a_text() -> None:
    assert decoded(documents=[{"text": "a"}, "b"])[0].documents == ("a", "b")
    assert decoded(new=1)[1] == ["new"]


@pytest.mark.parametrize(
    "more",
    [{"query": ""}, {"query": 1}, {"documents": []}, {"documents": [{"image": "x"}]}, {"top_n": "many"}],
)
def test_what_is_no_ranking_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadField):
        decoded(**more)


def test_each_manner_has_its_words() -> None:
    losses = Losses()
    asked = RerankRequest(model="m", query="q", documents=("a",), top_n=1, truncate=False)

    assert encode_rerank(asked, "n", "top_k", losses) == {
        "model": "n",
        "query": "q",
        "top_k": 1,
        "truncation": False,
        "documents": ["a"],
    }
    assert list(losses) == []
    assert "truncation" not in encode_rerank(asked, "n", "top_n", losses)
    assert [loss.field for loss in losses] == ["truncate"]


def test_what_no_such_server_takes_is_told_of() -> None:
    losses = Losses()
    asked = RerankRequest(model="m", query="q", documents=("a",), document_tokens=9, user="u")
    encode_rerank(asked, "n", "top_n", losses)

    assert [loss.field for loss in losses] == ["document_tokens", "user"]


@pytest.mark.parametrize("key", ["results", "data"])
def test_results_are_read_best_first(key: str) -> None:
    items = [{"index": 0, "relevance_score": 0.1}, {"index": 1, "score": 0.9, "document": {"text": "b"}}]

    answer = read_ranking({"id": "r", "model": "m", key: items, "usage": {"total_tokens": 7}})

    assert answer == RerankAnswer(
        id="r",
        model="m",
        results=(Ranked(index=1, score=0.9, document="b"), Ranked(index=0, score=0.1)),
        usage=Usage(7),
    )


def test_searches_may_be_what_is_billed() -> None:
    assert read_ranking({"results": [], "meta": {"billed_units": {"search_units": 2}}}).usage == Usage(
        units=2
    )
    assert read_ranking({"results": []}).usage is None


@pytest.mark.parametrize("told", [[], {"results": 3}, {"results": [3]}, {"results": [{"index": 1}]}])
def test_what_is_no_answer_is_refused(told: Any) -> None:
    with pytest.raises(ValueError, match="result"):
        read_ranking(told)


@pytest.mark.parametrize(
    ("manner", "wanted", "shown"),
    [
        ("top_n", None, {"text": "b"}),
        ("top_n", False, None),
        ("top_k", None, None),
        ("top_k", True, "b"),
    ],
)
def test_documents_are_the_callers_own(manner: RankingManner, wanted: bool | None, shown: Any) -> None:
    asked = RerankRequest(model="m", query="q", documents=("a", "b"), return_documents=wanted)

    body = write_ranking(ANSWER, asked, manner, "name", "m")

    [item] = body["results" if manner == "top_n" else "data"]
    assert item.get("document") == shown


def test_an_answer_has_its_callers_form() -> None:
    searched = RerankAnswer(results=(), usage=Usage(units=1))

    assert write_ranking(ANSWER, ASKED, "top_k", "name", "m") == {
        "object": "list",
        "model": "m",
        "data": [{"index": 1, "relevance_score": 0.5}],
        "usage": {"total_tokens": 7},
    }
    told = write_ranking(searched, ASKED, "top_n", "name", "m")
    assert told["id"] == "name"
    assert told["meta"]["billed_units"] == {"search_units": 1}


def test_golden_every_recorded_ranking_is_read() -> None:
    read = 0
    for record in records("voyage", "cohere"):
        body = record["response"].get("body")
        if record["dialect"] == "rerank" and record["response"]["status"] == 200:
            asked = decode_rerank(record["request"]["body"], Losses({"max_chunks_per_doc": ""}))
            answer = read_ranking(body)
            items = body.get("results") or body["data"]
            assert [each.index for each in answer.results] == [each["index"] for each in items]
            assert len(answer.results) == asked.top_n
            assert answer.usage == (
                Usage(body["usage"]["total_tokens"]) if "usage" in body else Usage(units=1)
            )
            read += 1

    assert read > 2
