from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import CountAnswer, Losses, Message, Text
from llmproxy_gemini.counting import read_count, read_count_answer, write_count, write_count_answer

CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
SYSTEM = {"parts": [{"text": "Be"}]}


@pytest.mark.parametrize(
    "told",
    [{"contents": CONTENTS}, {"generateContentRequest": {"contents": CONTENTS, "model": "models/m"}}],
)
def test_a_count_is_asked_for_in_two_forms(told: dict[str, Any]) -> None:
    losses = Losses()

    request = read_count("m", told, losses)

    assert request.model == "m"
    assert request.request.messages == (Message(role="user", content=(Text(text="Hi"),)),)
    assert not losses


def test_the_gemini_api_wraps_what_is_more_than_contents() -> None:
    losses = Losses()
    plain = read_count("m", {"contents": CONTENTS}, losses)
    more = read_count("m", {"contents": CONTENTS, "systemInstruction": SYSTEM}, losses)

    assert write_count(plain, "m", losses) == {"contents": CONTENTS}
    assert write_count(more, "m", losses) == {
        "generateContentRequest": {"model": "models/m", "systemInstruction": SYSTEM, "contents": CONTENTS}
    }
    assert write_count(more, "m", losses, vertex=True) == {"systemInstruction": SYSTEM, "contents": CONTENTS}


def test_a_number_goes_both_ways() -> None:
    answer = CountAnswer(tokens=7, cached=3)

    assert write_count_answer(answer) == {"totalTokens": 7, "cachedContentTokenCount": 3}
    assert read_count_answer(write_count_answer(answer)) == answer
    assert write_count_answer(CountAnswer(tokens=7)) == {"totalTokens": 7}


def test_an_answer_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="number"):
        read_count_answer({"totalTokens": "x"})
