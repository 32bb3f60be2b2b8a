from __future__ import annotations

import pytest

from llmproxy_gemini.logprobs import read_logprobs, write_logprobs

RESULT = {
    "chosenCandidates": [{"token": "Hé", "logProbability": -0.5}, {"token": "y", "logProbability": -1.5}],
    "topCandidates": [
        {"candidates": [{"token": "Hé", "logProbability": -0.5}, {"token": "Yo", "logProbability": -2.0}]},
        {"candidates": []},
    ],
}


def test_two_lists_are_one_in_openais_shape() -> None:
    told = read_logprobs(RESULT)

    assert told is not None
    first, second = told["content"]
    assert first["token"] == "Hé"
    assert first["bytes"] == [72, 195, 169]
    assert [top["logprob"] for top in first["top_logprobs"]] == [-0.5, -2.0]
    assert second["top_logprobs"] == []


def test_they_come_back() -> None:
    written = write_logprobs(read_logprobs(RESULT))

    assert written == {"avgLogprobs": -1.0, "logprobsResult": RESULT}


@pytest.mark.parametrize("told", [None, 3, {}, {"chosenCandidates": 3}, {"chosenCandidates": [1, {}]}])
def test_what_is_no_result_tells_nothing(told: object) -> None:
    assert read_logprobs(told) is None


@pytest.mark.parametrize("told", [None, {}, {"content": None}, {"content": [3]}])
def test_nothing_is_written_of_nothing(told: dict[str, object] | None) -> None:
    assert write_logprobs(told) == {}
