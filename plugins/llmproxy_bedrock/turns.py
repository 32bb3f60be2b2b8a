"""Writes a conversation: turns that alternate, each turn's results in one message and first in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.canonical import Message, Text

if TYPE_CHECKING:
    from llmproxy_bedrock.writing import Writer, Written

_OPEN: Final = "<system-reminder>\n"
_CLOSE: Final = "\n</system-reminder>"
#: What a model reads that is given a document and not a word.
_SEE: Final = "See the document."


class _Turn:
    """One message being written."""

    __slots__ = ("others", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Written] = []
        self.others: list[Written] = []


def write_turns(messages: Sequence[Message], writer: Writer) -> list[Written]:
    """Write the messages; those of one role in a row are one turn, empty ones none.

    Instructions in mid-conversation are marked text in the user's turn: most models take no others.
    """
    turns: list[_Turn] = []
    for message in messages:
        if message.name:
            writer.losses.lose("messages.name")
        if message.role == "system":
            _instruct(turns, message, writer)
        else:
            blocks = [each for block in message.content for each in writer.block(block, message.role)]
            blank = all("text" in block and not block["text"].strip() for block in blocks)
            _add(turns, message.role, [] if blank else blocks)
    if turns and turns[-1].role == "assistant":
        _trim_last(turns[-1], writer)
    return [_message(turn) for turn in turns if turn.results or turn.others]


def _message(turn: _Turn) -> Written:
    content = [*turn.results, *turn.others]
    kinds = {kind for block in content for kind in block}
    if turn.role == "user" and "document" in kinds and not kinds & {"text", "toolResult"}:
        content.append({"text": _SEE})  # Amazon refuses a document without any text
    return {"role": turn.role, "content": content}


def _add(turns: list[_Turn], role: str, blocks: Iterable[Written]) -> None:
    after_result = False
    for block in blocks:
        if not turns or turns[-1].role != role:
            turns.append(_Turn(role))
        turn = turns[-1]
        after_result = "toolResult" in block or (after_result and "cachePoint" in block)
        (turn.results if after_result else turn.others).append(block)


def _instruct(turns: list[_Turn], message: Message, writer: Writer) -> None:
    blocks: list[Written] = []
    for block in message.content:
        if isinstance(block, Text):
            if block.text.strip():
                blocks.append({"text": f"{_OPEN}{block.text}{_CLOSE}"})
        else:
            writer.losses.lose("content.foreign")
    if blocks:
        writer.losses.lose(
            "messages.system", "instructions in mid-conversation became marked text of the user's turn"
        )
    _add(turns, "user", blocks)


def _trim_last(turn: _Turn, writer: Writer) -> None:
    """Cut the space at the end of what the model is to go on from: Claude models refuse it."""
    last = turn.others[-1] if turn.others else {}
    if "text" in last and (text := last["text"].rstrip()) != last["text"]:
        last["text"] = text
        writer.losses.lose("messages", "space at the end of the last assistant message was cut")
