from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Losses, Ranked, RerankAnswer, RerankRequest
from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigErrors, Usage
from llmproxy_declared.places import BadAnswer
from llmproxy_declared.ranking import Ranking, RerankConfig

ASKED = RerankRequest(model="m", query="q", documents=("a", "b", "c"), top_n=2)


def ranking(**config: Any) -> Ranking:
    given = {"path": "/r", "body": {"q": "{query}", "d": "{documents}"}, **config}
    return Ranking(decode_struct(RerankConfig, given, "rerank"))


def test_a_query_and_documents_and_what_else_is_said():
    losses = Losses()
    asked = RerankRequest(model="m", query="q", documents=("a",), top_n=1, truncate=False, user="ada")
    values = ranking(body={"q": "{query}", "d": "{documents}", "t": "{truncate}"}).values(asked, losses)

    assert values == {"query": "q", "documents": ["a"], "top_n": 1, "truncate": False}
    assert [loss.field for loss in losses] == ["user"]


@pytest.mark.parametrize(
    "told",
    [
        {"r": [{"index": 2, "score": 0.1}, {"index": 0, "score": 0.9}, {"index": 1, "score": 0.5}]},
        {"r": [{"index": 0, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.5}]},
        {"r": [0.9, 0.5, 0.1]},
    ],
)
def test_the_best_are_told_first_and_no_more_than_were_asked_for(told):
    answer = ranking(results="/r", usage={"input": "/n"}, id="/id").read({**told, "n": 4, "id": "x"}, ASKED)

    assert answer == RerankAnswer(
        id="x", results=(Ranked(index=0, score=0.9), Ranked(index=1, score=0.5)), usage=Usage(4)
    )


@pytest.mark.parametrize(
    "told",
    [
        {},
        None,
        [{"index": 3, "score": 1}],
        [{"index": -1, "score": 1}],
        [{"index": 0, "score": 1}, {"index": 0, "score": 1}],
        [{"index": 0}],
        [{"index": "0", "score": 1}],
        [{"index": 0, "score": "1"}],
        [1, 2, 3, 4],
        [float("inf")],
        [True],
        ["x"],
    ],
)
def test_what_ranks_not_what_was_sent_is_no_answer(told):
    with pytest.raises(BadAnswer):
        ranking().read(told, ASKED)


def test_both_have_to_be_sent():
    with pytest.raises(ConfigErrors, match=r"rerank.body: holds not both"):
        ranking(body={"q": "{query}"})
