from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Citation, Reasoning, Refusal, Text, ToolCall
from llmproxy_openai.responses.open_items import OpenCall, OpenCustom, OpenMessage, OpenThought

Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def told() -> Told:
    return []


def kinds(told: Told) -> list[str]:
    return [kind.removeprefix("response.") for kind, _ in told]


def test_a_message_tells_its_parts_in_order(told: Told) -> None:
    message = OpenMessage(lambda kind, members: told.append((kind, members)), "msg_1", 2)
    message.start(Text(text=""))
    message.more("a", {"content": [{"token": "a"}]})
    message.end_block()
    message.start(Refusal(text=""))
    message.more("no", None)
    message.end_block()
    item = message.end("completed")

    assert kinds(told) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert [members.get("content_index") for _, members in told] == [None, 0, 0, 0, 0, 1, 1, 1, 1, None]
    assert all(members["output_index"] == 2 for _, members in told)
    assert item["content"][0]["logprobs"] == [{"token": "a"}]
    assert item["content"][1] == {"type": "refusal", "refusal": "no"}


def test_a_source_without_a_place_waits_for_the_length_of_its_text(told: Told) -> None:
    message = OpenMessage(lambda kind, members: told.append((kind, members)), "msg_1", 0)
    message.start(Text(text=""))
    message.cite(Citation(kind="url", url="https://a.test"))
    message.cite(Citation(kind="url", url="https://b.test", text_start=0, text_end=1))
    message.more("four", None)
    message.end_block()

    placed = [members for kind, members in told if kind.endswith("annotation.added")]
    assert [each["annotation_index"] for each in placed] == [0, 1]
    assert [each["annotation"]["end_index"] for each in placed] == [1, 4]
    assert kinds(told).index("output_text.delta") > kinds(told).index("output_text.annotation.added")
    part = told[-1][1]["part"]
    assert part["annotations"] == [each["annotation"] for each in placed]


@pytest.mark.parametrize("pieces", [['{"a"', ":1}"], ['{"a":1}']])
def test_a_call_tells_its_arguments(told: Told, pieces: list[str]) -> None:
    call = OpenCall(
        lambda kind, members: told.append((kind, members)),
        "fc_1",
        0,
        ToolCall(id="c1", name="look", arguments=""),
    )
    for piece in pieces:
        call.more(piece, None)
    item = call.end("completed")

    assert kinds(told) == [
        "output_item.added",
        *["function_call_arguments.delta"] * len(pieces),
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert (item["arguments"], item["call_id"], item["status"]) == ('{"a":1}', "c1", "completed")
    assert told[0][1]["item"]["arguments"] == ""


def test_a_call_without_arguments_has_an_empty_object(told: Told) -> None:
    call = OpenCall(
        lambda kind, members: told.append((kind, members)), "fc_1", 0, ToolCall(id="c1", name="look")
    )

    assert call.end("completed")["arguments"] == "{}"
    assert told[1][1]["delta"] == "{}"


def test_a_call_may_begin_with_its_arguments(told: Told) -> None:
    block = ToolCall(id="c1", name="look", arguments='{"a":1}')

    assert (
        OpenCall(lambda kind, members: told.append((kind, members)), "fc_1", 0, block).end("completed")[
            "arguments"
        ]
        == '{"a":1}'
    )


@pytest.mark.parametrize("pieces", [['{"input"', ':"*** Begin"}'], ["*** Begin"]])
def test_a_custom_call_tells_its_input_when_it_is_whole(told: Told, pieces: list[str]) -> None:
    block = ToolCall(id="c1", name="patch", arguments="")
    call = OpenCustom(lambda kind, members: told.append((kind, members)), "ctc_1", 0, block)
    for piece in pieces:
        call.more(piece, None)
    item = call.end("completed")

    assert kinds(told) == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert (item["input"], told[1][1]["delta"]) == ("*** Begin", "*** Begin")


def test_a_thought_tells_one_summary_and_its_proof(told: Told) -> None:
    thought = OpenThought(
        lambda kind, members: told.append((kind, members)), "rs_1", 0, Reasoning(origin="anthropic")
    )
    thought.more("h", None)
    thought.more("m", None)
    thought.sign("sig")
    item = thought.end("completed")

    assert kinds(told) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert item["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert item["encrypted_content"] == "llmproxy:anthropic:sig"


def test_hidden_thought_has_no_summary(told: Told) -> None:
    block = Reasoning(redacted="x", origin="openai")
    item = OpenThought(lambda kind, members: told.append((kind, members)), "rs_1", 0, block).end("completed")

    assert kinds(told) == ["output_item.added", "output_item.done"]
    assert (item["summary"], item["encrypted_content"]) == ([], "x")
