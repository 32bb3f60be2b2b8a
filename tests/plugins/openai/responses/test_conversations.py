from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmproxy.canonical import (
    Answer,
    Choice,
    Foreign,
    GenerateRequest,
    Losses,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import BadRequest, Exchange
from llmproxy_openai.responses.asked import asked_of
from llmproxy_openai.responses.conversations import recall, remember
from llmproxy_openai.responses.ids import item_id
from llmproxy_openai.responses.request_reader import decode_request

if TYPE_CHECKING:
    from .conftest import AskedFor, Remembering

THOUGHT = Reasoning(text="hm", signature="sig", origin="anthropic")
CALL = ToolCall(id="c1", name="look", arguments='{"a":1}')
ANSWER = Answer(
    choices=(Choice(content=(THOUGHT, Text(text="I look."), Text(text=" Now."), CALL), finish="tool_calls"),)
)
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}


async def recalled(exchange: Exchange, memory: Remembering) -> GenerateRequest:
    request = decode_request(exchange, await exchange.body(), Losses())
    assert isinstance(request, GenerateRequest)
    return await recall(exchange, request, memory)


async def answered(exchange: Exchange, memory: Remembering, answer: Answer = ANSWER) -> str:
    await remember(exchange, await recalled(exchange, memory), answer, memory)
    return asked_of(exchange).id


async def test_a_conversation_goes_on_by_the_responses_name(asked_for: AskedFor, memory: Remembering) -> None:
    first = await answered(asked_for(instructions="be brief"), memory)

    request = await recalled(
        asked_for(input=[OUTPUT], previous_response_id=first, instructions="rhyme"), memory
    )

    assert request.system == (Text(text="rhyme"),)
    assert request.messages == (
        Message(role="user", content=(Text(text="hello"),)),
        Message(role="assistant", content=ANSWER.choices[0].content),
        Message(role="user", content=(ToolResult(id="c1", name="look", content=(Text(text="42"),)),)),
    )


async def test_it_goes_on_more_than_once_and_may_branch(asked_for: AskedFor, memory: Remembering) -> None:
    said = Answer(choices=(Choice(content=(Text(text="yes"),), finish="stop"),))
    first = await answered(asked_for(), memory, said)
    second = await answered(asked_for(input="more", previous_response_id=first), memory, said)

    third = await recalled(asked_for(input="again", previous_response_id=second), memory)
    branch = await recalled(asked_for(input="or", previous_response_id=first), memory)

    assert [message.content[0].text for message in third.messages] == ["hello", "yes", "more", "yes", "again"]  # type: ignore[union-attr]
    assert len(branch.messages) == 3


async def test_what_the_input_instructs_is_part_of_the_conversation(
    asked_for: AskedFor, memory: Remembering
) -> None:
    rule = {"role": "developer", "content": "rule"}
    user = {"role": "user", "content": "hi"}
    first = await answered(asked_for(instructions="own", input=[rule, user]), memory)

    request = await recalled(
        asked_for(instructions="new", input=[{**rule, "content": "late"}, user], previous_response_id=first),
        memory,
    )

    assert request.system == (Text(text="new"), Text(text="rule"))
    assert [message.role for message in request.messages] == ["user", "assistant", "system", "user"]


async def test_what_the_model_said_is_one_turn_with_what_follows_of_it(
    asked_for: AskedFor, memory: Remembering
) -> None:
    first = await answered(asked_for(), memory)
    more = {"role": "assistant", "content": "and"}

    request = await recalled(asked_for(input=[more], previous_response_id=first), memory)

    assert [message.role for message in request.messages] == ["user", "assistant"]


@pytest.mark.parametrize("name", ["resp_nobody", "resp_" + "0" * 32])
async def test_an_unknown_response_is_told_as_openai_does(
    asked_for: AskedFor, memory: Remembering, name: str
) -> None:
    with pytest.raises(BadRequest, match=f"Previous response with id '{name}' not found") as caught:
        await recalled(asked_for(previous_response_id=name), memory)

    assert (caught.value.status, caught.value.code) == (400, "previous_response_not_found")
    assert getattr(caught.value, "param", None) == "previous_response_id"


async def test_nothing_is_kept_of_what_shall_not_be_stored(asked_for: AskedFor, memory: Remembering) -> None:
    await answered(asked_for(store=False), memory)

    assert memory.kept == {}


async def test_what_another_version_kept_is_gone(asked_for: AskedFor, memory: Remembering) -> None:
    first = await answered(asked_for(), memory)
    memory.kept = dict.fromkeys(memory.kept, b'{"messages":1}')

    with pytest.raises(BadRequest):
        await recalled(asked_for(previous_response_id=first), memory)


@pytest.mark.parametrize(
    ("kind", "number", "blocks"),
    [("rs", 0, (THOUGHT,)), ("msg", 1, (Text(text="I look."), Text(text=" Now."))), ("fc", 3, (CALL,))],
)
async def test_an_item_is_found_by_its_name(
    asked_for: AskedFor, memory: Remembering, kind: str, number: int, blocks: tuple[Any, ...]
) -> None:
    name = item_id(kind, await answered(asked_for(), memory), number)

    request = await recalled(asked_for(input=[{"type": "item_reference", "id": name}, OUTPUT]), memory)

    assert request.messages[0].content == blocks
    assert not any(isinstance(block, Foreign) for message in request.messages for block in message.content)


@pytest.mark.parametrize("name", ["msg_elsewhere", f"msg_{'0' * 32}_0"])
async def test_an_item_that_is_not_here_is_told(asked_for: AskedFor, memory: Remembering, name: str) -> None:
    with pytest.raises(BadRequest, match="not found") as caught:
        await recalled(asked_for(input=[{"type": "item_reference", "id": name}]), memory)

    assert caught.value.status == 404


async def test_an_item_stands_in_a_conversation_once(asked_for: AskedFor, memory: Remembering) -> None:
    name = item_id("msg", await answered(asked_for(), memory), 1)
    items = [{"type": "item_reference", "id": each} for each in (name, name.replace("msg", "rs")[:-1] + "01")]

    with pytest.raises(BadRequest, match="Duplicate item"):
        await recalled(asked_for(input=items), memory)


async def test_a_results_call_may_be_named_by_reference(asked_for: AskedFor, memory: Remembering) -> None:
    name = item_id("fc", await answered(asked_for(), memory), 3)

    request = await recalled(asked_for(input=[{"id": name}, OUTPUT]), memory)

    assert request.messages[1].content == (ToolResult(id="c1", name="look", content=(Text(text="42"),)),)
