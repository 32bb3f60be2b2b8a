from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import BadRequest, Usage
from llmproxy_demo.answers import answer_messages, answer_text


def test_the_last_user_message_is_echoed() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "user", "content": [{"type": "text", "text": "second one"}]},
        {"role": "assistant", "content": "hm"},
    ]

    answer = answer_messages(messages, "echo", b"seed")

    assert answer.text == "second one"
    assert answer.usage == Usage(input=7, output=2)


@pytest.mark.parametrize("messages", [[], [{"role": "system", "content": "x"}], ["odd"]])
def test_a_talk_without_user_gets_an_empty_answer(messages: Any) -> None:
    assert answer_messages(messages, "echo", b"").text == ""


@pytest.mark.parametrize("messages", [None, "text", {}])
def test_what_is_no_list_is_refused(messages: Any) -> None:
    with pytest.raises(BadRequest, match="list of messages"):
        answer_messages(messages, "echo", b"")


def test_a_wrong_directive_is_refused_with_the_right_form() -> None:
    with pytest.raises(BadRequest, match="cut after 3") as caught:
        answer_text("[[cut 3]]", "echo", b"", 0)

    assert caught.value.code == "bad_directive"


def test_a_size_fills_the_answer_and_is_counted() -> None:
    answer = answer_text("[[size 2KiB]] ab c", "echo", b"", 0)

    assert len(answer.text) == 2048
    assert answer.output_tokens == len(answer.text.replace(".", " .").split())


def test_a_tool_call_says_its_arguments() -> None:
    answer = answer_text('[[tool f {"a": 1}]] x', "echo", b"", 0)

    assert answer.text == '{"a": 1}'


def test_the_same_request_gets_the_same_answer() -> None:
    assert answer_text("x", "echo", b"1", 1) == answer_text("x", "echo", b"1", 1)
    assert answer_text("x", "echo", b"1", 1).id != answer_text("x", "echo", b"2", 1).id
