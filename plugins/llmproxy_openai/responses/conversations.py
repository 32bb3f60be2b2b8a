"""Earlier responses, kept whole so that a caller may go on from one by its name on any provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.canonical import (
    Answer,
    Block,
    Foreign,
    GenerateRequest,
    Message,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import BadField
from llmproxy_openai.responses.asked import asked_of
from llmproxy_openai.responses.ids import place_of
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.responses.reading import needed

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange, Memory

_KIND: Final = "openai-response"


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation up to a response, without the instructions of any request; `answer` is the response's part."""

    messages: tuple[Message, ...]
    answer: tuple[Block, ...] = ()
    system: tuple[Text, ...] = ()


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Kept)


async def recall(exchange: Exchange, request: GenerateRequest, memory: Memory) -> GenerateRequest:
    """Put back the conversation that the request goes on from, and the items that it names.

    Raises:
        BadRequest: it names a response or an item that is not here.
    """
    asked = asked_of(exchange)
    previous = asked.told.get("previous_response_id")
    if previous is not None and previous != "":
        name = needed(previous, "previous_response_id")
        kept = await _load(memory, name)
        if kept is None:
            message = f"Previous response with id '{name[:200]}' not found."
            raise BadField("previous_response_not_found", message, "previous_response_id")
        request = _continued(request, kept, asked.instructed)
    if any(_reference(block) for message in request.messages for block in message.content):
        request = await _with_references(request, memory)
    return request


async def remember(exchange: Exchange, request: GenerateRequest, answer: Answer, memory: Memory) -> None:
    """Keep the conversation with its answer under the response's name, unless the caller wants nothing stored."""
    asked = asked_of(exchange)
    if asked.told.get("store") is False:
        return
    content = answer.choices[0].content if answer.choices else ()
    turn = (Message(role="assistant", content=content),) if content else ()
    kept = Kept((*request.messages, *turn), content, request.system[asked.instructed :])
    await memory.put(_KIND, asked.id, _encoder.encode(kept))


async def _load(memory: Memory, name: str) -> Kept | None:
    value = await memory.get(_KIND, name)
    if value is None:
        return None
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError:  # kept by another version
        return None


def _continued(request: GenerateRequest, kept: Kept, instructed: int) -> GenerateRequest:
    """Instructions of this request stand first; what its input instructs comes after all that was said."""
    own, late = request.system[:instructed], request.system[instructed:]
    turn = (Message(role="system", content=late),) if late else ()
    messages = _joined((*kept.messages, *turn, *request.messages))
    return msgspec.structs.replace(request, system=(*own, *kept.system), messages=_named(messages))


def _joined(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Put the turns of the model together that follow one another."""
    out: list[Message] = []
    for message in messages:
        if out and message.role == out[-1].role == "assistant":
            out[-1] = Message(role="assistant", content=(*out[-1].content, *message.content))
        else:
            out.append(message)
    return tuple(out)


def _named(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Give results of tools the names of calls that stand in the earlier conversation."""
    names = {
        block.id: block.name
        for message in messages
        for block in message.content
        if isinstance(block, ToolCall)
    }
    return tuple(
        msgspec.structs.replace(
            message,
            content=tuple(
                msgspec.structs.replace(block, name=names.get(block.id, ""))
                if isinstance(block, ToolResult) and not block.name
                else block
                for block in message.content
            ),
        )
        for message in messages
    )


async def _with_references(request: GenerateRequest, memory: Memory) -> GenerateRequest:
    responses: dict[str, Kept | None] = {}
    places: set[tuple[str, int]] = set()
    for name in _references(request):
        place = place_of(name)
        if place is not None and place in places:
            # As OpenAI says it; a name is short, and what it stands for may be long.
            raise BadField("invalid_request_error", f"Duplicate item found with id {name[:200]}.", "input")
        if place is not None:
            places.add(place)
        if place is not None and place[0] not in responses:
            responses[place[0]] = await _load(memory, place[0])
    messages = tuple(
        msgspec.structs.replace(message, content=tuple(_resolved(message.content, responses)))
        for message in request.messages
    )
    return msgspec.structs.replace(request, messages=_named(messages))


def _references(request: GenerateRequest) -> Iterator[str]:
    for message in request.messages:
        for block in message.content:
            if name := _reference(block):
                yield name


def _reference(block: Block) -> str:
    if (
        not isinstance(block, Foreign)
        or block.origin != ORIGIN
        or block.value.get("type") != "item_reference"
    ):
        return ""
    return str(block.value.get("id"))


def _resolved(content: tuple[Block, ...], responses: dict[str, Kept | None]) -> Iterator[Block]:
    for block in content:
        name = _reference(block)
        if name:
            yield from _item(name, responses)
        else:
            yield block


def _item(name: str, responses: dict[str, Kept | None]) -> tuple[Block, ...]:
    """Return the blocks of an item: a message holds all texts that follow one another."""
    response, start = place_of(name) or ("", 0)
    kept = responses.get(response)
    blocks = () if kept is None else kept.answer[start:]
    if not blocks:
        raise BadField("item_not_found", f"Item with id '{name[:200]}' not found.", "input", status=404)
    end = 1
    while isinstance(blocks[end - 1], Text | Refusal) and end < len(blocks):
        if not isinstance(blocks[end], Text | Refusal):
            break
        end += 1
    return blocks[:end]
