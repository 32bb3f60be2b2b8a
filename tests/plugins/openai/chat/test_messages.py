from __future__ import annotations

from typing import Any

from llmproxy.canonical import (
    Block,
    CacheMark,
    Citation,
    Document,
    GenerateRequest,
    Image,
    Inline,
    Link,
    Losses,
    Message,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import Quirks
from llmproxy_openai.chat.messages import Writer

PICTURE = Image(Link("https://a.example/b"))
SEEN = {"type": "image_url", "image_url": {"url": "https://a.example/b"}}


def written(
    losses: Losses, *messages: Message, system: tuple[Text, ...] = (), **quirks: Any
) -> list[dict[str, Any]]:
    request = GenerateRequest(model="m", messages=messages, system=system)
    return Writer(Quirks(**quirks), losses).write(request)


def said(*blocks: Block, **more: Any) -> Message:
    return Message("user", blocks, **more)


def test_instructions_are_one_string_in_the_providers_role(losses: Losses) -> None:
    late = Message("system", (Text("late"),))

    assert written(losses, late, system=(Text("one"), Text("two")), system_role="developer") == [
        {"role": "developer", "content": "one\n\ntwo"},
        {"role": "developer", "content": "late"},
    ]


def test_marks_in_instructions_are_written_where_they_are_taken(losses: Losses) -> None:
    system = (Text("one", CacheMark()), Text("two"))
    [taken] = written(losses, system=system, extras=("cache_control",))
    assert taken["content"] == [
        {"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "two"},
    ]
    assert len(losses) == 0

    [plain] = written(losses, system=system)
    assert plain["content"] == "one\n\ntwo"
    written(losses, Message("system", (Text("late", CacheMark()),)))
    assert [loss.field for loss in losses] == ["system.cache", "content.cache"]


def test_results_stand_first_one_message_each(losses: Losses) -> None:
    turn = said(ToolResult("c1", (Text("a"), Text("b"))), ToolResult("c2"), Text("and?"))

    assert written(losses, turn) == [
        {"role": "tool", "tool_call_id": "c1", "content": "a\nb"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": "and?"},
    ]


def test_a_picture_in_a_result_follows_it_and_that_is_told(losses: Losses) -> None:
    turn = said(ToolResult("c1", (Text("see"), PICTURE), is_error=True))

    assert written(losses, turn) == [
        {"role": "tool", "tool_call_id": "c1", "content": "see"},
        {"role": "user", "content": [SEEN]},
    ]
    assert [loss.field for loss in losses] == ["tool_result.content", "tool_result.is_error"]


def test_a_marked_result_is_marked_where_that_is_taken(losses: Losses) -> None:
    turn = said(ToolResult("c1", (Text("a"),), cache=CacheMark()))

    [taken] = written(losses, turn, extras=("cache_control",))
    assert taken["content"] == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    assert written(losses, turn)[0]["content"] == "a"
    assert "content.cache" in losses


def test_a_mark_within_a_result_marks_it(losses: Losses) -> None:
    turn = said(ToolResult("c1", (Text("a", CacheMark("1h")), Text("b"))))

    [taken] = written(losses, turn, extras=("cache_control",))
    assert taken["content"] == [
        {"type": "text", "text": "a\nb", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    assert len(losses) == 0


def test_turns_of_the_model_stand_between_them(losses: Losses) -> None:
    assert written(losses, Message("assistant", (Text("a"),), "bot")) == [
        {"role": "assistant", "content": "a", "name": "bot"}
    ]


def test_calls_and_results_get_the_same_nine_letters(losses: Losses) -> None:
    call, result = written(
        losses,
        Message("assistant", (ToolCall("toolu_01ABC", "look"),)),
        said(ToolResult("toolu_01ABC")),
        tool_ids="nine",
    )

    assert len(result["tool_call_id"]) == 9
    assert call["tool_calls"][0]["id"] == result["tool_call_id"]


def test_names_and_citations_that_have_no_place_are_told(losses: Losses) -> None:
    cited = Text("a", citations=(Citation("url", "https://a.example"),))

    assert written(losses, said(cited, name="ann"))[0]["name"] == "ann"
    assert "name" not in written(losses, said(Text("a"), name="ann"), refused=("messages.name",))[0]
    written(losses, said(ToolResult("c1"), name="ann"))
    assert [loss.field for loss in losses] == ["content.citations", "messages.name"]


def test_one_plain_text_is_a_string_and_more_are_parts(losses: Losses) -> None:
    document = Document(Inline("application/pdf", "AA=="), title="a.pdf", cache=CacheMark())
    [message] = written(losses, said(Text("a"), document), extras=("prompt_cache_breakpoint",))

    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}
    assert message["content"] == [
        {"type": "text", "text": "a"},
        {"type": "file", "file": file, "prompt_cache_breakpoint": {"mode": "explicit"}},
    ]
    assert written(losses, said(Text("a")))[0]["content"] == "a"
    assert written(losses, said())[0]["content"] == ""
