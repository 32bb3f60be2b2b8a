from __future__ import annotations

import pytest

from llmproxy_ollama.logprobs import read_logprobs, written_logprobs

TOLD = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.0}]}]


def test_they_are_read_and_written_back():
    read = read_logprobs(TOLD)

    assert read == {
        "content": [
            {
                "token": "a",
                "logprob": -0.5,
                "bytes": [97],
                "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": None}],
            }
        ]
    }
    assert written_logprobs(read) == TOLD


@pytest.mark.parametrize("told", [None, [], {}, [1]])
def test_what_is_none_is_none(told):
    assert read_logprobs(told) is None


def test_without_any_there_is_nothing_to_write():
    assert written_logprobs(None) == []
    assert written_logprobs({"content": None}) == []


@pytest.mark.parametrize("content", [None, "x", [None], [{"token": "a", "top_logprobs": "x"}, 7]])
def test_what_no_provider_should_tell_breaks_nothing(content):
    assert written_logprobs({"content": content}) in ([], [{"token": "a"}])
