from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.conftest import whole

from llmproxy.canonical import Losses, Ranked, RerankAnswer, RerankRequest
from llmproxy.plugin import BadField, Usage
from llmproxy_cohere.reranking import decode_ranking, decode_rerank, encode_ranking, encode_rerank

from .conftest import asked

ASKED = {"model": "m", "query": "q", "documents": ["a", "b"]}


def test_a_request_is_read_and_written_again() -> None:
    losses = Losses()
    body = {**ASKED, "top_n": 1, "max_tokens_per_doc": 512}

    request = decode_rerank(body, losses)

    assert request == RerankRequest(model="m", query="q", documents=("a", "b"), top_n=1, document_tokens=512)
    assert encode_rerank(request, "m", losses) == body
    assert list(losses) == []


def test_documents_may_be_objects() -> None:
    told = {**ASKED, "documents": [{"text": "a"}, {"title": "T", "page": 3}]}

    assert decode_rerank(told, Losses()).documents == ("a", "title: T\npage: 3")
    assert decode_rerank({**told, "rank_fields": ["title"]}, Losses()).documents == ("", "title: T")


@pytest.mark.parametrize(
    "more", [{"query": ""}, {"documents": []}, {"documents": "a"}, {"documents": [1]}, {"top_n": "1"}]
)
def test_what_is_no_ranking_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadField):
        decode_rerank({**ASKED, **more}, Losses())


def test_what_has_no_place_is_told_of() -> None:
    losses = Losses()
    decode_rerank({**ASKED, "relevant_spans": {"mode": "enabled"}, "priority": 1}, losses)
    encode_rerank(RerankRequest(model="m", query="q", documents=("a",), truncate=False), "m", losses)

    assert sorted(loss.field for loss in losses) == ["priority", "relevant_spans", "truncate"]


def test_searches_are_what_is_billed() -> None:
    told = {
        "id": "r1",
        "results": [{"index": 1, "relevance_score": 0.9}],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}},
    }

    answer = decode_ranking(told)

    assert answer == RerankAnswer(id="r1", results=(Ranked(index=1, score=0.9),), usage=Usage(units=2))
    assert encode_ranking(answer, "n", None, "2") == told


def test_the_first_apis_callers_may_ask_for_their_documents() -> None:
    request = RerankRequest(model="m", query="q", documents=("a", "b"), return_documents=True)
    answer = RerankAnswer(results=(Ranked(index=1, score=0.9),), usage=Usage(7))

    body = encode_ranking(answer, "n", request, "1")

    assert body["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}]
    assert body["meta"] == {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 7}}


@pytest.mark.parametrize("results", [[3], [{"index": 1}], [{"relevance_score": 1}]])
def test_a_result_has_an_index_and_a_score(results: Any) -> None:
    with pytest.raises(ValueError, match="result"):
        decode_ranking({"results": results})


def test_golden_every_recorded_ranking_is_read_and_written_again(recordings: list[dict[str, Any]]) -> None:
    for record, body in asked(recordings, "rerank"):
        losses = Losses()
        said = {key: value for key, value in body.items() if value is not None}
        assert encode_rerank(decode_rerank(body, losses), body["model"], losses) == said, record["id"]
    for record, data in whole(recordings, "rerank"):
        told = orjson.loads(data)
        version = told["meta"]["api_version"]["version"]
        assert encode_ranking(decode_ranking(told), "n", None, version) == told, record["id"]
