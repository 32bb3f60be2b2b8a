from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Block, Citation, Foreign, Reasoning, Refusal, Text, ToolCall
from llmproxy_openai.responses.output_reader import blocks_of, created_of, finish_of


@pytest.mark.parametrize(
    ("item", "blocks"),
    [
        (
            {
                "type": "message",
                "content": [
                    {
                        "type": "output_text",
                        "text": "a",
                        "annotations": [{"type": "url_citation", "url": "https://a.test"}, {"type": "odd"}],
                    },
                    {"type": "refusal", "refusal": "no"},
                    {"type": "odd"},
                ],
            },
            [Text(text="a", citations=(Citation(kind="url", url="https://a.test"),)), Refusal(text="no")],
        ),
        (
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": ""},
            [ToolCall(id="c1", name="look")],
        ),
        ({"type": "function_call", "id": "fc_1", "name": "look"}, [ToolCall(id="fc_1", name="look")]),
        (
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"text": "a"}, {"text": "b"}],
                "encrypted_content": "x",
            },
            [Reasoning(text="a\n\nb", signature="x", origin="openai", summary=True, id="rs_1")],
        ),
        (
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            [Reasoning(redacted="x", origin="openai")],
        ),
        ({"type": "reasoning", "summary": [], "content": [{"text": "a"}]}, [Reasoning(text="a")]),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, []),
        (
            {"type": "web_search_call", "id": "ws_1"},
            [Foreign(origin="openai", value={"type": "web_search_call", "id": "ws_1"})],
        ),
        ({"type": "message", "content": None}, []),
        ("odd", []),
        ({}, []),
    ],
)
def test_an_item_is_read(item: Any, blocks: list[Block]) -> None:
    assert list(blocks_of(item)) == blocks


@pytest.mark.parametrize(
    ("response", "called", "finish"),
    [
        ({"status": "completed"}, False, ("stop", "completed")),
        ({}, True, ("tool_calls", "completed")),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            False,
            ("length", "max_output_tokens"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            False,
            ("content_filter", "content_filter"),
        ),
        ({"status": "incomplete", "incomplete_details": None}, False, ("error", "incomplete")),
        ({"status": "cancelled"}, False, ("error", "cancelled")),
        ({"status": "queued"}, False, (None, "")),
    ],
)
def test_an_end_is_read_from_status_and_reason(
    response: dict[str, Any], called: bool, finish: tuple[str | None, str]
) -> None:
    assert finish_of(response, called=called) == finish


@pytest.mark.parametrize(("value", "seconds"), [(7, 7), (7.9, 7), ("7", 0), (1e300, 0), (None, 0), (-1, 0)])
def test_the_time_is_whole_seconds(value: Any, seconds: int) -> None:
    assert created_of({"created_at": value}) == seconds
