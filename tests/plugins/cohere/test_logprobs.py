from __future__ import annotations

from typing import Any

import pytest

from llmproxy_cohere.logprobs import read_item, read_items, write_items


def test_a_piece_of_one_token_is_that_token() -> None:
    told = read_item({"text": "é", "token_ids": [7], "logprobs": [-0.5]})

    assert told == {
        "content": [{"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []}],
    }


def test_the_probability_of_several_tokens_is_their_product() -> None:
    told = read_items([{"text": "ab", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}, {"logprobs": []}])

    assert told is not None
    assert [token["logprob"] for token in told["content"]] == [-0.75]


@pytest.mark.parametrize("item", [None, [], {}, {"logprobs": ["x"]}, {"logprobs": 1}])
def test_what_is_no_piece_tells_nothing(item: Any) -> None:
    assert read_item(item) is None


def test_tokens_are_written_as_pieces() -> None:
    written = write_items({"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]})

    assert written == [{"text": "a", "token_ids": [], "logprobs": [-1.0]}]
    assert write_items(None) == write_items({"content": None}) == []
