from __future__ import annotations

import pytest

from llmproxy.canonical import Answer, Choice, GenerateRequest, Message, Reasoning, Text, ToolCall, ToolResult
from llmproxy_ollama.recalling import recall, remember
from llmproxy_ollama.toolcalls import made_id

SIGNED = Reasoning(text="hm", signature="s", origin="anthropic")


class Kept:
    def __init__(self):
        self.values = {}

    async def get(self, kind, name):
        return self.values.get((kind, name))

    async def put(self, kind, name, value):
        self.values[kind, name] = value

    async def drop(self, kind, name):
        return self.values.pop((kind, name), None) is not None


def call(name="", arguments='{"b":1.0,"a":2}'):
    return ToolCall(id=name or made_id("x"), name="look", arguments=arguments)


def asked(*more, question="Hi", system="s"):
    said = Message(role="user", content=(Text(text=question),))
    return GenerateRequest(model="m", system=(Text(text=system),), messages=(said, *more))


def answer(*blocks):
    return Answer(choices=(Choice(content=blocks, finish="tool_calls"),))


def back(one, **request):
    """The next turn, as a caller sends it who dropped the ids."""
    turn = Message(role="assistant", content=(Text(text="thinking aloud"), one))
    result = Message(role="user", content=(ToolResult(id=one.id, name="look"),))
    return asked(turn, result, **request)


async def test_a_call_that_comes_back_without_its_id_gets_it_again_and_so_does_its_result():
    memory = Kept()
    await remember(asked(), answer(SIGNED, call("toolu_1")), memory)
    request = await recall(back(call(arguments='{"a":2,"b":1}')), memory)

    assert request.messages[1].content[1].id == "toolu_1"
    assert request.messages[2].content[0].id == "toolu_1"


@pytest.mark.parametrize(
    ("one", "more"),
    [
        (call(), {"question": "Another?"}),
        (call(), {"system": "another"}),
        (call(arguments='{"a":3}'), {}),
        (call("toolu_9"), {}),
    ],
)
async def test_another_conversations_call_is_another(one, more):
    memory = Kept()
    await remember(asked(), answer(SIGNED, call("toolu_1")), memory)
    request = back(one, **more)

    assert await recall(request, memory) is request


@pytest.mark.parametrize(
    "blocks", [(), (SIGNED,), (Reasoning(text="hm"), call("toolu_1")), (Text(text="x"), call("t"))]
)
async def test_where_nothing_was_signed_nothing_is_kept(blocks):
    memory = Kept()
    await remember(asked(), answer(*blocks), memory)
    await remember(asked(), Answer(), memory)

    assert memory.values == {}


async def test_signed_calls_count_too_and_later_ones_have_places_of_their_own():
    memory = Kept()
    signed = ToolCall(id="gem", name="look", arguments="{}", signature="s")
    await remember(asked(), answer(signed, ToolCall(id="gem2", name="look", arguments="{}")), memory)
    first, second = (ToolCall(id=made_id(n), name="look", arguments="{}") for n in (1, 2))
    request = await recall(asked(Message(role="assistant", content=(first, second))), memory)

    assert [block.id for block in request.messages[1].content] == ["gem", "gem2"]


async def test_arguments_that_are_no_json_are_taken_as_they_are():
    memory = Kept()
    await remember(asked(), answer(SIGNED, call("toolu_1", "{x")), memory)

    assert (await recall(back(call(arguments="{x")), memory)).messages[1].content[1].id == "toolu_1"
