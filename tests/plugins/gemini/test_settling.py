from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import ToolCall
from llmproxy_gemini.answers import read_answer
from llmproxy_gemini.settling import settled


def call(**more: Any) -> ToolCall:
    """Return the call of an answer that holds one."""
    part = {"functionCall": {"name": "f", "args": {"a": 1}, "id": "x", **more}}
    answer = read_answer({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]})
    (block,) = answer.choices[0].content
    assert isinstance(block, ToolCall)
    return block


@pytest.mark.parametrize("args", ["", "{}", [], None, {}, " "])
def test_arguments_that_say_nothing_are_none(args: Any) -> None:
    assert call(args=args).arguments == "{}"


def test_arguments_may_be_json_text() -> None:
    assert call(args='{"a": 2}').arguments == '{"a":2}'


@pytest.mark.parametrize("args", ["half {", [1], 3])
def test_arguments_that_are_no_object_cannot_be_read(args: Any) -> None:
    with pytest.raises(Exception, match="args"):
        call(args=args)


def test_an_id_may_be_a_number_and_anything_else_is_none() -> None:
    assert call(id=7).id == "7"
    assert call(id=[]).id.startswith("call_")


@pytest.mark.parametrize(
    "part", [{"text": "a"}, {"functionCall": {"name": "f", "args": {}, "id": "x"}}, "a", None]
)
def test_a_part_with_nothing_odd_in_it_is_the_same(part: Any) -> None:
    assert settled(part) is part


def test_a_signature_that_is_no_text_is_none() -> None:
    assert settled({"text": "a", "thoughtSignature": 3}) == {"text": "a", "thoughtSignature": None}
