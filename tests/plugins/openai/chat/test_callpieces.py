from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import BlockEnded, BlockStarted, Collector, Foreign, Started, StreamEvent, ToolCall
from llmproxy_openai.chat.callpieces import CallPieces
from llmproxy_openai.chat.telling import Telling


def events(*items: dict[str, Any]) -> list[StreamEvent]:
    telling = Telling()
    telling.name = "chatcmpl-1"
    pieces = CallPieces(telling, 0)
    for item in items:
        pieces.take(item, item.get("index"))
    pieces.end()
    return telling.drain()


def calls(*items: dict[str, Any]) -> list[Any]:
    collector = Collector()
    collector.feed(Started())
    for event in events(*items):
        collector.feed(event)
    return list(collector.answer.choices[0].content)


def piece(index: int | None = None, name: str = "", tool: str = "", arguments: Any = None) -> dict[str, Any]:
    item: dict[str, Any] = {"function": {}}
    if index is not None:
        item["index"] = index
    if name:
        item["id"] = name
    if tool:
        item["function"]["name"] = tool
    if arguments is not None:
        item["function"]["arguments"] = arguments
    return item


FIRST, SECOND = ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", '{"y":2}')


@pytest.mark.parametrize(
    "items",
    [
        [
            piece(0, "a", "f", ""),
            piece(0, arguments='{"x"'),
            piece(0, arguments=":1}"),
            piece(1, "b", "g", '{"y":2}'),
        ],
        [
            piece(0, "a", "f", '{"x"'),
            piece(1, "b", "g", '{"y"'),
            piece(0, arguments=":1}"),
            piece(1, arguments=":2}"),
        ],
        [piece(0, "a", "f", '{"x":1}'), piece(0, "b", "g", '{"y":2}')],
        [piece(None, "a", "f", '{"x":1}'), piece(None, "b", "g", {"y": 2})],
        [piece(None, "a", "f", '{"x"'), piece(None, "", "", ":1}"), piece(None, "b", "g", '{"y":2}')],
        [piece(None, "a", "f", '{"x"'), piece(None, "b", "g", '{"y":2}'), piece(None, "a", "", ":1}")],
        [piece(0, "a"), piece(0, arguments='{"x":1}'), piece(0, tool="f"), piece(1, "b", "g", '{"y":2}')],
        [
            piece(0, "a", "f", '{"x":1}'),
            piece(0, "a", "f"),
            piece(1, "b", "g", '{"y":2}'),
            piece(0, arguments=" "),
        ],
    ],
    ids=[
        "in order",
        "in turn",
        "one index",
        "no index",
        "last goes on",
        "by id",
        "late name",
        "repeated head",
    ],
)
def test_pieces_find_their_call(items: list[dict[str, Any]]) -> None:
    assert calls(*items) == [FIRST, SECOND]


def test_a_call_ends_with_its_arguments_when_the_next_begins() -> None:
    told = events(piece(0, "a", "f", '{"x":1}'), piece(1, "b", "g", '{"y":2}'))
    kinds = [type(event) for event in told if isinstance(event, BlockStarted | BlockEnded)]

    assert kinds == [BlockStarted, BlockEnded, BlockStarted, BlockEnded]


def test_a_call_whose_arguments_are_not_whole_stays_open() -> None:
    told = events(piece(0, "a", "f", "{"), piece(1, "b", "g", "{}"))
    kinds = [type(event) for event in told if isinstance(event, BlockStarted | BlockEnded)]

    assert kinds == [BlockStarted, BlockStarted, BlockEnded, BlockEnded]


def test_more_arguments_after_the_end_are_a_fault() -> None:
    with pytest.raises(ValueError, match="goes on"):
        events(piece(0, "a", "f", "{}"), piece(1, "b", "g", "{}"), piece(0, arguments='{"x":1}'))


def test_ids_are_made_up_where_they_are_missing() -> None:
    read = calls(piece(0, "", "f", "{}"), piece(1, "", "g", "{}"))

    assert len({call.id for call in read}) == 2
    assert read == calls(piece(0, "", "f", "{}"), piece(1, "", "g", "{}"))


def test_a_call_without_arguments_or_name_is_a_call() -> None:
    assert calls(piece(0, "a", "f")) == [ToolCall("a", "f")]
    assert calls(piece(0, "a")) == [ToolCall("a", "")]


def test_geminis_signature_is_read() -> None:
    item = {**piece(0, "a", "f", "{}"), "extra_content": {"google": {"thought_signature": "s"}}}

    assert calls(item) == [ToolCall("a", "f", signature="s")]


def test_a_call_with_free_text_is_whole_at_the_end() -> None:
    head = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "l"}}
    value = {"type": "custom_tool_call", "call_id": "a", "name": "sh", "input": "ls"}

    assert calls(head, {"index": 0, "custom": {"input": "s"}}) == [Foreign("openai", value)]


def test_any_number_of_calls_may_be_open_at_once() -> None:
    items = [piece(number, f"c{number}", "f", "{") for number in range(20_000)]

    assert len(calls(*items)) == 20_000


def test_a_call_that_becomes_whole_late_ends_when_another_begins() -> None:
    told = events(
        piece(0, "a", "f", "{"), piece(1, "b", "f", "{"), piece(0, arguments="}"), piece(2, "c", "f", "{}")
    )

    kinds = [(type(event), event.index) for event in told if isinstance(event, BlockStarted | BlockEnded)]
    assert kinds == [
        *((BlockStarted, 0), (BlockStarted, 1)),
        *((BlockEnded, 0), (BlockStarted, 2)),
        *((BlockEnded, 1), (BlockEnded, 2)),
    ]


def test_a_name_in_pieces_is_put_together_and_one_that_is_repeated_is_not_doubled() -> None:
    split = [piece(0, "a", "get_"), piece(0, tool="weather"), piece(0, arguments="{}")]
    repeated = [piece(0, "a", "get_weather", ""), piece(0, "a", "get_weather", "{}")]

    assert calls(*split) == calls(*repeated) == [ToolCall("a", "get_weather", "{}")]


def test_a_call_without_arguments_stands_before_the_next_one() -> None:
    assert calls(piece(0, "a", "f", ""), piece(1, "b", "g", '{"y":2}')) == [ToolCall("a", "f", "{}"), SECOND]
