from __future__ import annotations

import pytest

from llmproxy.canonical import Answer, Collector, Reasoning, StreamEvent, Text, ToolCall
from llmproxy_declared.places import BadAnswer
from llmproxy_declared.telling import Numbers, Told
from llmproxy_declared.toolcalls import Call


def told() -> tuple[Told, list[StreamEvent]]:
    events: list[StreamEvent] = []
    return Told(0, Numbers(), events.append), events


def collected(events: list[StreamEvent]) -> Answer:
    collector = Collector()
    for event in events:
        collector.feed(event)
    return collector.answer


def test_text_and_thought_end_when_something_else_begins():
    one, events = told()
    one.say(Reasoning, "a")
    one.say(Reasoning, "b")
    one.say(Text, "c")
    one.say(Text, "")
    one.call(Call("1", "f", "{}", None), "")
    one.say(Text, "d")
    one.finish = ("length", "max")
    one.end()

    choice = collected(events).choices[0]
    assert choice.content == (Reasoning("ab"), Text("c"), ToolCall("1", "f"), Text("d"))
    assert (choice.finish, choice.detail) == ("length", "max")


def test_pieces_of_calls_belong_together():
    one, events = told()
    for call in (
        Call("1", "f", "", 0),
        Call("2", "g", "{", 1),
        Call("", "", '{"a":', 0),
        Call("", "", "}", 1),
        Call("", "", "1}", 0),
    ):
        one.call(call, "")
    one.end()

    choice = collected(events).choices[0]
    assert choice.content == (ToolCall("1", "f", '{"a":1}'), ToolCall("2", "g", "{}"))
    assert choice.finish == "tool_calls"


def test_a_piece_of_nothing_is_no_call():
    with pytest.raises(BadAnswer):
        told()[0].call(Call("", "", "{", 0), "")


def test_calls_are_bounded():
    one, _ = told()
    for _ in range(1024):
        one.call(Call("", "f", "", None), "")

    with pytest.raises(BadAnswer):
        one.call(Call("", "f", "", None), "")


def test_what_is_told_so_far_may_only_grow():
    one, events = told()
    for text in ("", "He", "He", "Hello"):
        one.say_so_far(Text, text)

    assert collected(events).choices[0].content == (Text("Hello"),)
    with pytest.raises(BadAnswer, match="takes back"):
        one.say_so_far(Text, "Hell")


def test_numbers_are_given_over_all_choices():
    numbers, events = Numbers(), list[StreamEvent]()
    for choice in (0, 1):
        Told(choice, numbers, events.append).say(Text, "x")

    assert [choice.content for choice in collected(events).choices] == [(Text("x"),), (Text("x"),)]
