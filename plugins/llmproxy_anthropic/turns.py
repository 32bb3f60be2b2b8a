"""Writes a conversation: turns that alternate, each turn's results in one message and first in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.canonical import Message, Text
from llmproxy_anthropic.writing import Written, write_block, write_text

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_THOUGHT: Final = ("thinking", "redacted_thinking")
_OPEN: Final = "<system-reminder>\n"
_CLOSE: Final = "\n</system-reminder>"


class Turn:
    """One message being written."""

    __slots__ = ("others", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Written] = []
        self.others: list[Written] = []

    @property
    def message(self) -> Written:
        """The message as it is sent."""
        return {"role": self.role, "content": [*self.results, *self.others]}


def write_turns(messages: Sequence[Message], losses: Losses, *, late_system: bool) -> list[Written]:
    """Write the messages; those of one role in a row are one turn, empty ones none.

    Instructions in mid-conversation stay such where the model takes them and they stand behind a user's turn;
    else they are marked text in the user's.
    """
    turns: list[Turn] = []
    for place, message in enumerate(messages):
        if message.name:
            losses.lose("messages.name")
        if message.role == "system":
            after_user = bool(turns) and turns[-1].role != "assistant"
            apart = late_system and after_user and not _user_follows(messages, place)
            _instruct(turns, message, losses, apart=apart)
        else:
            _add(turns, message.role, _written(message, losses))
    if turns and turns[-1].role == "assistant":
        _trim_last(turns[-1], losses)
    return [turn.message for turn in turns if turn.results or turn.others]


def opens_with_thought(messages: list[Written]) -> bool:
    """Say whether thinking may be on: turns that called tools since the user last spoke must open with their thought."""
    for message in reversed(messages):
        kinds = [block.get("type") for block in message["content"]]
        if message["role"] == "user" and "tool_result" not in kinds:
            return True
        if message["role"] == "assistant" and "tool_use" in kinds and kinds[0] not in _THOUGHT:
            return False
    return True


def _user_follows(messages: Sequence[Message], place: int) -> bool:
    following = next((each.role for each in messages[place + 1 :] if each.role != "system"), None)
    return following == "user"


def _written(message: Message, losses: Losses) -> list[Written]:
    found = [write_block(block, message.role, losses) for block in message.content]
    blocks = [block for block in found if block is not None]
    blank = all(block["type"] == "text" and not block["text"].strip() for block in blocks)
    return [] if blank else blocks


def _add(turns: list[Turn], role: str, blocks: Iterable[Written]) -> None:
    for block in blocks:
        if not turns or turns[-1].role != role:
            turns.append(Turn(role))
        turn = turns[-1]
        (turn.results if block["type"] == "tool_result" else turn.others).append(block)


def _instruct(turns: list[Turn], message: Message, losses: Losses, *, apart: bool) -> None:
    if apart:
        _add(turns, "system", _written(message, losses))
        return
    blocks = []
    for block in message.content:
        if isinstance(block, Text):
            written = write_text(block, losses)
            if written is not None:
                written["text"] = f"{_OPEN}{written['text']}{_CLOSE}"
                blocks.append(written)
        else:
            losses.lose("content.foreign")
    if blocks:
        losses.lose(
            "messages.system", "instructions in mid-conversation became marked text of the user's turn"
        )
    _add(turns, "user", blocks)


def _trim_last(turn: Turn, losses: Losses) -> None:
    """Cut the space at the end of what the model is to go on from: Anthropic refuses it."""
    last = turn.others[-1]
    if last["type"] == "text" and (text := last["text"].rstrip()) != last["text"]:
        last["text"] = text
        losses.lose("messages", "space at the end of the last assistant message was cut")
