from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given

from llmproxy.canonical import (
    Answer,
    Choice,
    Citation,
    Foreign,
    Image,
    Inline,
    Link,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy_openai.responses.ids import place_of, response_id
from llmproxy_openai.responses.output import output_of
from llmproxy_openai.responses.output_reader import blocks_of

from .drawn import answers, as_read

RESPONSE = response_id()


def test_texts_that_follow_one_another_are_one_message() -> None:
    choice = Choice(
        content=(
            Reasoning(text="hm"),
            Text(text="a"),
            Refusal(text="no"),
            ToolCall(id="c1", name="look", arguments="{}"),
            Text(text="b"),
        )
    )

    items = output_of(choice, RESPONSE, "completed")

    assert [item["type"] for item in items] == ["reasoning", "message", "function_call", "message"]
    assert [part["type"] for part in items[1]["content"]] == ["output_text", "refusal"]
    assert [place_of(item["id"]) for item in items] == [(RESPONSE, number) for number in (0, 1, 3, 4)]


def test_log_probabilities_stand_with_the_first_text() -> None:
    tokens = [{"token": "a", "logprob": -1}]
    choice = Choice(content=(Text(text="a"), Text(text="b")), logprobs={"content": tokens})

    (item,) = output_of(choice, RESPONSE, "completed")

    assert [part["logprobs"] for part in item["content"]] == [tokens, []]


def test_what_was_cut_short_ends_in_an_incomplete_item() -> None:
    choice = Choice(content=(Text(text="a"), ToolCall(id="c1", name="look")))

    assert [item["status"] for item in output_of(choice, RESPONSE, "incomplete")] == [
        "completed",
        "incomplete",
    ]


def test_what_another_apis_tools_did_does_not_part_a_text() -> None:
    other = Foreign(origin="anthropic", value={"type": "server_tool_use", "id": "x"})
    own = Foreign(origin="openai", value={"type": "web_search_call", "id": "ws_1", "status": "completed"})

    items = output_of(Choice(content=(Text(text="a"), other, Text(text="b"), own)), RESPONSE, "completed")

    assert [item["type"] for item in items] == ["message", "web_search_call"]
    assert items[1] == own.value


def test_a_picture_is_what_its_tool_would_have_made() -> None:
    inline = Image(source=Inline(media_type="image/png", data="aGk="))
    linked = Image(source=Link(url="https://a.test"))

    (item,) = output_of(Choice(content=(inline, linked)), RESPONSE, "completed")

    assert (item["type"], item["result"], item["output_format"]) == ("image_generation_call", "aGk=", "png")


def test_a_call_of_a_custom_tool_holds_its_input() -> None:
    call = ToolCall(id="c1", name="patch", arguments='{"input":"*** Begin"}')

    (item,) = output_of(Choice(content=(call,)), RESPONSE, "completed", frozenset({"patch"}))

    assert (item["type"], item["call_id"], item["input"]) == ("custom_tool_call", "c1", "*** Begin")
    assert place_of(item["id"]) == (RESPONSE, 0)


def test_a_source_spans_its_text() -> None:
    text = Text(text="four", citations=(Citation(kind="url", url="https://a.test"),))

    (item,) = output_of(Choice(content=(text,)), RESPONSE, "completed")

    assert item["content"][0]["annotations"][0]["end_index"] == 4


def test_a_call_without_a_name_of_its_own_gets_one() -> None:
    choice = Choice(content=(ToolCall(id="", name="look"),))

    assert output_of(choice, RESPONSE, "completed") == output_of(choice, RESPONSE, "completed")
    assert output_of(choice, RESPONSE, "completed")[0]["call_id"]


@given(answers())
def test_items_are_read_back_as_the_blocks_that_they_were(answer: Answer) -> None:
    (choice,) = answer.choices

    items = output_of(choice, RESPONSE, "completed")
    again = [block for item in items for block in blocks_of(item)]

    assert [_nameless(block) for block in again] == [as_read(block) for block in choice.content]


def _nameless(block: Any) -> Any:
    return msgspec.structs.replace(block, id="") if isinstance(block, Reasoning) else block
