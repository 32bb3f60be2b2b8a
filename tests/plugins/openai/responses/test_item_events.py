from __future__ import annotations

from typing import Any

from llmproxy.canonical import BlockEnded, BlockStarted, Citation, Cited, Delta, Foreign, Text, ToolCall
from llmproxy_openai.responses.item_events import ItemEvents
from llmproxy_openai.responses.told_blocks import ToldBlocks

CALL = {"type": "function_call", "call_id": "c1", "name": "look"}


def read(*events: dict[str, Any]) -> tuple[ItemEvents, list[Any]]:
    blocks = ToldBlocks()
    items = ItemEvents(blocks)
    for event in events:
        items.readers[f"response.{event['type']}"](event)
    return items, blocks.out


def test_an_items_place_and_kind_are_remembered() -> None:
    items, out = read({"type": "output_item.added", "output_index": 4, "item": CALL})

    assert (items.places, items.called) == ({4}, True)
    assert out == [BlockStarted(0, ToolCall(id="c1", name="look", arguments=""))]


def test_arguments_of_no_call_are_passed_over() -> None:
    _, out = read({"type": "function_call_arguments.delta", "output_index": 0, "delta": "{}"})

    assert out == []


def test_a_part_begins_once() -> None:
    at = {"output_index": 0, "content_index": 0}
    added = {"type": "content_part.added", **at, "part": {"type": "output_text", "text": ""}}

    _, out = read(added, added, {"type": "output_text.delta", **at, "delta": "a"})

    assert out == [BlockStarted(0, Text(text="")), Delta(0, "a")]


def test_a_part_of_another_kind_is_passed_over() -> None:
    part = {"output_index": 0, "content_index": 0, "part": {"type": "reasoning_text", "text": "a"}}

    _, out = read({"type": "content_part.added", **part}, {"type": "content_part.done", **part})

    assert out == []


def test_a_source_of_no_text_is_passed_over() -> None:
    source = {"type": "url_citation", "url": "https://a.test"}
    added = {"type": "output_text.annotation.added", "output_index": 0, "annotation": source}

    _, before = read(added)
    _, after = read({"type": "output_text.delta", "output_index": 0, "delta": "a"}, added)

    assert before == []
    assert after[-1] == Cited(0, Citation(kind="url", url="https://a.test"))


def test_an_item_that_is_told_twice_is_told_once() -> None:
    item = {"type": "web_search_call", "id": "ws_1"}
    done = {"type": "output_item.done", "output_index": 0, "item": item}

    _, out = read(done, done)

    assert out == [BlockStarted(0, Foreign(origin="openai", value=item)), BlockEnded(0)]
